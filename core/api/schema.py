"""What handlers say of themselves for the OpenAPI document: the structs that decode and answer define its bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])
Bodies = Any | Mapping[str, Any] | None


class ProblemError(msgspec.Struct, kw_only=True):
    """What is wrong with one value."""

    pointer: str
    code: str
    detail: str


class ProblemDocument(msgspec.Struct, kw_only=True):
    """An error (RFC 9457). `type` names the kind of problem, `errors` each value that is wrong."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[ProblemError] = []
    correlation_id: str | msgspec.UnsetType = msgspec.UNSET


@dataclass(frozen=True, slots=True)
class Operation:
    """How one method of one address is documented."""

    id: str
    summary: str
    body: Bodies
    answers: Mapping[int, Bodies]
    query: type[msgspec.Struct] | None
    problems: tuple[int, ...]
    idempotent: bool
    tag: str
    headers: Mapping[str, str] = field(default_factory=dict)


def operation(
    id: str,  # noqa: A002  # the word of OpenAPI
    summary: str,
    *,
    body: Bodies = None,
    answers: Mapping[int, Bodies],
    query: type[msgspec.Struct] | None = None,
    problems: Iterable[int] = (),
    idempotent: bool = False,
    tag: str = "",
) -> Callable[[HandlerT], HandlerT]:
    """Document a handler. `id` is stable: clients generated from the document call it by this name.

    `body` and each of `answers` is a struct (or list of structs, or None), or a mapping from media types to them.
    401, 403, 429, 500, 503 are documented everywhere, 400, 413, 415, 422 where there is a body; name the others in
    `problems`. The handler's docstring is the description.
    """
    documented = Operation(id, summary, body, dict(answers), query, tuple(problems), idempotent, tag)

    def mark(handler: HandlerT) -> HandlerT:
        handler.operation = documented  # type: ignore[attr-defined]  # read by core.api.openapi
        return handler

    return mark
