"""Numbers of objectives in words, the same on every page."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from django.utils import timezone

from slas.announcing import words
from slas.choices import Budgeting, SloState
from slas.models import Slo
from slas.services.statuses import decimal, ratio
from slas.standing import Standing

TONES: dict[str, Literal["neutral", "good", "warning", "bad"]] = {
    SloState.HEALTHY: "good",
    SloState.BURNING: "warning",
    SloState.EXHAUSTED: "bad",
    SloState.NO_DATA: "neutral",
}
CHIPS = {"healthy": "success", "burning": "warning", "exhausted": "danger", "no_data": "info"}
NOUNS = {Budgeting.OCCURRENCES: "events", Budgeting.TIMESLICES: "slices", Budgeting.RATIO_TIMESLICES: "slice shares"}


def percent(value: Fraction | Decimal | None, digits: int = 2) -> str:
    """Return a share as a percentage that never rounds up to 100 %; a dash for none."""
    if value is None:
        return "–"
    share = Fraction(value) * 100
    text = decimal(share, Decimal(1).scaleb(-digits))
    while share < 100 and text == 100 and digits < 9:
        digits += 1
        text = decimal(share, Decimal(1).scaleb(-digits))
    return f"{text:,f}".rstrip("0").rstrip(".") + " %" if "." in f"{text}" else f"{text:,f} %"


def window_text(slo: Slo) -> str:
    """Return an objective's window: 30 days, this month."""
    return f"{slo.window_days} days" if slo.window_days else f"calendar {slo.calendar_unit}, {slo.time_zone}"


def explanation(item: Standing) -> list[str]:
    """Return how an objective's number comes about, sentence by sentence."""
    if item.level.total <= 0:
        between = f"between {_at(item.period.start)} and {_at(item.as_of)}"
        return [f"Nothing was counted {between}: there is no figure, and that is not 100 %."]
    said = [*_measured(item), *_budgeted(item)]
    if item.firing is not None:
        pair = item.firing
        rate = item.burns[int(pair.long.total_seconds())]
        said.append(
            f"It burns {_factor(rate)} times faster than just sustainable over"
            f" {words(int(pair.long.total_seconds()))}, more than the {_factor(pair.factor)} that are worth telling,"
            f" and still does over the last {words(int(pair.short.total_seconds()))}."
        )
    return said


def _measured(item: Standing) -> list[str]:
    numbers, share = item.numbers, ratio(item)
    if numbers is None:
        return [f"The parts together reach {percent(share, 4)} between {_at(item.period.start)} and {_at(item.as_of)}."]
    noun = NOUNS[Budgeting(item.terms.budgeting)]
    good, total = numbers.good - numbers.excluded_good, numbers.total - numbers.excluded_total
    between = f"between {_at(item.period.start)} and {_at(item.as_of)}"
    said = [f"Of {total:,} {noun} {between}, {good:,} were good: {percent(share, 4)}."]
    if numbers.excluded_total or numbers.excluded_good:
        raw = Fraction(numbers.good, numbers.total)
        said.append(
            f"{numbers.excluded_total:,} more fell into excluded time and do not count; with them it would be"
            f" {percent(raw, 4)}."
        )
    return said


def _budgeted(item: Standing) -> list[str]:
    used, allowed = item.consumed, 1 - Fraction(item.terms.target)
    target = percent(item.terms.target, 6)
    if used is None:
        return []
    said = [
        f"{target} are promised, so {percent(allowed, 6)} may be bad"
        + (f" ({_number(item.budget)} in the whole window)" if item.budget is not None else "")
        + f"; {percent(used)} of that error budget is used and {percent(1 - used)} is left."
    ]
    if item.elapsed < 1:
        said.append(
            f"{percent(item.elapsed, 1)} of the period has passed; its budget is that of the events expected in all of"
            " it, those so far continued."
        )
    left = item.exhausted_in
    if left is not None and left > timedelta(0):
        note = "; old errors leave a rolling window, so it may last longer" if item.slo.window_days else ""
        said.append(f"At the pace of the last six hours the rest is used up in {_length(left)}{note}.")
    return said


def _number(value: Fraction | None) -> str:
    found = decimal(value, Decimal("0.1"))
    return "–" if found is None else f"{found:,f}".removesuffix(".0")


def _factor(value: Fraction | None) -> str:
    found = decimal(value, Decimal("0.01"))
    return "–" if found is None else f"{found.normalize():f}"


def rate_text(value: Fraction | None) -> str:
    """Return a burn rate with its sign of multiplication; a dash without data."""
    return "–" if value is None else f"{_factor(value)}×"


def _length(length: timedelta) -> str:
    hours = int(length.total_seconds()) // 3600
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours" if hours >= 2 else f"{hours * 60 or 60} minutes"


def _at(instant: datetime) -> str:
    return f"{timezone.localtime(instant):%Y-%m-%d %H:%M}"
