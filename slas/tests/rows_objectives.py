"""Admin rows of services, indicators, objectives, exclusions and budget policies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from slas import buckets
from slas.buckets import Event
from slas.choices import SloState
from slas.models import BudgetPolicy, BudgetPolicyStep, Exclusion, PolicyStepFiring, SloSnapshot
from slas.services.evaluating import evaluate
from slas.tests.objectives import fresh, service, sli, slo

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
Rows = Callable[[int], None]


def _services(count: int) -> None:
    for _ in range(count):
        service(name=fresh("Service"), owner="team")


def _slis(count: int) -> None:
    for number in range(count):
        if number % 2:
            sli("latency", operator="lte", threshold=Decimal(number + 1), unit="ms")
        else:
            sli()


def _slos(count: int) -> None:
    for number in range(count):
        indicator = sli()
        if number % 2:
            buckets.record_events(indicator, [Event(NOW, bool(number % 3))] * 4, now=NOW)
        slo(indicator)
    evaluate(NOW + timedelta(minutes=1))


def _exclusions(count: int) -> None:
    for number in range(count):
        where = sli()
        Exclusion.objects.create(
            service=where.service, sli=where if number % 2 else None, starts_at=NOW, ends_at=NOW + timedelta(hours=1),
            category="planned", reason=fresh("move"), created_at=NOW, approved_by="otto" if number % 3 else "",
        )  # fmt: skip


def policy(*steps: tuple[str, str]) -> BudgetPolicy:
    """Make a policy with these (used share, action) steps."""
    made = BudgetPolicy.objects.create(slug=fresh("policy"), name=fresh("Policy"))
    for share, action in steps or (("1", "freeze"),):
        BudgetPolicyStep.objects.create(policy=made, consumed_from=Decimal(share), action=action)
    return made


def _policies(count: int) -> None:
    for _ in range(count):
        policy(("0.5", "notify"), ("1", "freeze"))


def _firings(count: int) -> None:
    for _ in range(count):
        followed = policy()
        step = followed.steps.get()
        PolicyStepFiring.objects.create(
            slo=slo(policy=followed), step=step, action=step.action, consumed_from=1, consumed=Decimal("1.5"),
            started_at=NOW,
        )  # fmt: skip


def _snapshots(count: int) -> None:
    for number in range(count):
        SloSnapshot.objects.create(
            slo=slo(), day=date(2026, 3, 1 + number % 28), state=SloState.HEALTHY, target=Decimal("0.999"), revision=1,
            good=number, total=number, sli=1 if number else None, consumed=Decimal("0.1"), taken_at=NOW,
        )  # fmt: skip


ROWS: dict[str, Rows] = {
    "slas.service": _services,
    "slas.sli": _slis,
    "slas.slo": _slos,
    "slas.exclusion": _exclusions,
    "slas.budgetpolicy": _policies,
    "slas.policystepfiring": _firings,
    "slas.slosnapshot": _snapshots,
}
