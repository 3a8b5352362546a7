"""Times in requests where a day alone is also understood."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from core.windows import midnight


class WrongFormat(ValueError):
    """A text is not written as this type asks for."""


class Moment:
    """An instant (RFC 3339 with an offset) or a day, which means its midnight in the organisation's time zone."""

    __slots__ = ("value",)

    def __init__(self, value: datetime | date) -> None:
        self.value = value

    @classmethod
    def from_text(cls, text: str) -> Moment:
        """Read `2026-11-20` or `2026-11-20T10:00:00+01:00`; raises WrongFormat for the rest, also without an offset."""
        try:
            if len(text) == 10:
                return cls(date.fromisoformat(text))
            instant = datetime.fromisoformat(text)
        except ValueError as error:
            raise WrongFormat("must be a date (2026-11-20) or a time with its offset (2026-11-20T10:00:00Z)") from error
        if instant.utcoffset() is None:
            raise WrongFormat("a time needs its offset, such as Z or +02:00; a date alone is also understood")
        return cls(instant)

    def instant(self, zone: ZoneInfo) -> datetime:
        """Return the instant itself, or the first one of the day in `zone`."""
        if isinstance(self.value, datetime):
            return self.value
        return midnight(self.value, zone)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and other.value == self.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Moment({self.value.isoformat()})"


def decode_hook(kind: type, value: Any) -> Any:
    """Decode the types of our own that msgspec does not know."""
    if kind is Moment and isinstance(value, str):
        return Moment.from_text(value)
    raise WrongFormat(f"must be a text, not {type(value).__name__}")
