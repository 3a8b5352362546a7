"""What error budget policies do: steps take effect as the budget is used up, and end as it recovers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from core import audit
from core.ports.conditions import Condition, Severity, clear_condition, raise_condition
from slas.announcing import labels, link
from slas.choices import PolicyAction
from slas.models import BudgetPolicyStep, PolicyStepFiring, Slo
from slas.services.statuses import share
from slas.standing import Standing

SOURCE = "slas.policy"
SEVERITIES: dict[str, Severity] = {
    PolicyAction.NOTIFY: "medium",
    PolicyAction.APPROVAL: "medium",
    PolicyAction.FREEZE: "medium",
    PolicyAction.INCIDENT: "high",
}
WORDS = {
    PolicyAction.NOTIFY: "people are told",
    PolicyAction.APPROVAL: "changes need an approval",
    PolicyAction.FREEZE: "changes are frozen",
    PolicyAction.INCIDENT: "an incident is due",
}


def take_steps(found: Sequence[Standing], *, now: datetime) -> None:
    """Let the steps of the objectives' policies begin and end; in the transaction that wrote their statuses.

    A step begins once however often this runs: an open firing is unique per objective and step. Without data nothing
    begins and nothing ends.
    """
    with_policy = [item for item in found if item.slo.policy_id is not None]
    steps = _steps({item.slo.policy_id for item in with_policy if item.slo.policy_id is not None})
    open_firings = _open([item.slo.pk for item in found])
    for item in found:
        used = item.consumed
        due = steps.get(item.slo.policy_id or 0, [])
        if used is not None:
            _begin(item, used, [step for step in due if step.pk not in open_firings.get(item.slo.pk, {})], now)
        for firing in open_firings.get(item.slo.pk, {}).values():
            if firing.step_id not in {step.pk for step in due} or (used is not None and used < firing.consumed_from):
                _end(item.slo, firing, now)


def end_all(slo: Slo, *, now: datetime) -> None:
    """End every step of an objective that is switched off."""
    for firing in _open([slo.pk]).get(slo.pk, {}).values():
        _end(slo, firing, now)


def _begin(item: Standing, used: Fraction, steps: Iterable[BudgetPolicyStep], now: datetime) -> None:
    for step in steps:
        if used < Fraction(step.consumed_from):
            continue
        firing = PolicyStepFiring.objects.create(
            slo=item.slo, step=step, action=step.action, consumed_from=step.consumed_from,
            consumed=share(used) or Decimal(0), message=step.message, started_at=now,
        )  # fmt: skip
        raise_condition(_condition(item.slo, firing), now=now)
        audit.record("slo.policy_step_began", item.slo, now=now, after={"action": step.action, "consumed": used})


def _end(slo: Slo, firing: PolicyStepFiring, now: datetime) -> None:
    if PolicyStepFiring.objects.filter(pk=firing.pk, ended_at=None).update(ended_at=now):
        clear_condition(_condition(slo, firing), now=now)
        audit.record("slo.policy_step_ended", slo, now=now, after={"action": firing.action})


def _condition(slo: Slo, firing: PolicyStepFiring) -> Condition:
    summary = f"{slo}: {firing.consumed_from:.0%} of the error budget is used; {WORDS[PolicyAction(firing.action)]}"
    if firing.message:
        summary = f"{summary}. {firing.message}"
    key = f"{slo.pk}:{firing.step_id}"
    named = {**labels(slo), "action": firing.action}
    return Condition(SOURCE, key, SEVERITIES[firing.action], summary, named, link(slo))


def _steps(policies: Iterable[int]) -> dict[int, list[BudgetPolicyStep]]:
    wanted = set(policies)
    found: dict[int, list[BudgetPolicyStep]] = {}
    if wanted:
        for step in BudgetPolicyStep.objects.filter(policy__in=wanted).order_by("consumed_from", "pk"):
            found.setdefault(step.policy_id, []).append(step)
    return found


def _open(slos: Sequence[UUID]) -> dict[UUID, dict[int | None, PolicyStepFiring]]:
    found: dict[UUID, dict[int | None, PolicyStepFiring]] = {}
    for firing in PolicyStepFiring.objects.filter(slo__in=slos, ended_at=None).order_by("pk"):
        found.setdefault(firing.slo_id, {})[firing.step_id] = firing
    return found
