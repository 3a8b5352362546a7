"""Periods are opened, followed and closed. Any number of closers may be at it at once, and be killed anywhere.

Every period is judged and written in one transaction of its own. A step forward is one conditional UPDATE that writes
the numbers with the status, so the credit is computed with the step to final, and there is one such step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from core import audit
from core.money import to_text
from core.windows import Window
from slas.choices import MOVING_PERIODS, PeriodStatus
from slas.credits import availability, shown
from slas.models import SLAContract, SLAPeriod
from slas.periods import calendar
from slas.services.contracts.definitions import contract_window, period_at, terms_for
from slas.services.contracts.judging import Judgement, judge
from slas.services.contracts.standing import silence, tell, tell_credit

MOST_OPENED = 400


@dataclass(frozen=True, slots=True)
class Closed:
    """How many periods were opened, judged, made provisional and made final."""

    opened: int = 0
    judged: int = 0
    provisional: int = 0
    final: int = 0


def close_due(*, now: datetime) -> Closed:
    """Open the periods that have begun, judge all that still move, and close those whose time has come."""
    opened = sum(open_periods(contract, now=now) for contract in _in_force(now))
    outcomes, failures = [], []
    for period_id in _moving(now):
        try:
            outcomes.append(follow(period_id, now=now))
        except Exception as error:  # noqa: BLE001  # raised below: one period must not keep the others open
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{len(failures)} periods could not be judged", failures)
    return Closed(
        opened=opened,
        judged=sum(status is not None for status in outcomes),
        provisional=outcomes.count(PeriodStatus.PROVISIONAL),
        final=outcomes.count(PeriodStatus.FINAL),
    )


def open_periods(contract: SLAContract, *, now: datetime) -> int:
    """Make the rows of every period of a contract up to the one that holds now; return how many are new."""
    made = []
    for window in _begun(contract, now):
        number, terms = terms_for(contract, window.start)
        made.append(
            SLAPeriod(
                contract=contract,
                start=window.start,
                end=window.end,
                revision=number,
                currency=terms.currency,
                status_at=now,
            )
        )
    with transaction.atomic():
        before = SLAPeriod.objects.filter(contract=contract).count()
        SLAPeriod.objects.bulk_create(made, ignore_conflicts=True)
        return SLAPeriod.objects.filter(contract=contract).count() - before


@transaction.atomic
def follow(period_id: UUID, *, now: datetime) -> str | None:
    """Judge one period anew and take it as far as its time allows.

    Returns the status it was moved to, an empty text when it stayed where it was, None when somebody else was first.
    """
    period = (
        SLAPeriod.objects.select_related("contract__customer", "contract__service", "contract__sli")
        .filter(pk=period_id, status__in=MOVING_PERIODS)
        .first()
    )
    if period is None:
        return None
    number, terms = terms_for(period.contract, period.start)
    found = judge(period, number, terms, now=now)
    before, wanted = period.status, _status(period, found, terms.provisional_days, now)
    if not _write(period, found, wanted, now):
        return None
    period.refresh_from_db()
    if now < period.end:
        tell(period, terms, now=now)
        return ""
    if before == wanted:
        return ""
    if not SLAPeriod.objects.filter(contract=period.contract_id, start__gte=period.end).exists():
        silence(period.contract, period, now=now)
    tell_credit(period, now=now)
    audit.record(f"contract.period_{wanted}", period, now=now, before={"status": before}, after=_told(period))
    return wanted


def _status(period: SLAPeriod, found: Judgement, provisional_days: int, now: datetime) -> str:
    """Return how far the period may go: never over a status, and not to final while its fee is not known."""
    if now < period.end:
        return PeriodStatus.OPEN
    if period.status == PeriodStatus.OPEN:
        return PeriodStatus.PROVISIONAL
    final = now >= period.end + timedelta(days=provisional_days) and found.credit is not None
    return PeriodStatus.FINAL if final else PeriodStatus.PROVISIONAL


def _write(period: SLAPeriod, found: Judgement, wanted: str, now: datetime) -> bool:
    """Write what was found with the status; False when the period has moved on, or was judged later than now."""
    moved = (
        {"status": wanted, "status_at": now, "status_by": "", "status_reason": ""} if wanted != period.status else {}
    )
    final = {"final_at": now} if wanted == PeriodStatus.FINAL else {}
    not_later = Q(evaluated_at=None) | Q(evaluated_at__lte=now)
    current = SLAPeriod.objects.filter(not_later, pk=period.pk, status=period.status, end=period.end)
    return current.update(**found.columns(), **moved, **final, evaluated_at=now) == 1


def _told(period: SLAPeriod) -> dict[str, object]:
    return {
        "status": period.status,
        "availability": shown(availability(period.good, period.total), 12),
        "good": period.good,
        "total": period.total,
        "excluded_minutes": period.excluded_minutes,
        "credit_percent": period.credit_percent,
        "credit": None if period.credit is None else f"{to_text(period.credit)} {period.currency}",
    }


def _begun(contract: SLAContract, now: datetime) -> Iterator[Window]:
    """Yield the periods that have begun, from the one after the last known on."""
    last = contract.periods.order_by("-end").values_list("end", flat=True).first()
    at = last or contract_window(contract).start
    for _ in range(MOST_OPENED):
        window = period_at(contract, at) if at <= now else None
        if window is None:
            return
        yield window
        at = calendar(contract.period_unit, at, contract.time_zone).end


def _in_force(now: datetime) -> Iterator[SLAContract]:
    begun = SLAContract.objects.filter(starts_on__lte=now.date() + timedelta(days=1))
    yield from begun.select_related("sli").prefetch_related("revisions").order_by("pk")


def _moving(now: datetime) -> list[UUID]:
    rows = SLAPeriod.objects.filter(status__in=MOVING_PERIODS, start__lte=now).order_by("contract", "start")
    return list(rows.values_list("pk", flat=True))
