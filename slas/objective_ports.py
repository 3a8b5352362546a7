"""What objectives offer to the other apps: schedules, metrics, a panel, and acts that take a second person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.apps import AppConfig

from core.ports.approvals import ApprovalKind, Approved, Arguments, Description, approval_kinds
from core.ports.metrics import metrics
from core.ports.panels import Chart, Figure, Panel, Table, panels
from core.ports.schedules import Schedule, schedules

SCHEDULES = (
    Schedule("slas.evaluate", "slas.tasks.evaluate", "Evaluate every objective.", every=timedelta(minutes=1)),
    Schedule("slas.collect", "slas.tasks.collect", "Read the indicators' own sources.", every=timedelta(minutes=1)),
    Schedule("slas.snapshots", "slas.tasks.take_snapshots", "Write the days of objectives.", crontab="7 * * * *"),
    Schedule("slas.forget", "slas.tasks.forget_old_buckets", "Remove old minutes and hours.", crontab="35 3 * * *"),
)


def register_objectives(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
    from slas import objective_metrics, sli_metrics

    for schedule in SCHEDULES:
        schedules.register(schedule)
    for metric in (*objective_metrics.METRICS, *sli_metrics.METRICS):
        metrics.register(metric)
    panels.register(
        Panel("slas.objectives", "Objectives", "slas.view_slo", build_panel, order=30, empty="No objectives yet.")
    )
    for kind in _kinds():
        approval_kinds.register(kind)


def build_panel(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return what the home page shows of objectives."""
    from slas.objective_panels import objectives_panel

    return objectives_panel(now)


def describe_exclusion(arguments: Arguments) -> Description:
    """Say what a retroactive exclusion takes out. Raises Missing and Conflict."""
    from django.urls import reverse

    from core.audit import identify
    from slas.services import exclusions

    exclusion, lines = exclusions.describe_request(arguments)
    link = reverse("admin:slas_exclusion_change", args=[exclusion.pk])
    return Description(tuple(lines), identify(exclusion), link)


def execute_exclusion(arguments: Arguments, approved: Approved, now: datetime) -> str:
    """Put the exclusion in force, in the caller's transaction."""
    from slas.services import exclusions

    exclusion = exclusions.approve(_id(arguments, "exclusion"), approved_by=approved.decided_by_label, now=now)
    return "it is counted anew" + (", hours without minutes pro rata" if exclusion.estimated else "")


def close_exclusion(arguments: Arguments, status: str, now: datetime) -> None:
    """Withdraw an exclusion that nobody approved."""
    from slas.services import exclusions

    exclusions.turned_down(_id(arguments, "exclusion"), now=now)


def describe_lift(arguments: Arguments) -> Description:
    """Say which freeze is lifted for how long. Raises Missing, Conflict and Invalid."""
    from core.audit import identify
    from slas.announcing import link
    from slas.services import policies

    hours = int(str(arguments["hours"]))
    policies.check_hours(hours)
    firing = policies.open_firing(_id(arguments, "freeze"))
    lines = (
        f"Let changes of {firing.slo.service} through for {hours} hours",
        f"{firing.consumed:.0%} of the error budget of “{firing.slo.name}” was used when changes were stopped",
        "The error budget is not changed by this; afterwards changes are stopped again while it is used up",
    )
    return Description(lines, identify(firing), link(firing.slo))


def execute_lift(arguments: Arguments, approved: Approved, now: datetime) -> str:
    """Lift the freeze, in the caller's transaction."""
    from slas.services import policies

    firing = policies.lift(
        _id(arguments, "freeze"), hours=int(str(arguments["hours"])), by=approved.decided_by_label,
        reason=approved.reason, now=now,
    )  # fmt: skip
    return f"changes pass until {firing.lifted_until:%Y-%m-%d %H:%M} UTC"


def _kinds() -> tuple[ApprovalKind, ...]:
    return (
        ApprovalKind(
            name="slas.apply_exclusion",
            title="Exclusion of time that has passed",
            request_permission="slas.add_exclusion",
            approve_permission="slas.change_exclusion",
            describe=describe_exclusion,
            execute=execute_exclusion,
            closed=close_exclusion,
        ),
        ApprovalKind(
            name="slas.lift_freeze",
            title="Changes in spite of a used-up error budget",
            request_permission="slas.view_slo",
            approve_permission="slas.change_slo",
            describe=describe_lift,
            execute=execute_lift,
            expires_after=timedelta(days=1),
            remind_after=timedelta(hours=1),
        ),
    )


def _id(arguments: Arguments, name: str) -> UUID:
    return UUID(str(arguments[name]))
