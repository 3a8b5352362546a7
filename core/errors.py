"""How a use case says no: the words that the API, the admin and commands turn into their own answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one value: a JSON pointer to it, a stable code, and a sentence for a person."""

    pointer: str
    code: str
    detail: str


class Refusal(Exception):
    """A use case refuses for a reason the caller can act on; nothing was changed.

    `code` is stable and names the reason to programs, `detail` tells it to people, `errors` point at values.
    """

    code = "refused"

    def __init__(self, detail: str, *, code: str = "", errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors = tuple(errors)


class Invalid(Refusal):
    """The values are well formed and make no sense."""

    code = "invalid"


class Missing(Refusal):
    """The object asked for does not exist, or not for this caller."""

    code = "not_found"


class Conflict(Refusal):
    """The state of the object, or of an idempotency key, forbids the act."""

    code = "conflict"


class Forbidden(Refusal):
    """The caller is known and may not do this."""

    code = "forbidden"


class OverLimit(Refusal):
    """A hard budget has no room for the spend."""

    code = "budget_exceeded"
