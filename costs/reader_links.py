"""A selection of costs as it stands in an address: what a page shows can be linked, shared and opened as rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import QueryDict

from core.windows import Window, midnight
from costs.reader_plan import TAG, TIME_DIMENSIONS, Filters, Key

# How an address says "those without one", which an empty field of a form cannot.
NONE = "(none)"
TEXTS = ("entity_type", "provider", "model", "currency", "cost_center", "price_status")
PARAMETERS = ("from", "to", "entity", "subtree", "cost_type", "tag", *TEXTS)


class SelectionError(ValueError):
    """The address holds a value that does not select costs."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A window (None: all time) and filters."""

    window: Window | None
    filters: Filters

    def query(self) -> str:
        """Return the query string that selects the same again."""
        return urlencode(self.pairs())

    def pairs(self) -> list[tuple[str, str]]:
        """Return the parameters that select the same again, in a fixed order."""
        filters, pairs = self.filters, []
        if self.window is not None:
            pairs += [("from", self.window.start.isoformat()), ("to", self.window.end.isoformat())]
        if filters.entity is not None:
            pairs += [("entity", ":".join(filters.entity))] + ([("subtree", "1")] if filters.subtree else [])
        pairs += [("cost_type", value) for value in filters.cost_types]
        for name in TEXTS:
            value = getattr(filters, name)
            pairs += [] if value is None else [(name, value or NONE)]
        return pairs + [("tag", f"{key}={value}") for key, value in filters.tags.items()]


def selection(parameters: QueryDict, zone: ZoneInfo) -> Selection:
    """Read a selection from an address; raises SelectionError with what is wrong."""
    return Selection(window=_window(parameters, zone), filters=filters(parameters))


def filters(parameters: QueryDict) -> Filters:
    """Read the filters from an address; raises SelectionError with what is wrong."""
    entity = (parameters.get("entity") or "").strip()
    entity_type, colon, entity_id = entity.partition(":")
    if entity and not (entity_type and colon and entity_id):
        raise SelectionError("an entity is written type:id, for instance agent:support-chat")
    return Filters(
        entity=(entity_type, entity_id) if entity else None,
        subtree=parameters.get("subtree") == "1",
        cost_types=tuple(value for value in parameters.getlist("cost_type") if value),
        tags=dict(_tag(value) for value in parameters.getlist("tag") if value.strip()),
        entity_type=_text(parameters, "entity_type"),
        provider=_text(parameters, "provider"),
        model=_text(parameters, "model"),
        currency=_text(parameters, "currency"),
        cost_center=_text(parameters, "cost_center"),
        price_status=_text(parameters, "price_status"),
    )


def _text(parameters: QueryDict, name: str) -> str | None:
    value = (parameters.get(name) or "").strip()
    return "" if value == NONE else value or None


def _tag(value: str) -> tuple[str, str]:
    key, equals, wanted = value.partition("=")
    if not key.strip() or not equals:
        raise SelectionError("a tag is written key=value, for instance team=growth")
    return key.strip(), wanted.strip()


def _window(parameters: QueryDict, zone: ZoneInfo) -> Window | None:
    start, end = parameters.get("from") or "", parameters.get("to") or ""
    if not start and not end:
        return None
    if not start or not end:
        raise SelectionError("a period has a first and a last day")
    first, last = instant(start, zone), instant(end, zone)
    if last <= first:
        raise SelectionError("the period ends before it starts")
    return Window(first, last)


def instant(text: str, zone: ZoneInfo) -> datetime:
    """Read a date (its midnight in the organisation's zone) or an instant with an offset."""
    try:
        if len(text) == 10:
            return midnight(date.fromisoformat(text), zone)
        # A plus sign that was not escaped in the address arrives as a blank.
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except (ValueError, OverflowError) as error:
        raise SelectionError(f"{text!r} is not a date") from error
    if at.utcoffset() is None:
        raise SelectionError(f"{text!r} has no time zone offset")
    return at


def narrowed(chosen: Selection, dimensions: Sequence[str], keys: Sequence[Key], zone: ZoneInfo) -> Selection:
    """Return the selection of one group of an answer: exactly the rows that were summed in it."""
    window = chosen.window
    values: dict[str, object] = {name: getattr(chosen.filters, name) for name in Filters.__slots__}
    for name, key in zip(dimensions, keys, strict=True):
        if name in TIME_DIMENSIONS:
            window = overlap(window, bucket_window(name, key.value, zone))
        elif name == "entity":
            values |= {"entity": tuple(key.value.split(":", 1)), "subtree": False, "entities": ()}
        elif name == "cost_type":
            values["cost_types"] = (key.value,)
        elif name.startswith(TAG):
            values["tags"] = dict(chosen.filters.tags) | {name.removeprefix(TAG): key.value}
        else:
            values[name] = key.value
    return Selection(window, Filters(**values))  # type: ignore[arg-type]  # the values of its own fields


def bucket_window(dimension: str, key: str, zone: ZoneInfo) -> Window:
    """Return the window that a key of a time dimension stands for."""
    if dimension in {"minute", "hour"}:
        start = datetime.fromisoformat(key)
        return Window(start, start + (timedelta(hours=1) if dimension == "hour" else timedelta(minutes=1)))
    first = date.fromisoformat(f"{key}-01" if dimension == "month" else key)
    if dimension == "month":
        after = (first + timedelta(days=32)).replace(day=1)
    else:
        after = first + timedelta(days=7 if dimension == "week" else 1)
    return Window(midnight(first, zone), midnight(after, zone))


def overlap(left: Window | None, right: Window) -> Window:
    """Return what two windows have in common (an empty window when that is nothing)."""
    if left is None:
        return right
    start = max(left.start, right.start)
    return Window(start, max(start, min(left.end, right.end)))
