"""Exact money: one type, one database field, one aggregate, right on PostgreSQL and on SQLite.

Amounts are `decimal.Decimal` with 12 fractional and up to 26 integer digits. A price quoted with six decimals per
million tokens times a whole number of tokens is exact at 12 digits, so nothing is rounded between a price and a sum.
Rounding to a currency's minor units happens on statements only (`round_to_minor_units`).

SQLite has no exact decimal type. There the column holds canonical text with exactly 12 decimals, compared through a
collation of our own, added by `MoneyAdd` and summed by `MoneySum`. Plain `Sum` and `F() + x` would pass through
binary floating point; a value that did is refused when it is read and by a CHECK constraint when it is written.
"""

from __future__ import annotations

import decimal
import sqlite3
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Aggregate, Func
from django.db.models.expressions import Combinable

DECIMAL_PLACES = 12
MAX_DIGITS = 38
QUANTUM = Decimal(1).scaleb(-DECIMAL_PLACES)
LIMIT = Decimal(10) ** (MAX_DIGITS - DECIMAL_PLACES)
ZERO = Decimal("0.000000000000")

# Wide enough for a product of two full-width amounts before it is quantized.
CONTEXT = decimal.Context(prec=80, rounding=ROUND_HALF_EVEN)


class MoneyError(ValueError):
    """The value is not an amount this platform can hold exactly."""


def money(value: Decimal | int | str) -> Decimal:
    """Return `value` as an amount with exactly 12 decimals.

    Raises MoneyError when it is not a finite number, has more than 12 decimals, or needs more than 26 integer digits.
    A `float` is refused: it has lost its digits already.
    """
    if isinstance(value, float):
        raise MoneyError("a binary floating-point number is not an exact amount; give a decimal or its text")
    try:
        amount = Decimal(value)
    except (decimal.InvalidOperation, TypeError, ValueError) as error:
        raise MoneyError(f"{value!r} is not a decimal number") from error
    if not amount.is_finite():
        raise MoneyError("an amount must be a finite number")
    # Judged on the exponent first: quantizing 1e999999 would build a million digits.
    if amount and amount.adjusted() >= MAX_DIGITS - DECIMAL_PLACES:
        raise MoneyError(f"an amount has at most {MAX_DIGITS - DECIMAL_PLACES} digits before the point")
    quantized = amount.quantize(QUANTUM, context=CONTEXT)
    if quantized != amount:
        raise MoneyError(f"an amount has at most {DECIMAL_PLACES} decimals")
    return quantized if quantized else ZERO


def quantized(value: Decimal) -> Decimal:
    """Return a computed amount rounded half-even to 12 decimals; raises MoneyError when it does not fit."""
    return money(value.quantize(QUANTUM, context=CONTEXT)) if value.is_finite() and abs(value) < LIMIT else money(value)


def multiply(left: Decimal, right: Decimal) -> Decimal:
    """Return the product, exact up to 80 digits, rounded half-even to 12 decimals."""
    return quantized(CONTEXT.multiply(left, right))


def round_to_minor_units(amount: Decimal, minor_units: int) -> Decimal:
    """Return `amount` rounded half-even to a currency's minor units (USD 2, JPY 0, KWD 3): statements only."""
    return amount.quantize(Decimal(1).scaleb(-minor_units), context=CONTEXT)


def to_text(amount: Decimal) -> str:
    """Return the shortest exact decimal text, never in exponent form: `0.0042`, `100`, `0`."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def _stored_text(amount: Decimal) -> str:
    return format(money(amount), "f")


class MoneyField(models.DecimalField):  # type: ignore[type-arg]  # generic only in the stubs
    """An exact amount: numeric(38,12) on PostgreSQL, canonical text with an exact collation on SQLite."""

    description = "Exact amount of money"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["max_digits"] = MAX_DIGITS
        kwargs["decimal_places"] = DECIMAL_PLACES
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> tuple[str, str, Any, Any]:
        name, path, args, kwargs = super().deconstruct()
        del kwargs["max_digits"], kwargs["decimal_places"]
        return name, path, args, kwargs

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        if connection.vendor == "sqlite":
            return "text COLLATE money"
        return f"numeric({MAX_DIGITS}, {DECIMAL_PLACES})"

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        if connection.vendor == "sqlite":
            # Text of a binary float ("0.30000000000000004") does not have exactly twelve decimals.
            return f"\"{self.column}\" GLOB '*[0-9].{'[0-9]' * DECIMAL_PLACES}'"
        return None

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or value == "":
            return None
        try:
            return money(value)
        except MoneyError as error:
            raise ValidationError(str(error), code="invalid") from error

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return money(value)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if not prepared:
            value = self.get_prep_value(value)
        if isinstance(value, Decimal) and connection.vendor == "sqlite":
            return _stored_text(value)
        return value

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        if hasattr(value, "as_sql"):
            return value
        return self.get_db_prep_value(value, connection)

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Decimal | None:
        if value is None:
            return None
        if isinstance(value, float) or (isinstance(value, int) and connection.vendor == "sqlite" and value != 0):
            raise TypeError("the database computed money in floating point: use MoneySum or MoneyAdd of core.money")
        return money(value)

    def get_db_converters(self, connection: BaseDatabaseWrapper) -> list[Any]:
        return [self.from_db_value]

    def get_internal_type(self) -> str:
        # Not "DecimalField": on SQLite the backend would convert that through floating point.
        return "MoneyField"

    def cast_db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        return "text" if connection.vendor == "sqlite" else self.db_type(connection)


class MoneySum(Aggregate):
    """The exact sum of a MoneyField (or money expression); zero over no rows."""

    function = "SUM"
    name = "MoneySum"
    output_field = MoneyField()
    allow_distinct = False

    def __init__(self, expression: Any, **extra: Any) -> None:
        super().__init__(expression, default=ZERO if "default" not in extra else extra.pop("default"), **extra)

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Any:
        # The default is wrapped in COALESCE by Aggregate; its literal must be money as well.
        default: Any = getattr(self, "default", None)
        if isinstance(default, Decimal):
            self.default = models.Value(default, output_field=MoneyField())
        return super().resolve_expression(*args, **kwargs)

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        """Sum in integers of the smallest unit, by the function registered on the connection."""
        return self.as_sql(compiler, connection, function="money_sum", **extra)


class MoneyAdd(Func):
    """The exact sum of two money expressions, for `update(spent=MoneyAdd("spent", amount))`."""

    arity = 2
    output_field = MoneyField()
    template = "(%(expressions)s)"
    arg_joiner = " + "

    def __init__(self, left: str | Combinable, right: str | Combinable | Decimal, **extra: Any) -> None:
        if isinstance(right, Decimal):
            right = models.Value(right, output_field=MoneyField())
        super().__init__(left, right, **extra)

    def as_sqlite(self, compiler: Any, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        """Add by the registered function; the result compares as money."""
        return self.as_sql(
            compiler, connection, template="(money_add(%(expressions)s) COLLATE money)", arg_joiner=", ", **extra
        )


def _units(text: str) -> int:
    whole, _, fraction = text.partition(".")
    return int(whole + fraction.ljust(DECIMAL_PLACES, "0"))


def _text(units: int) -> str:
    sign, digits = ("-", -units) if units < 0 else ("", units)
    whole, fraction = divmod(digits, 10**DECIMAL_PLACES)
    return f"{sign}{whole}.{fraction:0{DECIMAL_PLACES}d}"


class _SqliteMoneySum:
    """Exact aggregate for SQLite: integers of 10^-12, nothing else."""

    def __init__(self) -> None:
        self.total: int | None = None

    def step(self, value: str | None) -> None:
        if value is not None:
            self.total = (self.total or 0) + _units(value)

    def finalize(self) -> str | None:
        return None if self.total is None else _text(self.total)


def _sqlite_money_add(left: str | None, right: str | None) -> str | None:
    if left is None or right is None:
        return None
    return _text(_units(left) + _units(right))


def _sqlite_money_multiply(left: str | None, right: str | None) -> str | None:
    if left is None or right is None:
        return None
    return _stored_text(multiply(Decimal(left), Decimal(right)))


def _compare(left: str, right: str) -> int:
    a, b = _units(left), _units(right)
    return (a > b) - (a < b)


def register_sqlite_functions(connection: sqlite3.Connection) -> None:
    """Teach one SQLite connection exact money: collation `money`, `money_add`, `money_multiply`, `money_sum`."""
    connection.create_collation("money", _compare)
    connection.create_function("money_add", 2, _sqlite_money_add, deterministic=True)
    connection.create_function("money_multiply", 2, _sqlite_money_multiply, deterministic=True)
    connection.create_aggregate("money_sum", 1, _SqliteMoneySum)  # type: ignore[arg-type]  # sums may be NULL
