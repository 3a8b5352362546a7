"""Import of exchange rates from lines of text: each line is judged first, and the good ones are written together."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from django.db import transaction

from costs.models import FxRate
from costs.services.fx import rate_mistakes, record_rate

COLUMNS = ("base", "quote", "rate", "date")
MOST_LINES = 5000


@dataclass(frozen=True, slots=True)
class RateLine:
    """One line of the file: what it says, and what is wrong with it."""

    number: int
    base: str
    quote: str
    rate: Decimal | None
    as_of_date: date | None
    source: str
    mistakes: tuple[str, ...] = ()
    known: bool = False

    @property
    def is_good(self) -> bool:
        """Whether the line can be written."""
        return not self.mistakes


def read_rates(text: str, *, source: str, now: datetime) -> list[RateLine]:
    """Read lines of base, quote, rate and date (a heading may be first) and judge each; nothing is written."""
    return [_judged(line, now) for line in _lines(text, source)]


def import_rates(lines: Iterable[RateLine], *, now: datetime) -> int:
    """Write good lines in one transaction and return how many rates are new; known ones change nothing."""
    written = 0
    with transaction.atomic():
        for line in lines:
            if line.rate is None or line.as_of_date is None or line.known:
                continue
            record_rate(
                base=line.base,
                quote=line.quote,
                rate=line.rate,
                as_of_date=line.as_of_date,
                source=line.source,
                now=now,
            )
            written += 1
    return written


def _lines(text: str, source: str) -> Iterator[RateLine]:
    dialect = csv.excel
    dialect.delimiter = ";" if ";" in text.partition("\n")[0] else ","
    for number, cells in enumerate(csv.reader(io.StringIO(text), dialect), start=1):
        values = [cell.strip() for cell in cells]
        if not any(values) or (number == 1 and values[0].lower() == "base"):
            continue
        if number > MOST_LINES:
            return
        yield _parsed(number, values, source)


def _parsed(number: int, values: list[str], source: str) -> RateLine:
    if len(values) < len(COLUMNS):
        return RateLine(number, *_padded(values), None, None, source, ("a line has base, quote, rate and date",))
    base, quote, rate_text, date_text = values[:4]
    mistakes, rate, day = [], None, None
    try:
        rate = Decimal(rate_text)
    except InvalidOperation:
        mistakes.append(f"{rate_text!r} is not a number with a decimal point")
    try:
        day = date.fromisoformat(date_text)
    except ValueError:
        mistakes.append(f"{date_text!r} is not a date such as 2026-11-20")
    own_source = values[4] if len(values) > 4 and values[4] else source
    return RateLine(number, base.upper(), quote.upper(), rate, day, own_source, tuple(mistakes))


def _padded(values: list[str]) -> tuple[str, str]:
    first, second, *_ = [*values, "", ""]
    return first, second


def _judged(line: RateLine, now: datetime) -> RateLine:
    if line.mistakes or line.rate is None or line.as_of_date is None:
        return line
    found = rate_mistakes(
        base=line.base, quote=line.quote, rate=line.rate, as_of_date=line.as_of_date, source=line.source, now=now
    )
    mistakes = [mistake.detail for mistake in found]
    before = FxRate.objects.filter(base=line.base, quote=line.quote, as_of_date=line.as_of_date, source=line.source)
    other = before.values_list("rate", flat=True).first()
    if other is not None and other != line.rate:
        mistakes.append(f"{line.source} has given {other.normalize():f} for that date already; name another source")
    return RateLine(
        line.number, line.base, line.quote, line.rate, line.as_of_date, line.source, tuple(mistakes), other is not None
    )
