"""JSON bodies into structs: exact, typed, and with every mistake named at once.

The fast path is one typed decode. Only when it fails is the body taken apart field by field to name each mistake.
What is not of the right shape is 400; what has the right shape and makes no sense is 422.
"""

from __future__ import annotations

import functools
import json
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple, TypeVar, Union

import msgspec
from django.http import HttpRequest
from rest_framework.request import Request

from core.api.body import JSON, read_body
from core.api.checking import escaped, objections
from core.api.moments import WrongFormat, decode_hook
from core.api.problems import Problem
from core.errors import FieldError

StructT = TypeVar("StructT", bound=msgspec.Struct)
MOST_ERRORS = 100

# Messages of msgspec for values of the right type that break a rule; all others are mistakes of shape.
_SENSELESS = re.compile(
    r"Invalid enum value|Expected `[^`]+` (?:[<>]=? |matching |of length |that's a multiple)|out of range$"
)
_CODES = (
    (re.compile(r"missing required field"), "required"),
    (re.compile(r"unknown field"), "unknown_field"),
    (re.compile(r"Invalid enum value"), "not_a_choice"),
    (re.compile(r"` (>=?) "), "min_value"),
    (re.compile(r"` (<=?) "), "max_value"),
    (re.compile(r"of length >="), "min_length"),
    (re.compile(r"of length <="), "max_length"),
    (re.compile(r"matching regex"), "pattern"),
    (re.compile(r"^Expected .*, got"), "wrong_type"),
    (re.compile(r"^Invalid "), "wrong_format"),
    (re.compile(r"out of range"), "out_of_range"),
)


class Mistakes(Exception):
    """A body that is no such struct: `status` is 400 when a shape is wrong, 422 when only values are senseless."""

    def __init__(self, status: int, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.pointer}: {error.detail}" for error in errors))
        self.status = status
        self.errors = tuple(errors[:MOST_ERRORS])


def decode(request: HttpRequest | Request, kind: type[StructT], *, limit: int | None = None) -> StructT:
    """Return the JSON body as a struct.

    Raises Problem 413 or 415 for the body as such, 400 for malformed JSON, wrong shapes, unknown or repeated fields,
    and 422 for senseless values, with a pointer to every mistake. Numbers become Decimal through their text.
    """
    body = read_body(request, content_types=JSON, limit=limit)
    try:
        return decode_bytes(body, kind)
    except Mistakes as mistakes:
        raise as_problem(mistakes) from mistakes


def as_problem(mistakes: Mistakes) -> Problem:
    """Return the problem document for a body with mistakes."""
    count = len(mistakes.errors)
    first = mistakes.errors[0]
    detail = f"{first.pointer or 'the body'}: {first.detail}" if count == 1 else f"{count} values are wrong"
    code = "malformed" if mistakes.status == 400 else "invalid"
    return Problem(mistakes.status, detail, code=code, errors=mistakes.errors)


def decode_bytes(body: bytes | msgspec.Raw, kind: type[StructT], *, unique: bool = True) -> StructT:
    """Return JSON text as a checked struct; raises Mistakes. `unique` refuses repeated field names as well.

    Batches pass each item here as `msgspec.Raw`, so that one bad item is named without touching the others.
    """
    try:
        value: StructT = _decoder(kind).decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _explained(bytes(body), kind, error) from error
    if unique and (repeated := _repeated_names(bytes(body))):
        raise Mistakes(400, repeated)
    if wrong := objections(value):
        raise Mistakes(422, wrong)
    return value


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, dec_hook=decode_hook)


def _repeated_names(body: bytes) -> list[FieldError]:
    """Return an error for each name that occurs twice in one object: readers would disagree which value counts."""
    found: list[FieldError] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found.append(FieldError(f"/{escaped(name)}", "repeated_field", f"the field {name} occurs twice"))
            seen.add(name)

    # Numbers stay text: building an integer of a million digits would take minutes.
    json.loads(body, object_pairs_hook=note, parse_float=str, parse_int=str)
    return found


class Mistake(NamedTuple):
    """One mistake, and whether the value is merely senseless rather than of the wrong shape."""

    senseless: bool
    error: FieldError


def _explained(body: bytes, kind: Any, error: Exception) -> Mistakes:
    """Return every mistake of a body that did not decode."""
    if not isinstance(error, msgspec.ValidationError):
        return Mistakes(400, [_malformed(error) if body.strip() else FieldError("", "required", "the body is empty")])
    try:
        # The typed decode stops at its first objection: the rest may not even be JSON.
        msgspec.json.decode(body, type=msgspec.Raw)
        found = list(_mistakes(body, kind, "")) or [named_mistake(error, "")]
    except (msgspec.DecodeError, RecursionError) as malformed:
        return Mistakes(400, [_malformed(malformed)])
    status = 422 if all(mistake.senseless for mistake in found) else 400
    return Mistakes(status, [mistake.error for mistake in found])


def _malformed(error: Exception) -> FieldError:
    detail = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    return FieldError("", "malformed_json", detail)


def named_mistake(error: msgspec.ValidationError, pointer: str) -> Mistake:
    """Return one objection of msgspec; where it names a place below `pointer`, that place."""
    message, _, path = str(error).partition(" - at `$")
    below = "".join(f"/{escaped(step)}" for step in re.findall(r"\w+", path.rstrip("`")) if step != "...")
    if isinstance(error.__cause__, WrongFormat):
        return Mistake(False, FieldError(pointer + below, "wrong_format", message))
    if isinstance(error.__cause__, ValueError | TypeError):
        # A rule of the struct's own, about several fields together.
        return Mistake(True, FieldError(pointer + below, "invalid", message))
    code = next((code for pattern, code in _CODES if pattern.search(message)), "invalid")
    return Mistake(bool(_SENSELESS.search(message)), FieldError(pointer + below, code, message))


def _mistakes(raw: bytes, kind: Any, pointer: str) -> Iterator[Mistake]:
    """Walk down the structs, lists and mappings of a type and yield each mistake where it sits."""
    kind = _bare(kind)
    if raw.strip() == b"null" and _is_optional(kind):
        return
    members = [member for member in _members(kind) if member is not type(None)]
    only = _bare(members[0]) if len(members) == 1 else None
    children = _children(raw, only, pointer) if only is not None else None
    if children is None:
        yield from _of_leaf(raw, kind, pointer)
        return
    clean = True
    for mistake in children:
        clean = False
        yield mistake
    if clean:
        # Every part is right: a rule about the whole is broken.
        yield from _of_leaf(raw, kind, pointer)


def _children(raw: bytes, kind: Any, pointer: str) -> Iterator[Mistake] | None:
    """Return the mistakes of the parts of an object or array; None when it has no parts to look at."""
    origin = typing.get_origin(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = _parts(raw, dict[str, msgspec.Raw])
        return None if fields is None else _of_fields(fields, kind, pointer)
    if origin is list:
        items = _parts(raw, list[msgspec.Raw])
        inner = typing.get_args(kind)[0]
        return None if items is None else _of_items(enumerate(items), inner, pointer)
    if origin in {dict, Mapping}:
        values = _parts(raw, dict[str, msgspec.Raw])
        inner = typing.get_args(kind)[1]
        return None if values is None else _of_items(values.items(), inner, pointer)
    return None


def _parts(raw: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        return None


def _of_fields(given: dict[str, msgspec.Raw], kind: type[msgspec.Struct], pointer: str) -> Iterator[Mistake]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        inside = f"{pointer}/{escaped(name)}"
        if name in given:
            yield from _mistakes(bytes(given[name]), field.type, inside)
        elif field.required:
            yield Mistake(False, FieldError(inside, "required", "this field is required"))
    if kind.__struct_config__.forbid_unknown_fields:
        for name in given.keys() - fields.keys():
            known = ", ".join(fields)
            detail = f"this field is not known here; known: {known}"
            yield Mistake(False, FieldError(f"{pointer}/{escaped(name)}", "unknown_field", detail))


def _of_items(items: Iterable[tuple[object, msgspec.Raw]], inner: Any, pointer: str) -> Iterator[Mistake]:
    for step, raw in items:
        yield from _mistakes(bytes(raw), inner, f"{pointer}/{escaped(str(step))}")


def _of_leaf(raw: bytes, kind: Any, pointer: str) -> Iterator[Mistake]:
    try:
        _decoder(kind).decode(raw)
    except msgspec.ValidationError as error:
        yield named_mistake(error, pointer)


def _bare(kind: Any) -> Any:
    """Return a type without its annotations when parts of it are to be looked at."""
    if typing.get_origin(kind) is Annotated:
        inner = typing.get_args(kind)[0]
        return inner if _has_parts(inner) else kind
    return kind


def _has_parts(kind: Any) -> bool:
    return any(
        typing.get_origin(member) in {list, dict, Mapping}
        or (isinstance(member, type) and issubclass(member, msgspec.Struct))
        for member in _members(kind)
    )


def _members(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in {Union, types.UnionType} else (kind,)


def _is_optional(kind: Any) -> bool:
    return type(None) in _members(kind)
