"""Exchange rates: recording them, and the rate of a date.

A rate is never edited: a later row for the same date supersedes it for events that are recorded from then on. What an
event's base amount was converted with stays with the event.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import OuterRef, Q, Subquery

from core import audit
from core.errors import Conflict, FieldError, Invalid
from core.money import CONTEXT, quantized
from costs.models import Currency, FxRate

MOST_DECIMALS = 12
LARGEST_RATE = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class FxQuote:
    """What one unit of a currency was worth, as an exact quotient, and the row that says so.

    Through a common currency two rows are needed; `rate_id` is then the one that names the converted currency.
    """

    numerator: Decimal
    denominator: Decimal
    rate_id: int
    as_of_date: date

    def convert(self, amount: Decimal) -> Decimal:
        """Return the amount in the other currency, rounded half-even to 12 decimals once."""
        return quantized(CONTEXT.divide(CONTEXT.multiply(amount, self.numerator), self.denominator))


class RateTable:
    """Rates of some pairs of currencies; asks no database. The latest rate on or before a date counts."""

    def __init__(self, rows: Iterable[FxRate]) -> None:
        self._series: dict[tuple[str, str], list[FxRate]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: (row.as_of_date, row.pk)):
            self._series[row.base, row.quote].append(row)
        self._dates = {pair: [row.as_of_date for row in series] for pair, series in self._series.items()}
        self._known: dict[tuple[str, str, date], FxQuote | None] = {}

    def quote(self, base: str, quote: str, on: date) -> FxQuote | None:
        """Return the rate from `base` to `quote`: given either way round, or through a currency common to both."""
        key = (base, quote, on)
        if key not in self._known:
            self._known[key] = self._direct(base, quote, on) or self._through(base, quote, on)
        return self._known[key]

    def _latest(self, base: str, quote: str, on: date) -> FxRate | None:
        index = bisect_right(self._dates.get((base, quote), ()), on)
        return self._series[base, quote][index - 1] if index else None

    def _direct(self, base: str, quote: str, on: date) -> FxQuote | None:
        there, back = self._latest(base, quote, on), self._latest(quote, base, on)
        if there and (back is None or back.as_of_date <= there.as_of_date):
            return FxQuote(there.rate, Decimal(1), there.pk, there.as_of_date)
        return FxQuote(Decimal(1), back.rate, back.pk, back.as_of_date) if back else None

    def _through(self, base: str, quote: str, on: date) -> FxQuote | None:
        middles = sorted({code for pair in self._series for code in pair} - {base, quote})
        for middle in middles:
            first, second = self._direct(base, middle, on), self._direct(middle, quote, on)
            if first and second:
                return FxQuote(
                    CONTEXT.multiply(first.numerator, second.numerator),
                    CONTEXT.multiply(first.denominator, second.denominator),
                    first.rate_id,
                    min(first.as_of_date, second.as_of_date),
                )
        return None


def rate_on(base: str, quote: str, on: date) -> FxQuote | None:
    """Return the rate of a date, or None when none is known on or before it."""
    return rates_for({base}, quote, on, on).quote(base, quote, on)


def rates_for(currencies: Iterable[str], quote: str, first: date, last: date) -> RateTable:
    """Load, by one query, what converts these currencies into `quote` on any date from `first` to `last`."""
    codes = {*currencies, quote}
    among = FxRate.objects.filter(Q(base__in=codes) | Q(quote__in=codes))
    before = FxRate.objects.filter(base=OuterRef("base"), quote=OuterRef("quote"), as_of_date__lte=first)
    newest = Subquery(before.order_by("-as_of_date").values("as_of_date")[:1])
    rows = among.filter(Q(as_of_date__gt=first, as_of_date__lte=last) | Q(as_of_date=newest))
    return RateTable(rows)


def record_rate(  # one argument for each column
    *, base: str, quote: str, rate: Decimal, as_of_date: date, source: str, now: datetime
) -> FxRate:
    """Record that one unit of `base` was worth `rate` units of `quote` on a date.

    Raises Invalid with every mistake, and Conflict when this source has given another rate for that date already;
    giving the same rate again changes nothing.
    """
    mistakes = rate_mistakes(base=base, quote=quote, rate=rate, as_of_date=as_of_date, source=source, now=now)
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)
    values = {"base": base, "quote": quote, "as_of_date": as_of_date, "source": source}
    try:
        with transaction.atomic():
            row = FxRate.objects.create(**values, rate=rate, recorded_at=now)
            audit.record("fx_rate.recorded", row, now=now, after={**values, "rate": rate})
            return row
    except IntegrityError:
        known = FxRate.objects.get(**values)
        if known.rate != rate:
            detail = f"{source} has given {known.rate} for {base}/{quote} on {as_of_date} already; name another source"
            raise Conflict(detail) from None
        return known


def rate_mistakes(  # one argument for each column
    *, base: str, quote: str, rate: Decimal, as_of_date: date, source: str, now: datetime
) -> list[FieldError]:
    """Return what is wrong with a rate before it is recorded."""
    found = []
    known = set(Currency.objects.filter(code__in=[base, quote]).values_list("code", flat=True))
    for name, code in (("base", base), ("quote", quote)):
        if code not in known:
            found.append(FieldError(f"/{name}", "unknown_currency", f"{code!r} is not a known currency"))
    if base == quote:
        found.append(FieldError("/quote", "same_currency", "a rate is between two currencies"))
    if not rate.is_finite() or not 0 < rate < LARGEST_RATE:
        found.append(FieldError("/rate", "out_of_range", "a rate is more than 0 and less than 10^12"))
    elif rate != rate.quantize(Decimal(1).scaleb(-MOST_DECIMALS), context=CONTEXT):
        found.append(FieldError("/rate", "max_decimals", f"a rate has at most {MOST_DECIMALS} decimals"))
    if as_of_date > now.astimezone(UTC).date():
        found.append(FieldError("/as_of_date", "future", "a rate of a future date is not known yet"))
    if not source.strip() or len(source) > 80:
        found.append(FieldError("/source", "length", "a source has 1 to 80 characters"))
    return found


def base_currency() -> str:
    """Return the code of the organisation's currency."""
    code: str = settings.BASE_CURRENCY
    return code
