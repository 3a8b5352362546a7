"""Query parameters into structs: typed, unknown ones refused."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, TypeVar

import msgspec
from django.http import HttpRequest
from rest_framework.request import Request

from core.api.checking import escaped, objections
from core.api.decoding import Mistake, named_mistake
from core.api.moments import decode_hook
from core.api.problems import Problem
from core.errors import FieldError

StructT = TypeVar("StructT", bound=msgspec.Struct)


def query(request: HttpRequest | Request, kind: type[StructT]) -> StructT:
    """Return the query parameters as a struct; every mistake is named in one Problem, 400 or 422.

    Unknown parameters are refused, so that a misspelt filter never widens an answer. A list field takes its parameter
    several times or comma-separated; every other one once. When all are of the right type and some senseless: 422.
    """
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    mistakes = [_unknown(name, list(fields)) for name in request.GET if name not in fields]
    values: dict[str, Any] = {}
    for name, field in fields.items():
        given = request.GET.getlist(name)
        if given:
            values[name] = _plain(given, field.type)
            mistakes += _mistakes(given, values[name], field.type, f"/{escaped(name)}")
        elif field.required:
            mistakes.append(_shape(f"/{escaped(name)}", "required", "this parameter is required"))
    if mistakes:
        status = 422 if all(mistake.senseless for mistake in mistakes) else 400
        raise _problem(status, [mistake.error for mistake in mistakes])
    return _whole(values, kind)


def _whole(values: dict[str, Any], kind: type[StructT]) -> StructT:
    try:
        parameters = msgspec.convert(values, kind, dec_hook=decode_hook, strict=False)
    except msgspec.ValidationError as error:
        raise _problem(422, [FieldError("", "invalid", str(error))]) from error
    if wrong := objections(parameters):
        raise _problem(422, wrong)
    return parameters


def _plain(given: list[str], kind: Any) -> list[str] | str:
    return [part for text in given for part in text.split(",") if part] if _takes_several(kind) else given[0]


def _mistakes(given: list[str], value: list[str] | str, kind: Any, pointer: str) -> Iterator[Mistake]:
    if isinstance(value, str) and len(given) > 1:
        yield _shape(pointer, "repeated_parameter", "this parameter is given more than once")
    elif any("\x00" in text for text in given):
        yield _shape(pointer, "nul_character", "a parameter cannot hold the character U+0000")
    else:
        try:
            msgspec.convert(value, kind, dec_hook=decode_hook, strict=False)
        except msgspec.ValidationError as error:
            yield named_mistake(error, pointer)


def _takes_several(kind: Any) -> bool:
    if typing.get_origin(kind) is list:
        return True
    return any(_takes_several(member) for member in typing.get_args(kind))


def _unknown(name: str, known: list[str]) -> Mistake:
    listed = ", ".join(known) or "none"
    return _shape(f"/{escaped(name)}", "unknown_parameter", f"this parameter is not known here; known: {listed}")


def _shape(pointer: str, code: str, detail: str) -> Mistake:
    return Mistake(senseless=False, error=FieldError(pointer, code, detail))


def _problem(status: int, errors: list[FieldError]) -> Problem:
    named = "; ".join(f"{error.pointer[1:] or 'the parameters'}: {error.detail}" for error in errors)
    code = "malformed_query" if status == 400 else "invalid_query"
    return Problem(status, named, code=code, errors=errors)
