"""Making, changing, pausing and archiving budgets; every act is one transaction and one audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from core import audit
from core.context import current
from core.errors import Conflict, FieldError, Invalid, Missing
from core.money import money
from costs.choices import BudgetMode, ThresholdBasis
from costs.models import Budget, BudgetPeriod, BudgetRevision, BudgetThreshold
from costs.services import entities
from costs.services.budgets.folding import shift_tail
from costs.services.budgets.periods import create_periods, lock_periods
from costs.services.budgets.recount import lock_ledger, recount
from costs.services.budgets.scopes import calendar_of, window_of
from costs.services.budgets.terms import BudgetTerms, check_terms, cost_type_mistakes

FULL = Decimal(1)


def create_budget(terms: BudgetTerms, *, now: datetime, owner: User | None = None, demo: bool = False) -> Budget:
    """Make a budget that counts its current period from the beginning, what was spent before it existed included.

    Raises Invalid with every mistake. An entity that was never seen is made.
    """
    currency = terms.currency.upper() or settings.BASE_CURRENCY
    time_zone = terms.time_zone or settings.ORGANISATION_TIME_ZONE
    check_terms(terms, currency=currency, time_zone=time_zone, now=now)
    entity = _entity(terms.entity_type, terms.entity_id, now)
    with transaction.atomic():
        lock_ledger(writes=terms.mode == BudgetMode.HARD)
        budget = Budget.objects.create(
            name=terms.name.strip(),
            entity_id=entity,
            cost_type=terms.cost_type,
            provider=terms.provider,
            model=terms.model,
            currency=currency,
            period=terms.period,
            anchor=terms.anchor,
            time_zone=time_zone,
            mode=terms.mode,
            owner=owner,
            demo=demo,
            created_at=now,
        )
        _first_revision(budget, terms.amount, now)
        _thresholds(budget, terms)
        recount_current(budget, now=now)
        audit.record("budget.created", budget, now=now, after={**describe(budget), "amount": money(terms.amount)})
    return budget


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetChange:
    """What is to be different; None leaves a value as it is. `entity` is (type, id), or ("", "") for everything."""

    name: str | None = None
    mode: str | None = None
    entity: tuple[str, str] | None = None
    cost_type: str | None = None
    provider: str | None = None
    model: str | None = None
    owner: User | None = None


def change_budget(budget_id: UUID, change: BudgetChange, *, now: datetime, reason: str = "") -> Budget:
    """Change a budget's name, mode, scope or owner; the current period is counted anew where that matters.

    Raises Missing, Conflict for an archived budget, and Invalid.
    """
    _check_change(change)
    entity = None if change.entity is None else _entity(*change.entity, now)
    with transaction.atomic():
        budget = _locked_with_ledger(budget_id, change.mode)
        refuse_archived(budget)
        before = describe(budget)
        _change_mode(budget, change.mode, now)
        rescoped = _assign(budget, change, entity)
        budget.save()
        if rescoped:
            recount_current(budget, now=now)
        audit.record("budget.changed", budget, now=now, before=before, after=describe(budget), reason=reason)
    return budget


def set_active(budget_id: UUID, *, active: bool, now: datetime, reason: str = "") -> Budget:
    """Pause a budget, or enforce it again. Paused, it goes on counting, and neither refuses nor warns.

    Doing it twice changes nothing. Raises Missing, and Conflict for an archived budget.
    """
    with transaction.atomic():
        budget = lock_budget(budget_id)
        refuse_archived(budget)
        if budget.active != active:
            Budget.objects.filter(id=budget.id).update(active=active)
            budget.active = active
            action = "budget.resumed" if active else "budget.paused"
            audit.record(
                action, budget, now=now, before={"active": not active}, after={"active": active}, reason=reason
            )
    return budget


def archive_budget(budget_id: UUID, *, now: datetime, reason: str = "") -> Budget:
    """Retire a budget for good: it counts and refuses nothing any more, its periods stay. Twice changes nothing.

    Money that it holds for calls under way is given back when they settle or expire.
    """
    with transaction.atomic():
        budget = _locked_with_ledger(budget_id)
        if budget.archived_at is None:
            # What the fold has not passed yet was spent before the budget was archived.
            shift_tail(budget, becomes_hard=True, now=now)
            Budget.objects.filter(id=budget.id).update(archived_at=now, active=False)
            budget.archived_at, budget.active = now, False
            audit.record("budget.archived", budget, now=now, after={"archived_at": now}, reason=reason)
    return budget


def lock_budget(budget_id: UUID) -> Budget:
    """Lock a budget against revisions and new periods, and read it. Raises Missing."""
    budgets = Budget.objects.filter(id=budget_id)
    if connection.vendor == "postgresql":
        budgets = budgets.select_for_update(no_key=True)
    budget = budgets.first()
    if budget is None:
        raise Missing("There is no such budget.")
    return budget


def recount_current(budget: Budget, *, now: datetime) -> BudgetPeriod:
    """Make the current period if need be and set its spent from the events; the caller holds `lock_ledger`."""
    window = window_of(calendar_of(budget), now)
    create_periods([(budget.id, window)], now=now)
    period = lock_periods(BudgetPeriod.objects.filter(budget=budget, start_at=window.start))[0]
    period.spent = recount(budget, period)
    period.save(update_fields=["spent"])
    return period


def describe(budget: Budget) -> dict[str, object]:
    """Return what the audit log keeps of a budget."""
    return {
        "name": budget.name,
        "entity": budget.entity_id,
        "cost_type": budget.cost_type,
        "provider": budget.provider,
        "model": budget.model,
        "currency": budget.currency,
        "period": budget.period,
        "anchor": budget.anchor,
        "time_zone": budget.time_zone,
        "mode": budget.mode,
        "owner": budget.owner_id,
    }


def _entity(entity_type: str, entity_id: str, now: datetime) -> int | None:
    # In a transaction of its own, before the ledger is locked: recording may be making the same entity.
    name = (entity_type, entity_id)
    return entities.resolve([name], now=now)[name] if entity_type else None


def _first_revision(budget: Budget, amount: Decimal, now: datetime) -> None:
    BudgetRevision.objects.create(
        budget=budget,
        amount=money(amount),
        effective_from=now,
        reason="created",
        created_at=now,
        created_by=current().actor.label[:200],
    )


def _thresholds(budget: Budget, terms: BudgetTerms) -> None:
    wanted: Mapping[tuple[Decimal, str], str] = {
        **({} if terms.alert_threshold is None else {(terms.alert_threshold, ThresholdBasis.ACTUAL): "medium"}),
        **({} if terms.forecast_threshold is None else {(terms.forecast_threshold, ThresholdBasis.FORECAST): "low"}),
        (FULL, ThresholdBasis.ACTUAL): "high",
    }
    BudgetThreshold.objects.bulk_create(
        BudgetThreshold(budget=budget, ratio=ratio, basis=basis, severity=severity)
        for (ratio, basis), severity in wanted.items()
    )


def _locked_with_ledger(budget_id: UUID, mode: str | None = None) -> Budget:
    """Lock the ledger as far as this budget needs it, then the budget: in this order, whatever the budget is."""
    before = Budget.objects.filter(id=budget_id).values_list("mode", flat=True).first()
    writes = BudgetMode.HARD in {mode, before}
    lock_ledger(writes=writes)
    budget = lock_budget(budget_id)
    if budget.mode == BudgetMode.HARD and not writes:
        raise Conflict("The budget became a hard one just now; try again.", code="changed_meanwhile")
    return budget


def _check_change(change: BudgetChange) -> None:
    mistakes = []
    if change.name is not None and not 0 < len(change.name.strip()) <= 120:
        mistakes.append(FieldError("/name", "length", "A name has 1 to 120 characters."))
    if change.mode is not None and change.mode not in BudgetMode.values:
        mistakes.append(FieldError("/mode", "invalid_choice", f"One of {', '.join(BudgetMode.values)}."))
    mistakes += cost_type_mistakes(change.cost_type or "")
    if change.entity is not None and bool(change.entity[0]) != bool(change.entity[1]):
        mistakes.append(FieldError("/entity_id", "required", "An entity is named by its type and its id."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def refuse_archived(budget: Budget) -> None:
    """Raise Conflict for a budget that was retired."""
    if budget.archived_at is not None:
        raise Conflict("The budget is archived; make a new one.", code="archived")


def _change_mode(budget: Budget, mode: str | None, now: datetime) -> None:
    if mode is None or mode == budget.mode:
        return
    was_hard, becomes_hard = budget.mode == BudgetMode.HARD, mode == BudgetMode.HARD
    if becomes_hard:
        shift_tail(budget, becomes_hard=True, now=now)
    budget.mode = mode
    Budget.objects.filter(id=budget.id).update(mode=mode)
    if was_hard:
        shift_tail(budget, becomes_hard=False, now=now)


def _assign(budget: Budget, change: BudgetChange, entity: int | None) -> bool:
    """Put the new values on the budget; True when its scope is another one."""
    scope = (budget.entity_id, budget.cost_type, budget.provider, budget.model)
    budget.name = budget.name if change.name is None else change.name.strip()
    budget.owner = budget.owner if change.owner is None else change.owner
    budget.entity_id = budget.entity_id if change.entity is None else entity
    for field in ("cost_type", "provider", "model"):
        if getattr(change, field) is not None:
            setattr(budget, field, getattr(change, field))
    return scope != (budget.entity_id, budget.cost_type, budget.provider, budget.model)
