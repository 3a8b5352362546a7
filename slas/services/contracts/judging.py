"""What a contract's period comes to: measured, excluded as far as the contract allows, held against its tiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q

from core.money import CONTEXT, quantized
from core.ports.metrics import metrics
from core.windows import Window
from slas.buckets import EMPTY, Counts, counts
from slas.buckets.exclusions import spans
from slas.choices import AppliesTo, ContractMetric
from slas.credits import Allowed, ContractTerms, Occurrence, allowed, credit, credit_percent
from slas.downtime import Spans, common, down_runs, joined, judged, length, with_missing
from slas.models import Exclusion, SLAPeriod, Sli
from slas.periods import floored
from slas.services.downtime import bad_minutes, refresh_days

MINUTE_SECONDS = 60
WITHOUT_FEE = "The fee is not known: the metric it is read from has no value for this period."
WITHOUT_DATA = "Nothing was measured in this period: no availability and no credit."
BY_THE_HOUR = "{} days are known by the hour only: whole hours count as down."


@dataclass(frozen=True, slots=True)
class Judgement:
    """The columns of a period as they come out now; `credit` is None as long as the fee is not known."""

    revision: int
    counted_until: datetime
    raw_good: int
    raw_total: int
    good: int
    total: int
    excluded_minutes: int
    unmeasured_minutes: int
    exclusions: list[dict[str, Any]]
    currency: str
    fee: Decimal | None
    credit_percent: Decimal
    credit: Decimal | None
    note: str

    def columns(self) -> dict[str, Any]:
        """Return the values by column."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class _Measured:
    raw_good: int
    raw_total: int
    good: int
    total: int
    unmeasured: int
    note: str = ""


def judge(period: SLAPeriod, number: int, terms: ContractTerms, *, now: datetime) -> Judgement:
    """Measure a period up to now and hold it against these terms; writes nothing but the days of its minutes."""
    contract = period.contract
    window = Window(period.start, max(period.start, min(period.end, floored(now))))
    found = allowed(occurrences(contract.sli, Window(period.start, period.end)), terms)
    if terms.metric == ContractMetric.DOWNTIME_MINUTES:
        measured, rows = _by_minutes(contract.sli, window, terms, found, now)
    else:
        measured, rows = _by_requests(period, window, found, now)
    percent = credit_percent(measured.good, measured.total, terms.tiers, terms.cap_percent)
    fee = fee_of(terms, Window(period.start, period.end))
    return Judgement(
        revision=number,
        counted_until=window.end,
        raw_good=measured.raw_good,
        raw_total=measured.raw_total,
        good=measured.good,
        total=measured.total,
        excluded_minutes=length(_minutes(part for item in found for part in item.counted)),
        unmeasured_minutes=measured.unmeasured,
        exclusions=rows,
        currency=terms.currency,
        fee=fee,
        credit_percent=percent,
        credit=_credit(fee, percent, terms.currency),
        note=" ".join(filter(None, (measured.note, WITHOUT_FEE if fee is None else "", _no_data(measured)))),
    )


def _credit(fee: Decimal | None, percent: Decimal, currency: str) -> Decimal | None:
    if not percent:
        # Nothing is due whatever the fee.
        return Decimal(0)
    return None if fee is None else credit(fee, percent, currency)


def occurrences(sli: Sli, window: Window) -> list[Occurrence]:
    """Return every stretch of a window that an exclusion for contracts names, approved or not."""
    scope = (Q(service=None) | Q(service=sli.service_id)) & (Q(sli=None) | Q(sli=sli.pk))
    near = Q(starts_at__lt=window.end) & (Q(ends_at__gt=window.start) | ~Q(recurrence=""))
    kinds = Q(applies_to__in=(AppliesTo.SLA, AppliesTo.BOTH), withdrawn_at=None)
    return [
        Occurrence(str(row.pk), row.reason, row.category, span, row.announced_at, approved=bool(row.approved_by))
        for row in Exclusion.objects.filter(scope & near & kinds).order_by("starts_at", "pk")
        for span in spans(row, window)
    ]


def fee_of(terms: ContractTerms, window: Window) -> Decimal | None:
    """Return the fee of a period: the amount of its terms, or what the metric adds up to over it; None if unknown."""
    if not terms.fee_metric:
        return terms.fee
    if terms.fee_metric not in metrics:
        return None
    wanted = [dict(terms.fee_labels)] if terms.fee_labels else None
    samples = metrics.get(terms.fee_metric).read(window, wanted, None)
    values = [sample.value for sample in samples if sample.value is not None]
    total = Decimal(0)
    for value in values:
        total = CONTEXT.add(total, value)
    return quantized(total) if values else None


def _by_minutes(
    sli: Sli, window: Window, terms: ContractTerms, found: Sequence[Allowed], now: datetime
) -> tuple[_Measured, list[dict[str, Any]]]:
    # A run that began before the period, or goes on after it, counts with its whole length.
    margin = timedelta(minutes=terms.min_consecutive_minutes)
    around = Window(window.start - margin, min(window.end + margin, max(window.end, floored(now))))
    refresh_days(sli, terms.error_share, around, now=now)
    bad, measured, coarse = bad_minutes(sli, terms.error_share, around)
    stretch = _span(window)
    bad, left_out = with_missing(bad, measured, _span(around), sli.no_data)
    # Without a single measurement there is nothing to hold on to, whatever the policy says of a gap.
    left_out = left_out if common(measured, [stretch]) else [stretch]
    down = down_runs(bad, terms.min_consecutive_minutes)
    excluded = _minutes(part for item in found for part in item.counted)
    whole = judged(down, left_out, excluded, stretch)
    rows = [_row(item, {"down_minutes": length(common(down, _minutes(item.counted)))}) for item in found]
    note = BY_THE_HOUR.format(coarse) if coarse else ""
    return _Measured(
        raw_good=whole.raw_total - whole.raw_down,
        raw_total=whole.raw_total,
        good=whole.total - whole.down,
        total=whole.total,
        unmeasured=whole.unmeasured,
        note=note,
    ), rows


def _by_requests(
    period: SLAPeriod, window: Window, found: Sequence[Allowed], now: datetime
) -> tuple[_Measured, list[dict[str, Any]]]:
    parts = [_until(part, window.end) for item in found for part in item.counted]
    read = counts([period.contract.sli], [window, *parts])
    whole = read.get((period.contract.sli_id, window), EMPTY)
    settled = _settled(period)
    good, total, rows = whole.good, whole.total, []
    for item in found:
        taken = settled.get(_key(item)) or _sum(read, period.contract.sli_id, item, window.end)
        good, total = good - taken["good"], total - taken["total"]
        lateness = timedelta(seconds=period.contract.sli.lateness_seconds)
        over = all(part.end + lateness <= now for part in item.counted)
        rows.append(_row(item, {**taken, "settled": over}))
    return _Measured(whole.good, whole.total, good, total, unmeasured=0), rows


def _sum(read: Mapping[tuple[Any, Window], Counts], sli: Any, item: Allowed, until: datetime) -> dict[str, int]:
    found = [read.get((sli, _until(part, until)), EMPTY) for part in item.counted]
    return {"good": sum(count.good for count in found), "total": sum(count.total for count in found)}


def _settled(period: SLAPeriod) -> dict[tuple[str, str], dict[str, int]]:
    """Return what was counted of exclusions after the last event for them could come.

    Minutes are not kept for ever: asked again later, an edge inside an hour would be taken to the whole hour.
    """
    return {
        (row["exclusion"], str(row["counted"])): {"good": row["good"], "total": row["total"]}
        for row in period.exclusions
        if row.get("settled")
    }


def _key(item: Allowed) -> tuple[str, str]:
    return item.occurrence.exclusion, str(_texts(item.counted))


def _row(item: Allowed, measured: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "exclusion": item.occurrence.exclusion,
        "reason": item.occurrence.reason,
        "category": item.occurrence.category,
        "start": _text(item.occurrence.span.start),
        "end": _text(item.occurrence.span.end),
        "counted": _texts(item.counted),
        "minutes": length(_minutes(item.counted)),
        "why": item.why,
        **measured,
    }


def _texts(windows: Sequence[Window]) -> list[list[str]]:
    return [[_text(window.start), _text(window.end)] for window in windows]


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _until(part: Window, end: datetime) -> Window:
    return Window(min(part.start, end), min(part.end, end))


def _minutes(windows: Any) -> Spans:
    """Return the minutes whose beginning lies in the windows."""
    return joined(_span(window) for window in windows)


def _span(window: Window) -> tuple[int, int]:
    return _minute(window.start), _minute(window.end)


def _minute(at: datetime) -> int:
    return -(-int(at.timestamp()) // MINUTE_SECONDS)


def _no_data(measured: _Measured) -> str:
    return "" if measured.total else WITHOUT_DATA
