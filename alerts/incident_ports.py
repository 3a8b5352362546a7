"""What incidents and on-call offer to the platform: scopes, a schedule, metrics, a panel, personal data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from core.ports.metrics import Labels, Metric, Sample, metrics
from core.ports.panels import Panel, panels
from core.ports.privacy import PersonalData, Subject, personal_data
from core.ports.schedules import Schedule, schedules
from core.ports.scopes import Scope, scopes
from core.windows import Window

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from alerts.models import ContactMethod

SCOPES = (
    Scope("incidents:read", "Read incidents, their timelines, and who is on call.", "alerts.view_incident"),
    Scope("incidents:write", "Open, acknowledge, resolve and write about incidents.", "alerts.change_incident"),
)


def register_incidents(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
    from alerts.incident_panels import build_incidents

    for scope in SCOPES:
        scopes.register(scope)
    post_migrate.connect(keep_in_place, sender=app, dispatch_uid="alerts.incidents")
    schedules.register(
        Schedule(
            "alerts.check_schedules",
            "alerts.tasks.check_schedules",
            "Looks for gaps and inactive people in the on-call schedules of the coming 30 days.",
            every=timedelta(hours=1),
        )
    )
    metrics.register(
        Metric(
            "alerts.incidents_open",
            "incidents",
            "Incidents that people still have to work on, at the end of the window.",
            labels=("severity",),
            read=open_incidents,
        )
    )
    panels.register(
        Panel(
            "alerts.incidents",
            "Incidents",
            "alerts.view_incident",
            build_incidents,
            order=20,
            empty="No incident is open, and nobody is on call yet: add a rotation to a schedule.",
        )
    )
    personal_data.register(
        PersonalData(
            "alerts.contact_methods",
            "By what people are paged: e-mail addresses and the like.",
            ("alerts_contactmethod.address",),
            export=_exported,
            erase=_erased,
        )
    )


def keep_in_place(*, using: str, **_: Any) -> None:
    """After every migration: the first schedule and policy, unless they were there before."""
    from django.db import connections
    from django.utils import timezone

    from alerts.models import EscalationPolicy
    from alerts.services import oncall_defaults

    if EscalationPolicy._meta.db_table in connections[using].introspection.table_names():
        oncall_defaults.ensure_oncall(now=timezone.now())


def open_incidents(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> list[Sample]:
    """Return how many incidents are open by severity; a state has no buckets."""
    from django.db.models import Count, Q

    from alerts.models import Incident

    # Open at the end of the window: opened before it, and not resolved by then.
    still = Incident.objects.filter(Q(resolved_at=None) | Q(resolved_at__gte=window.end), opened_at__lt=window.end)
    if wanted is not None and all("severity" in labels for labels in wanted):
        still = still.filter(severity__in=[labels["severity"] for labels in wanted])
    counted = dict(still.order_by().values_list("severity").annotate(Count("pk")))
    if wanted is not None and not all("severity" in labels for labels in wanted):
        return [Sample({}, Decimal(sum(counted.values())))]
    return [Sample({"severity": severity}, Decimal(count)) for severity, count in sorted(counted.items())]


def _exported(subject: Subject) -> Iterable[Mapping[str, object]]:
    for method in _methods(subject):
        yield {"kind": method.kind, "address": method.address, "delay_minutes": method.delay_minutes}


def _erased(subject: Subject) -> int:
    _, by_model = _methods(subject).delete()
    return int(by_model.get("alerts.ContactMethod", 0))


def _methods(subject: Subject) -> QuerySet[ContactMethod]:
    from alerts.models import ContactMethod  # models load after the ports

    if subject.kind != "user":
        return ContactMethod.objects.none()
    return ContactMethod.objects.filter(user__username=subject.identifier)
