"""What a contract's terms make of what was measured. No database; nothing is rounded before it is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from core.money import CONTEXT, money, round_to_minor_units, to_text
from core.windows import Window
from slas.choices import ExclusionCategory

HUNDRED = Decimal(100)
# Currencies of ISO 4217 whose minor unit is not a hundredth.
MINOR_UNITS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF",
         "XOF", "XPF"), 0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tier:
    """Below so many percent of availability, so many percent of the fee are credited."""

    below: Decimal
    credit_percent: Decimal


@dataclass(frozen=True, slots=True)
class ContractTerms:
    """What a contract says; see `SLAContract` for the meaning and units of each field."""

    metric: str = "downtime_minutes"
    error_share: Decimal = Decimal("0.05")
    min_consecutive_minutes: int = 1
    notice_hours: int = 72
    max_excluded_minutes: int | None = None
    cap_percent: Decimal = HUNDRED
    claim_days: int = 30
    provisional_days: int = 3
    currency: str = "USD"
    fee: Decimal | None = None
    fee_metric: str = ""
    fee_labels: Mapping[str, str] = field(default_factory=dict)
    tiers: tuple[Tier, ...] = ()

    @property
    def promised(self) -> Decimal:
        """The availability in percent below which the first credit is due."""
        return max(tier.below for tier in self.tiers)

    def to_json(self) -> dict[str, Any]:
        """Return the terms for a JSON column; decimals are text."""
        values = {name: to_text(value) if isinstance(value, Decimal) else value for name, value in _plain(self).items()}
        values["tiers"] = [[to_text(tier.below), to_text(tier.credit_percent)] for tier in self.tiers]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ContractTerms:
        """Return the terms that `to_json` wrote."""
        given = dict(values)
        for name in ("error_share", "cap_percent", "fee"):
            if given.get(name) is not None:
                given[name] = Decimal(given[name])
        tiers = tuple(Tier(Decimal(below), Decimal(percent)) for below, percent in given.pop("tiers"))
        return cls(**given, tiers=tiers)


def _plain(terms: ContractTerms) -> dict[str, Any]:
    return asdict(replace(terms, tiers=()))


def availability(good: int, total: int) -> Fraction | None:
    """Return the share of what was good in percent, exactly; None when nothing counted."""
    return Fraction(good * 100, total) if total else None


def shown(value: Fraction | None, places: int = 6) -> str:
    """Return an availability for reading, cut off rather than rounded, so that 99.8999999 never reads as 99.9."""
    if value is None:
        return "no data"
    whole, rest = divmod(value.numerator * 10**places // value.denominator, 10**places)
    text = f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".")
    return f"{text} %"


def credit_percent(good: int, total: int, tiers: Sequence[Tier], cap: Decimal) -> Decimal:
    """Return the percent of the fee to be credited: the most that a tier gives, at most the cap; none without data.

    The comparison is between fractions: 99.895 % is below 99.9 %, whatever either looks like rounded.
    """
    value = availability(good, total)
    if value is None:
        return Decimal(0)
    due = [tier.credit_percent for tier in tiers if value < Fraction(tier.below)]
    return min(cap, max(due, default=Decimal(0)))


def credit(fee: Decimal, percent: Decimal, currency: str) -> Decimal:
    """Return percent of the fee, rounded once, half-even, to the minor units of the currency."""
    exact = CONTEXT.multiply(fee, percent).scaleb(-2, CONTEXT)
    return money(round_to_minor_units(exact, MINOR_UNITS.get(currency, 2)))


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that an exclusion takes a stretch out of a period, as far as the contract allows."""

    exclusion: str
    reason: str
    category: str
    span: Window
    announced_at: datetime | None
    approved: bool = True


@dataclass(frozen=True, slots=True)
class Allowed:
    """What counts of an occurrence, and in words why the rest does not."""

    occurrence: Occurrence
    counted: tuple[Window, ...]
    why: str = ""


def allowed(occurrences: Sequence[Occurrence], terms: ContractTerms) -> list[Allowed]:
    """Return what the contract lets be excluded, in order of time; no minute is excluded twice.

    Planned maintenance needs its notice before each occurrence; what lies past the period's most excluded minutes
    does not count.
    """
    found: list[Allowed] = []
    taken: list[Window] = []
    left = terms.max_excluded_minutes
    for occurrence in sorted(occurrences, key=lambda item: (item.span.start, item.exclusion)):
        why = _refused(occurrence, terms)
        parts = [] if why else _free(occurrence.span, taken)
        if not why and not parts:
            why = "another exclusion covers these minutes already"
        if left is not None and parts:
            parts, cut = _first_minutes(parts, left)
            why = f"more than the {terms.max_excluded_minutes} minutes that may be excluded per period" if cut else ""
            left -= sum(_minutes(part) for part in parts)
        taken += parts
        found.append(Allowed(occurrence, tuple(parts), why))
    return found


def _refused(occurrence: Occurrence, terms: ContractTerms) -> str:
    if not occurrence.approved:
        return "nobody has approved it"
    if occurrence.category != ExclusionCategory.PLANNED or not terms.notice_hours:
        return ""
    if occurrence.announced_at is None:
        return f"it was never announced; the contract asks for {terms.notice_hours} hours of notice"
    notice = occurrence.span.start - occurrence.announced_at
    if notice < timedelta(hours=terms.notice_hours):
        given = max(0, int(notice.total_seconds() // 3600))
        return f"announced {given} hours ahead; the contract asks for {terms.notice_hours}"
    return ""


def _free(span: Window, taken: Sequence[Window]) -> list[Window]:
    """Return the parts of a span that nothing has taken yet; `taken` lies in order of time."""
    parts, at = [], span.start
    for other in sorted(taken, key=lambda item: item.start):
        if other.end <= at or other.start >= span.end:
            continue
        if other.start > at:
            parts.append(Window(at, other.start))
        at = max(at, other.end)
    if at < span.end:
        parts.append(Window(at, span.end))
    return parts


def _first_minutes(parts: Sequence[Window], left: int) -> tuple[list[Window], bool]:
    """Return the first minutes of the parts, and whether any was cut off."""
    found, cut = [], False
    for part in parts:
        take = min(left, _minutes(part))
        cut = cut or take < _minutes(part)
        if take:
            found.append(Window(part.start, part.start + timedelta(minutes=take)))
        left -= take
    return found, cut


def _minutes(window: Window) -> int:
    return int(window.length.total_seconds()) // 60
