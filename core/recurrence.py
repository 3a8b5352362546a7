"""Spans of time that come back by a recurrence rule (RFC 5545, RRULE), in the local time of a time zone.

A span that starts at 01:00 starts at 01:00 in summer and in winter. Where the clocks skip its start or end, that is
the instant after the gap; where they show it twice, the first time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from core.errors import FieldError, Invalid
from core.windows import Window

FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
MOST_OCCURRENCES = 10_000
LONGEST_RECURRENCE = timedelta(days=3 * 366)
_RULE = re.compile(r"(?:RRULE:)?([A-Z]+=[A-Z0-9,+\-]+(?:;[A-Z]+=[A-Z0-9,+\-]+)*)")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The first span and the rule by which it comes back, until an instant; without a rule it is the only one."""

    first: Window
    rule: str = ""
    until: datetime | None = None
    zone: str = "UTC"

    @property
    def end(self) -> datetime:
        """When the last span is over."""
        if not self.rule:
            return self.first.end
        *_, last = self.spans()
        return last.end

    def spans(self) -> Iterator[Window]:
        """Yield every span in order of its start."""
        if not self.rule:
            yield self.first
            return
        yield from _spans(self)

    def at(self, instant: datetime) -> Window | None:
        """Return the span that holds an instant, or None."""
        if instant < self.first.start:
            return None
        return next((span for span in reversed(self._begun(instant)) if instant in span), None)

    def following(self, instant: datetime) -> Window | None:
        """Return the first span that starts after an instant, or None."""
        return next((span for span in self.spans() if span.start > instant), None)

    def _begun(self, instant: datetime) -> list[Window]:
        return list(takewhile(lambda span: span.start <= instant, self.spans()))


def check_recurrence(first: Window, rule: str, until: datetime | None, zone: str) -> Recurrence:
    """Return a recurrence that ends and whose spans do not overlap; raises Invalid with a pointer to what is wrong."""
    if not rule:
        return Recurrence(first)
    found = _RULE.fullmatch(rule.strip())
    if found is None:
        raise _invalid("/recurrence", "write a rule such as FREQ=WEEKLY;BYDAY=SU")
    parts = dict(part.split("=", 1) for part in found[1].split(";"))
    if parts.get("FREQ") not in FREQUENCIES:
        raise _invalid("/recurrence", f"FREQ is one of {', '.join(FREQUENCIES)}")
    if until is None and not {"UNTIL", "COUNT"} & set(parts):
        raise _invalid("/recurs_until", "what recurs needs an end: recurs_until, or COUNT or UNTIL in the rule")
    if until is not None and until - first.start > LONGEST_RECURRENCE:
        raise _invalid("/recurs_until", "it recurs for at most three years")
    recurrence = Recurrence(first, found[1], until, zone)
    _require_sound(recurrence)
    return recurrence


def _require_sound(recurrence: Recurrence) -> None:
    try:
        spans = list(recurrence.spans())
    except (ValueError, TypeError, OverflowError) as error:
        raise _invalid("/recurrence", f"this is no recurrence rule: {error}") from error
    if not spans:
        raise _invalid("/recurrence", "by this rule it never begins")
    if len(spans) >= MOST_OCCURRENCES:
        raise _invalid("/recurrence", f"it comes back at most {MOST_OCCURRENCES - 1} times")
    if spans[-1].start - recurrence.first.start > LONGEST_RECURRENCE:
        raise _invalid("/recurrence", "it recurs for at most three years")
    if any(before.end > after.start for before, after in pairwise(spans)):
        raise _invalid("/recurrence", "it would begin again before it is over: give one longer span instead")


@lru_cache(maxsize=256)
def _spans(recurrence: Recurrence) -> tuple[Window, ...]:
    from dateutil.rrule import rrulestr

    zone = ZoneInfo(recurrence.zone)
    start = recurrence.first.start.astimezone(zone).replace(tzinfo=None)
    length = recurrence.first.end.astimezone(zone).replace(tzinfo=None) - start
    # UNTIL in UTC is made local, as everything else here is.
    rule = rrulestr(_local_until(recurrence.rule, zone), dtstart=start)
    windows = (_window(begin, begin + length, zone) for begin in islice(rule, MOST_OCCURRENCES))
    spans = (window for window in windows if window is not None)
    until = recurrence.until
    return tuple(spans if until is None else takewhile(lambda span: span.start <= until, spans))


def _window(start: datetime, end: datetime, zone: ZoneInfo) -> Window | None:
    """Return the instants of a local span; None when the clocks skip all of it."""
    begin, over = (local.replace(tzinfo=zone).astimezone(UTC) for local in (start, end))
    return Window(begin, over) if begin < over else None


def _local_until(rule: str, zone: ZoneInfo) -> str:
    def local(found: re.Match[str]) -> str:
        instant = datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return f"UNTIL={instant.astimezone(zone):%Y%m%dT%H%M%S}"

    return re.sub(r"UNTIL=(\d{8}T\d{6}Z)", local, rule)


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code="invalid_recurrence", errors=[FieldError(pointer, "invalid_recurrence", detail)])
