"""Which minutes of an indicator were bad, kept by day so that they outlive the minute buckets they are made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction

from core.windows import Window
from slas.buckets import rows
from slas.downtime import Spans, is_bad, joined
from slas.models import DowntimeDay, Sli

DAY = timedelta(days=1)
MINUTE_SECONDS, HOUR_SECONDS = 60, 3_600


def refresh_days(sli: Sli, error_share: Decimal, window: Window, *, now: datetime) -> int:
    """Bring the days of a window up to date with the buckets and return how many were written anew.

    A day is settled once it was computed after the last event that may still come for it; settled ones stay.
    """
    lateness = timedelta(seconds=sli.lateness_seconds)
    known = dict(
        DowntimeDay.objects.filter(sli=sli, error_share=error_share, **_within(window)).values_list(
            "day", "computed_at"
        )
    )
    due = [
        day
        for day in _days(Window(window.start, max(window.start, min(window.end, now))))
        if day not in known or known[day] < _midnight(day + DAY) + lateness
    ]
    made = [_computed(sli, day, error_share, now) for day in due]
    with transaction.atomic():
        DowntimeDay.objects.bulk_create(
            made,
            update_conflicts=True,
            unique_fields=["sli", "day", "error_share"],
            update_fields=["resolution", "measured", "bad", "computed_at"],
        )
    return len(made)


def bad_minutes(sli: Sli, error_share: Decimal, window: Window) -> tuple[Spans, Spans, int]:
    """Return the bad minutes, the measured minutes (since 1970), and how many days are known by the hour only.

    Whole days around the window are returned, so that a run over its edge is seen whole.
    """
    bad: Spans = []
    measured: Spans = []
    coarse = 0
    for row in DowntimeDay.objects.filter(sli=sli, error_share=error_share, **_within(window)).order_by("day"):
        first = int(_midnight(row.day).timestamp()) // MINUTE_SECONDS
        bad += [(first + start, first + end) for start, end in row.bad]
        measured += [(first + start, first + end) for start, end in row.measured]
        coarse += row.resolution != MINUTE_SECONDS
    return joined(bad), joined(measured), coarse


def _computed(sli: Sli, day: date, error_share: Decimal, now: datetime) -> DowntimeDay:
    window = Window(_midnight(day), _midnight(day + DAY))
    found, resolution = rows(sli, window, MINUTE_SECONDS), MINUTE_SECONDS
    if not found and (hours := rows(sli, window, HOUR_SECONDS)):
        found, resolution = hours, HOUR_SECONDS
    filled = [row for row in found if row.numbers.total]
    bad = [row for row in filled if is_bad(row.numbers.good, row.numbers.total, error_share)]
    return DowntimeDay(
        sli=sli,
        day=day,
        error_share=error_share,
        resolution=resolution,
        measured=_spans(filled, window.start, resolution),
        bad=_spans(bad, window.start, resolution),
        computed_at=now,
    )


def _spans(found: Iterable[Any], midnight: datetime, resolution: int) -> Spans:
    first, width = int(midnight.timestamp()), resolution // MINUTE_SECONDS
    starts = ((row.start - first) // MINUTE_SECONDS for row in found)
    return joined((start, start + width) for start in starts)


def _within(window: Window) -> dict[str, date]:
    last = (window.end - timedelta(microseconds=1)).astimezone(UTC).date()
    return {"day__gte": window.start.astimezone(UTC).date(), "day__lte": last}


def _days(window: Window) -> Iterator[date]:
    day = window.start.astimezone(UTC).date()
    while _midnight(day) < window.end:
        yield day
        day += DAY


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
