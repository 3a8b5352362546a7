"""The common case compiled: a model whose input and output tokens have one price each for a stretch of time.

What it charges equals `PriceTable.price` to the last digit; whatever is not this plain is left to that.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from costs.pricing.rates import Rate
from costs.pricing.table import Route

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)
_ZEROS = "0" * 12


class FlatPrice(NamedTuple):
    """Prices of one version of a public list from `begin` (included) to `end` (not included), in 10^-12 a token."""

    begin: datetime
    end: datetime
    input_tokens: int
    output_tokens: int
    currency: str
    version_id: UUID
    version_hex: str

    def charge(self, given: int, made: int) -> tuple[str, str]:
        """Return the amount with twelve decimals and the JSON of the breakdown, for counts of 0 or more."""
        first, second = self.input_tokens * given, self.output_tokens * made
        digits = str(first + second)
        missing = 13 - len(digits)
        if missing > 0:
            digits = _ZEROS[:missing] + digits
        breakdown = f'{{"input_tokens":"{_short(first)}","output_tokens":"{_short(second)}"}}'
        return f"{digits[:-12]}.{digits[-12:]}", breakdown


def _short(units: int) -> str:
    """Return 10^-12 as `to_text` does, at half its price: nothing is divided."""
    digits = str(units)
    missing = 12 - len(digits)
    if missing >= 0:
        return f"0.{_ZEROS[:missing]}{digits}".rstrip("0") if units else "0"
    return f"{digits[:-12]}.{digits[-12:]}".rstrip("0").rstrip(".")


def flat_price(route: Route, at: datetime) -> FlatPrice | None:
    """Return the flat price that counts at an instant; None where the price depends on more than two counts."""
    begin, end = _BEGINNING, _END
    for track in route.tracks:
        version, since, until = track.stretch(at)
        begin, end = max(begin, since), min(end, until)
        if version is None:
            continue
        rates = version.steady_rates()
        # Another book's amount is kept beside that of the list.
        if rates is None or "requests" in rates or version.book.kind != "list":
            return None
        given, made = (_whole(rates.get(meter)) for meter in ("input_tokens", "output_tokens"))
        if given is None or made is None:
            return None
        return FlatPrice(begin, end, given, made, version.book.currency, version.id, version.id.hex)
    return None


def _whole(rate: Rate | None) -> int | None:
    return rate.base if rate is not None and rate.simple and isinstance(rate.base, int) else None
