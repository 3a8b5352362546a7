"""Numbers as people read them on pages: rounded for the eye, with the exact value one click away."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from core.money import CONTEXT, to_text

HUNDRED = Decimal(100)
ROUNDED = Decimal("0.01")
SMALLEST_ROUNDED = Decimal(1)


def amount(value: Decimal | None, currency: str = "") -> str:
    """Return an amount for reading: two decimals from 1 on, four significant digits below; a dash for none."""
    if value is None:
        return "–"
    if value == 0 or abs(value) >= SMALLEST_ROUNDED:
        text = f"{value.quantize(ROUNDED, rounding=ROUND_HALF_EVEN, context=CONTEXT):,}"
    else:
        places = min(12, 3 - value.adjusted())
        text = to_text(value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_EVEN, context=CONTEXT))
    return f"{text} {currency}".strip()


def count(value: int) -> str:
    """Return a whole number with thousands separated."""
    return f"{value:,}"


def change(now: Decimal, before: Decimal) -> str:
    """Return how much more or less than before, in percent and with a sign."""
    if not before:
        return "nothing to compare with" if now else ""
    ratio = (now - before) / abs(before)
    return "no change" if not ratio else f"{ratio:+.1%} since then"


def exact_percent(ratio: Decimal) -> str:
    """Return a share in percent with as many decimals as it has."""
    return f"{to_text(CONTEXT.multiply(ratio, HUNDRED))}%"


def percent(part: Decimal, whole: Decimal) -> str:
    """Return a share in percent, with one decimal; a dash when there is no whole."""
    return f"{part / whole:.1%}" if whole else "–"
