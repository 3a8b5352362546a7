"""What a decoded value may not be although its type is right: rules that hold for every struct of the API.

Decimals are finite and fit money exactly; instants carry an offset; integers fit the database; texts hold no NUL.
The rules are compiled once per struct type, so that checking costs little more than looking at the values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import inspect

from core.errors import FieldError
from core.money import MoneyError, money

Check = Callable[[Any, str], Iterator[FieldError]]
LARGEST_INTEGER = 2**63 - 1


def escaped(token: str) -> str:
    """Return one step of a JSON pointer (RFC 6901)."""
    return token.replace("~", "~0").replace("/", "~1")


def objections(value: msgspec.Struct, pointer: str = "") -> list[FieldError]:
    """Return what is senseless in a decoded struct, with pointers; empty when it may be used."""
    return list(_of_struct(type(value))(value, pointer))


@functools.cache
def _of_struct(kind: type[msgspec.Struct]) -> Check:
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    checks = [(field.name, escaped(field.encode_name), check_for(field.type)) for field in info.fields]
    relevant = [(name, shown, check) for name, shown, check in checks if check is not None]

    def check_struct(value: Any, pointer: str) -> Iterator[FieldError]:
        for name, shown, check in relevant:
            inner = getattr(value, name)
            if inner is not None and inner is not msgspec.UNSET:
                yield from check(inner, f"{pointer}/{shown}")

    return check_struct


def check_for(info: inspect.Type) -> Check | None:
    """Return the check for values of a type, or None when every value of it will do."""
    extra: Mapping[str, Any] = {}
    if isinstance(info, inspect.Metadata):
        extra, info = info.extra or {}, info.type
    if isinstance(info, inspect.DecimalType):
        return functools.partial(_decimal, extra)
    if type(info) in SIMPLE:
        return SIMPLE[type(info)]
    return _of_compound(info)


def _of_compound(info: inspect.Type) -> Check | None:
    if isinstance(info, inspect.StructType):
        # Looked up when it is used: a struct may hold itself.
        return functools.partial(_nested, info.cls)
    if isinstance(info, inspect.UnionType):
        return _union(info)
    if isinstance(info, inspect.ListType | inspect.VarTupleType | inspect.SetType):
        return _items(check_for(info.item_type))
    if isinstance(info, inspect.DictType):
        return _values(check_for(info.value_type))
    return None


def _nested(kind: type[msgspec.Struct], value: Any, pointer: str) -> Iterator[FieldError]:
    return _of_struct(kind)(value, pointer)


def _decimal(extra: Mapping[str, Any], value: Decimal, pointer: str) -> Iterator[FieldError]:
    try:
        amount = money(value)
    except MoneyError as error:
        yield FieldError(pointer, "not_exact" if value.is_finite() else "not_finite", str(error))
        return
    rules: tuple[tuple[str, str, str, Callable[[Decimal], bool]], ...] = (
        ("ge", "min_value", "must be at least", amount.__ge__),
        ("gt", "min_value", "must be greater than", amount.__gt__),
        ("le", "max_value", "must be at most", amount.__le__),
        ("lt", "max_value", "must be less than", amount.__lt__),
    )
    for name, code, words, holds in rules:
        if name in extra and not holds(Decimal(extra[name])):
            yield FieldError(pointer, code, f"{words} {extra[name]}")


def _datetime(value: datetime, pointer: str) -> Iterator[FieldError]:
    if value.utcoffset() is None:
        yield FieldError(pointer, "offset_missing", "a time needs its offset, such as Z or +02:00")
        return
    try:
        value.astimezone(UTC)
    except OverflowError:
        yield FieldError(pointer, "out_of_range", "this time is outside the years 1 to 9999 in UTC")


def _integer(value: int, pointer: str) -> Iterator[FieldError]:
    if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        yield FieldError(pointer, "out_of_range", "a whole number here has at most 63 bits")


def _text(value: str, pointer: str) -> Iterator[FieldError]:
    if "\x00" in value:
        yield FieldError(pointer, "nul_character", "a text cannot hold the character U+0000")


def _anything(value: Any, pointer: str) -> Iterator[FieldError]:
    if isinstance(value, str):
        yield from _text(value, pointer)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _text(str(key), pointer)
            yield from _anything(inner, f"{pointer}/{escaped(str(key))}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _anything(inner, f"{pointer}/{index}")


SIMPLE: dict[type[inspect.Type], Check] = {
    inspect.DateTimeType: _datetime,
    inspect.IntType: _integer,
    inspect.StrType: _text,
    inspect.AnyType: _anything,
}


def _union(info: inspect.UnionType) -> Check | None:
    """Return the one check of an optional value; of several, the one that fits the value's type."""
    by_type = {_python_type(member): check_for(member) for member in info.types}
    checks = {kind: check for kind, check in by_type.items() if check is not None}
    if not checks:
        return None

    def check_member(value: Any, pointer: str) -> Iterator[FieldError]:
        check = checks.get(type(value)) or checks.get(object)
        if check is not None:
            yield from check(value, pointer)

    return check_member


def _python_type(info: inspect.Type) -> type:
    if isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.StructType):
        return info.cls
    known: dict[type[inspect.Type], type] = {
        inspect.DecimalType: Decimal,
        inspect.DateTimeType: datetime,
        inspect.DateType: date,
        inspect.IntType: int,
        inspect.StrType: str,
        inspect.ListType: list,
        inspect.DictType: dict,
    }
    return known.get(type(info), object)


def _items(check: Check | None) -> Check | None:
    if check is None:
        return None

    def check_items(value: Any, pointer: str) -> Iterator[FieldError]:
        for index, inner in enumerate(value):
            yield from check(inner, f"{pointer}/{index}")

    return check_items


def _values(check: Check | None) -> Check:
    def check_values(value: Any, pointer: str) -> Iterator[FieldError]:
        for key, inner in value.items():
            inside = f"{pointer}/{escaped(str(key))}"
            yield from _text(str(key), inside)
            if check is not None:
                yield from check(inner, inside)

    return check_values
