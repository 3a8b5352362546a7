"""How a quantity becomes an amount: flat, by threshold, graduated, by volume or per package, exactly.

Amounts are integers of 10^-12 of the currency unit, or fractions of it where a price does not divide evenly; they
are rounded once, half to even, when everything has been added up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time
from decimal import Context, Decimal
from fractions import Fraction

UNITS = 10**12
Units = int | Fraction
_WIDE = Context(prec=80)


@dataclass(frozen=True, slots=True)
class Tier:
    """From more than `above` units on: the price for every `per` units, and a fee for being here at all."""

    above: Decimal
    price: Decimal
    flat: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Component:
    """What one meter costs: `unit_price` for every `per` units up to the first tier.

    `mode` is flat, threshold_all (every unit at the price of the tier that `threshold_meter` reaches, by default the
    total input of the request), graduated (each tier's units at its own price), volume (every unit at the price of
    the tier their own number reaches) or package (every started package of `per` units costs `unit_price`).
    A tier is reached by strictly more than `above` units. `window` restricts to a time of day in UTC, half-open.
    """

    meter: str
    unit_price: Decimal
    per: int = 1_000_000
    mode: str = "flat"
    tiers: tuple[Tier, ...] = ()
    threshold_meter: str = ""
    window: tuple[time, time] | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One tier compiled: units of 10^-12 per unit of quantity, and the fee."""

    above: Units
    rate: Units
    flat: Units


@dataclass(slots=True)
class Rate:
    """A component compiled for charging."""

    component: Component
    base: Units = 0
    steps: tuple[Step, ...] = field(default=())
    simple: bool = True

    def __post_init__(self) -> None:
        component = self.component
        self.base = _units(component.unit_price, component.per)
        self.steps = tuple(
            Step(_plain(Fraction(tier.above)), _units(tier.price, component.per), _units(tier.flat, 1))
            for tier in sorted(component.tiers, key=lambda tier: tier.above)
        )
        self.simple = not self.steps and component.mode != "package"

    def charge(self, quantity: Units, threshold: Units) -> Units:
        """Return the amount for `quantity` units; `threshold` is what chooses the tier of threshold_all."""
        if self.simple:
            return self.base * quantity
        mode = self.component.mode
        if mode == "package":
            return -(-quantity // self.component.per) * self.base * self.component.per
        if mode == "graduated":
            return self._graduated(quantity)
        rate, flat = self.reached(quantity if mode == "volume" else threshold)
        return rate * quantity + flat

    def reached(self, threshold: Units) -> tuple[Units, Units]:
        """Return (rate, fee) of the highest tier that `threshold` is strictly above."""
        for step in reversed(self.steps):
            if threshold > step.above:
                return step.rate, step.flat
        return self.base, 0

    def _graduated(self, quantity: Units) -> Units:
        total: Units = 0
        rate, start = self.base, 0
        for step in self.steps:
            if quantity <= step.above:
                break
            total += rate * (step.above - start) + step.flat
            rate, start = step.rate, step.above  # type: ignore[assignment]  # both are exact numbers
        return total + rate * (quantity - start)

    def dearest(self, threshold: Units) -> Units:
        """Return the highest rate that any number of units up to `threshold` can meet."""
        return max([self.base, *(step.rate for step in self.steps if threshold > step.above)])


def _units(price: Decimal, per: int) -> Units:
    return _plain(Fraction(price) * UNITS / per)


def _plain(value: Fraction) -> Units:
    return value.numerator if value.denominator == 1 else value


def to_decimal(units: int) -> Decimal:
    """Return integers of 10^-12 as a decimal with 12 places."""
    return Decimal(units).scaleb(-12, _WIDE)


def to_text(units: int) -> str:
    """Return integers of 10^-12, 0 or more, as the shortest exact decimal text."""
    whole, fraction = divmod(units, UNITS)
    return f"{whole}.{fraction:012d}".rstrip("0") if fraction else str(whole)
