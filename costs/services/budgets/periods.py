"""The period rows of budgets: made when first needed, with the limit in force and the rate of their beginning.

Whoever revises a budget locks its row, and whoever makes one of its periods shares that lock: a period is either made
with the revision or found by it. An existing period's limit is refreshed under the lock of the period alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from core.errors import FieldError, Invalid
from core.windows import Window
from costs.models import Budget, BudgetPeriod, BudgetRevision
from costs.services import fx
from costs.services.budgets.revisions import Limit, limit_in_force

ONE = Decimal(1)
_INSTANT = timedelta(microseconds=1)


class RateMissing(Invalid):
    """No exchange rate says what the budget's currency is worth in the organisation's."""

    code = "rate_missing"


def create_periods(wanted: Iterable[tuple[UUID, Window]], *, now: datetime) -> None:
    """Make the periods that are not there yet; two at once make each of them once. Raises RateMissing."""
    ordered = sorted(set(wanted), key=lambda pair: (pair[0], pair[1].start))
    with transaction.atomic():
        budgets = {budget.id: budget for budget in _shared({budget for budget, _ in ordered})}
        revisions = _revisions(budgets)
        BudgetPeriod.objects.bulk_create(
            [
                _period(budgets[key], window, limit_in_force(revisions[key], _clamped(now, window)), now)
                for key, window in ordered
                if key in budgets
            ],
            ignore_conflicts=True,
        )


def refresh_limits(periods: Collection[int], *, now: datetime) -> None:
    """Bring the limit of these periods to the revisions in force; the caller holds the lock of each period."""
    rows = list(BudgetPeriod.objects.filter(id__in=periods).order_by("id"))
    revisions = _revisions({row.budget_id for row in rows})
    for row in rows:
        limit = limit_in_force(revisions[row.budget_id], _clamped(now, Window(row.start_at, row.end_at)))
        BudgetPeriod.objects.filter(id=row.id).update(limit=limit.amount, limit_until=_until(limit, row.end_at))


def lock_periods(periods: QuerySet[BudgetPeriod]) -> list[BudgetPeriod]:
    """Lock and read these periods in the one order that everybody locks them in."""
    locked = periods.order_by("id")
    if connection.vendor == "postgresql":
        locked = locked.select_for_update(of=("self",), no_key=True)
    return list(locked)


def refresh_stale(periods: QuerySet[BudgetPeriod], *, now: datetime) -> int:
    """Bring the limits that ended among these periods up to date, in a transaction of its own; returns how many."""
    with transaction.atomic():
        locked = lock_periods(periods.filter(limit_until__lte=now, end_at__gt=now))
        refresh_limits([row.id for row in locked], now=now)
    return len(locked)


def rate_of(currency: str, *days: date) -> Decimal:
    """Return how many units of `currency` one unit of the organisation's is worth, on the first of these days known.

    Raises RateMissing when no rate was recorded for any of them or before.
    """
    base = settings.BASE_CURRENCY
    if currency == base:
        return ONE
    for day in days:
        quote = fx.rate_on(base, currency, day)
        if quote is not None:
            return quote.convert(ONE)
    detail = f"There is no exchange rate between {base} and {currency}: record one first."
    raise RateMissing(detail, errors=[FieldError("/currency", "rate_missing", detail)])


def _shared(ids: Collection[UUID]) -> list[Budget]:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Excludes a revision in progress and nobody else; Django has no FOR SHARE.
            cursor.execute("SELECT 1 FROM costs_budget WHERE id = ANY(%s) ORDER BY id FOR SHARE", [sorted(ids)])
    return list(Budget.objects.filter(id__in=ids))


def _revisions(budgets: Collection[UUID] | dict[UUID, Budget]) -> dict[UUID, list[BudgetRevision]]:
    found: dict[UUID, list[BudgetRevision]] = defaultdict(list)
    for revision in BudgetRevision.objects.filter(budget_id__in=list(budgets)).order_by("-effective_from", "-id"):
        found[revision.budget_id].append(revision)
    return found


def _period(budget: Budget, window: Window, limit: Limit, now: datetime) -> BudgetPeriod:
    zone = ZoneInfo(budget.time_zone)
    return BudgetPeriod(
        budget=budget,
        start_at=window.start,
        end_at=window.end,
        limit=limit.amount,
        limit_until=_until(limit, window.end),
        rate=rate_of(budget.currency, window.start.astimezone(zone).date(), now.astimezone(zone).date()),
    )


def _clamped(now: datetime, window: Window) -> datetime:
    return min(max(now, window.start), window.end - _INSTANT)


def _until(limit: Limit, end: datetime) -> datetime | None:
    return limit.until if limit.until is not None and limit.until < end else None
