"""Error budget policies, and the freezes that other systems ask for before they change something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from core import audit
from core.errors import Conflict, FieldError, Invalid, Missing
from slas.choices import PolicyAction
from slas.models import BudgetPolicy, BudgetPolicyStep, PolicyStepFiring

LIFT = "slas.lift_freeze"
HOLDING = (PolicyAction.FREEZE, PolicyAction.APPROVAL)
LONGEST_LIFT = timedelta(days=7)
MOST_STEPS = 20


@transaction.atomic
def save_policy(
    policy: BudgetPolicy | None, values: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], *, now: datetime
) -> BudgetPolicy:
    """Make a policy or change it, with its steps; a step that goes ends what it had begun at the next evaluation.

    Raises Invalid with every mistake, and Conflict when the slug is taken.
    """
    _check_steps(steps)
    action = "budget_policy.created" if policy is None else "budget_policy.changed"
    row = policy or BudgetPolicy(slug=values["slug"])
    row.name, row.description = values.get("name", row.name), values.get("description", row.description)
    if not row.name.strip():
        raise Invalid("a policy has a name", errors=[FieldError("/name", "required", "a policy has a name")])
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        detail = "there is a policy of this slug already"
        raise Conflict(detail, errors=[FieldError("/slug", "taken", detail)]) from error
    known = {(step.consumed_from, step.action): step for step in row.steps.all()}
    wanted = {(Decimal(step["consumed_from"]), str(step["action"])): step for step in steps}
    row.steps.exclude(pk__in=[step.pk for key, step in known.items() if key in wanted]).delete()
    for (share, what), step in wanted.items():
        BudgetPolicyStep.objects.update_or_create(
            policy=row, consumed_from=share, action=what, defaults={"message": step.get("message", "")}
        )
    facts = [{"consumed_from": share, "action": what} for share, what in wanted]
    audit.record(action, row, now=now, after={"name": row.name, "steps": facts})
    return row


def freezes(*, now: datetime, service: str = "", entity: tuple[str, str] | None = None) -> QuerySet[PolicyStepFiring]:
    """Return the freezes and required approvals in force, the ones lifted for now left out."""
    rows = PolicyStepFiring.objects.filter(action__in=HOLDING, ended_at=None, slo__enabled=True)
    rows = rows.filter(Q(lifted_until=None) | Q(lifted_until__lte=now)).select_related("slo__service")
    if service:
        rows = rows.filter(slo__service__slug=service)
    if entity:
        rows = rows.filter(slo__service__entity_type=entity[0], slo__service__entity_id=entity[1])
    return rows.order_by("slo__service__slug", "started_at", "pk")


def lift(firing_id: UUID, *, hours: int, by: str, reason: str, now: datetime) -> PolicyStepFiring:
    """Let changes through for some hours although the budget is used up; in the caller's transaction.

    Raises Missing, Invalid for hours out of range, and Conflict when the freeze has ended.
    """
    check_hours(hours)
    firing = open_firing(firing_id)
    until = now + timedelta(hours=hours)
    PolicyStepFiring.objects.filter(pk=firing.pk, ended_at=None).update(
        lifted_until=until, lifted_by=by[:200], lifted_reason=reason[:500]
    )
    audit.record("freeze.lifted", firing, now=now, after={"until": until, "by": by}, reason=reason)
    firing.lifted_until = until
    return firing


def open_firing(firing_id: UUID) -> PolicyStepFiring:
    """Return a freeze that is in force; raises Missing and Conflict."""
    firing = PolicyStepFiring.objects.select_related("slo__service").filter(pk=firing_id, action__in=HOLDING).first()
    if firing is None:
        raise Missing("There is no such freeze.")
    if firing.ended_at is not None:
        raise Conflict("This freeze has ended: the budget has recovered.")
    return firing


def check_hours(hours: int) -> None:
    """Raise Invalid unless a freeze may be lifted for so long."""
    if not timedelta(hours=1) <= timedelta(hours=hours) <= LONGEST_LIFT:
        detail = "a freeze is lifted for 1 to 168 hours"
        raise Invalid(detail, errors=[FieldError("/hours", "out_of_range", detail)])


def _check_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    wrong = []
    if len(steps) > MOST_STEPS:
        wrong.append(FieldError("/steps", "too_many", f"a policy has at most {MOST_STEPS} steps"))
    seen = set()
    for number, step in enumerate(steps):
        share, action = Decimal(step["consumed_from"]), str(step["action"])
        if not (share.is_finite() and 0 < share <= 100 and share == share.quantize(Decimal("0.0001"))):
            detail = "the used share of the budget is above 0, at most 100 (of which 1 is all), with 4 decimals at most"
            wrong.append(FieldError(f"/steps/{number}/consumed_from", "out_of_range", detail))
        if action not in PolicyAction.values:
            detail = f"an action is one of {', '.join(PolicyAction.values)}"
            wrong.append(FieldError(f"/steps/{number}/action", "not_a_choice", detail))
        if (share, action) in seen:
            wrong.append(FieldError(f"/steps/{number}", "repeated", "this step is there already"))
        seen.add((share, action))
    if wrong:
        raise Invalid(wrong[0].detail, errors=wrong)
