"""What is asked of the ledger, what is answered, and from which tables: plain data and decisions, without Django.

Three sources hold the same money. `entity_day` (one row per entity, day, cost type, currency) and `model_hour` (one row
per model, hour, cost type, currency) are folded from the events and small; `events` has every dimension and is large.
A question that fits a rollup is answered from it for the whole days or hours of its window, and from the events for
the ragged edges.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from core.money import ZERO
from core.windows import Window, midnight

UTC = ZoneInfo("UTC")
TAG = "tag:"
Source = Literal["entity_day", "model_hour", "events"]

TIME_DIMENSIONS = ("minute", "hour", "day", "week", "month")
DIMENSIONS = (
    "entity", "entity_type", "cost_center", "cost_type", "provider", "model", "currency", *TIME_DIMENSIONS,
)  # fmt: skip
_ENTITY_DAY = frozenset({"entity", "entity_type", "cost_center", "cost_type", "currency", "day", "week", "month"})
_MODEL_HOUR = frozenset({"provider", "model", "cost_type", "currency", "hour", "day", "week", "month"})


class QuestionError(ValueError):
    """The question names a dimension that does not exist, or one twice."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which costs are meant; what is left out means all of them.

    `entity` is (entity_type, entity_id), with everything below it when `subtree` is set; `entities` are the values of
    entity keys ("type:id"), of which there may be many. An empty string in
    `provider`, `model`, `cost_center` or a tag's value means those without one; None means any.
    """

    entity: tuple[str, str] | None = None
    subtree: bool = False
    entities: tuple[str, ...] = ()
    entity_type: str | None = None
    cost_types: tuple[str, ...] = ()
    provider: str | None = None
    model: str | None = None
    currency: str | None = None
    cost_center: str | None = None
    price_status: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def dimensions(self) -> frozenset[str]:
        """Return the dimensions that a source must have to apply these filters."""
        used = {
            name
            for name in ("entity", "entity_type", "provider", "model", "currency", "cost_center", "price_status")
            if getattr(self, name) is not None
        }
        used |= {"cost_type"} if self.cost_types else set()
        used |= {"entity"} if self.entities else set()
        return frozenset(used | {TAG + key for key in self.tags})


@dataclass(frozen=True, slots=True)
class Question:
    """One read of the ledger: the sums over `window` of what passes `filters`, for each combination of `group_by`.

    Tokens are summed only when asked for: one of the sources does not have them. `original=False` leaves out the
    amounts in original currencies, which halves the work. Raises QuestionError for an unknown or repeated dimension.
    """

    window: Window
    filters: Filters = field(default_factory=Filters)
    group_by: tuple[str, ...] = ()
    tokens: bool = False
    original: bool = True

    def __post_init__(self) -> None:
        for name in self.group_by:
            if name not in DIMENSIONS and not (name.startswith(TAG) and len(name) > len(TAG)):
                raise QuestionError(f"{name!r} is not one of {', '.join(DIMENSIONS)} or {TAG}<key>")
        if len(set(self.group_by)) < len(self.group_by):
            raise QuestionError("a dimension is named twice")

    def dimensions(self) -> frozenset[str]:
        """Return every dimension the question touches."""
        return frozenset(self.group_by) | self.filters.dimensions()


@dataclass(frozen=True, slots=True)
class Measures:
    """The sums of a group. `base_amount` is in the organisation's currency; `amounts` holds each original currency.

    Events without a price count in `unpriced_count` and those without an exchange rate in `unconverted_count`; neither
    is in `base_amount`. Tokens are None when they were not asked for.
    """

    base_amount: Decimal = ZERO
    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    event_count: int = 0
    unpriced_count: int = 0
    unconverted_count: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None

    def __add__(self, other: Measures) -> Measures:
        amounts = dict(self.amounts)
        for currency, amount in other.amounts.items():
            amounts[currency] = amounts.get(currency, ZERO) + amount
        return Measures(
            base_amount=self.base_amount + other.base_amount,
            amounts=amounts,
            event_count=self.event_count + other.event_count,
            unpriced_count=self.unpriced_count + other.unpriced_count,
            unconverted_count=self.unconverted_count + other.unconverted_count,
            input_tokens=_add(self.input_tokens, other.input_tokens),
            output_tokens=_add(self.output_tokens, other.output_tokens),
        )


def _add(left: int | None, right: int | None) -> int | None:
    return None if left is None and right is None else (left or 0) + (right or 0)


@dataclass(frozen=True, slots=True)
class Key:
    """One value of a dimension: `value` for links and machines, `label` for people.

    An entity's value is "type:id"; a day's is 2026-11-20, a week's its Monday, a month's 2026-11, an hour's or
    minute's its start in UTC.
    """

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Group:
    """One combination of the dimensions that were asked for, and its sums."""

    keys: tuple[Key, ...]
    measures: Measures


@dataclass(frozen=True, slots=True)
class Answer:
    """The groups in the order of their keys, the total over all of them, and where the figures come from.

    `folded_at` is when the rollup was last folded; events written since then are counted from their rows.
    """

    question: Question
    groups: tuple[Group, ...]
    total: Measures
    base_currency: str
    source: Source
    folded_at: datetime | None = None

    def top(self, count: int) -> tuple[tuple[Group, ...], Measures | None]:
        """Return the `count` dearest groups and the sum of all others (None when there are no others)."""
        ranked = sorted(self.groups, key=lambda group: (-group.measures.base_amount, _values(group)))
        rest = [group.measures for group in ranked[count:]]
        return tuple(ranked[:count]), sum_of(rest) if rest else None


def _values(group: Group) -> tuple[str, ...]:
    return tuple(key.value for key in group.keys)


def sum_of(measures: Iterable[Measures]) -> Measures:
    """Return the exact sum of any number of measures."""
    total = Measures()
    for item in measures:
        total = total + item
    return total


def offsets(window: Window, zone: ZoneInfo) -> list[tuple[datetime, timedelta]]:
    """Return the zone's distance from UTC at the window's start and, in order, at each instant it changes."""
    at, end = window.start.astimezone(UTC), window.end.astimezone(UTC)
    found = [(at, _offset(at, zone))]
    while at < end:
        after = min(at + timedelta(days=1), end)
        if _offset(after, zone) != found[-1][1]:
            after = _change(at, after, zone)
            found.append((after, _offset(after, zone)))
        at = after
    return found


def _offset(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the first whole second after `low` at which the offset is no longer that of `low`."""
    before = _offset(low, zone)
    low = low.replace(microsecond=0)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset(middle, zone) == before else (low, middle)
    return high


def whole_days(window: Window, zone: ZoneInfo) -> tuple[date, date]:
    """Return the first day that lies wholly in the window and the day after the last one; equal when there is none."""
    first, last = window.start.astimezone(zone).date(), window.end.astimezone(zone).date()
    if midnight(first, zone) < window.start:
        first += timedelta(days=1)
    return first, max(first, last)


def whole_hours(window: Window) -> Window:
    """Return the part of the window that consists of whole hours (UTC); empty when there is none."""
    start = window.start.astimezone(UTC)
    floor = start.replace(minute=0, second=0, microsecond=0)
    first = floor if floor == start else floor + timedelta(hours=1)
    last = window.end.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Window(first, max(first, last))


@dataclass(frozen=True, slots=True)
class Plan:
    """Which source answers, for which part of the window (`core`), and which parts are read from events (`edges`)."""

    source: Source
    core: Window
    edges: tuple[Window, ...]


def plan(question: Question, zone: ZoneInfo) -> Plan:
    """Choose the smallest source that can answer exactly.

    The hourly rollup grows with models and the daily one with entities, so the hourly one is taken where both fit. It
    cannot answer by local day in a zone whose distance from UTC is not a whole number of hours.
    """
    touched = question.dimensions()
    if touched <= _MODEL_HOUR and _hours_make_days(question, zone):
        return _around("model_hour", question.window, whole_hours(question.window))
    if touched <= _ENTITY_DAY and not question.tokens:
        first, last = whole_days(question.window, zone)
        return _around("entity_day", question.window, Window(midnight(first, zone), midnight(last, zone)))
    return Plan("events", Window(question.window.start, question.window.start), (question.window,))


def _hours_make_days(question: Question, zone: ZoneInfo) -> bool:
    if not {"day", "week", "month"} & set(question.group_by):
        return True
    return all(not offset % timedelta(hours=1) for _, offset in offsets(question.window, zone))


def _around(source: Source, window: Window, core: Window) -> Plan:
    if core.start >= core.end:
        return Plan("events", Window(window.start, window.start), (window,))
    edges = (Window(window.start, core.start), Window(core.end, window.end))
    return Plan(source, core, tuple(edge for edge in edges if edge.start < edge.end))


def bucket(dimension: str, value: date | datetime) -> str:
    """Return the key of a time dimension for a local day (day, week, month) or an instant (hour, minute)."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if dimension == "month":
        return f"{value:%Y-%m}"
    if dimension == "week":
        value -= timedelta(days=value.weekday())
    return value.isoformat()


def buckets(dimension: str, window: Window, zone: ZoneInfo) -> list[str]:
    """Return the keys of every hour, day, week or month that the window touches, in order, also of empty ones."""
    if window.start >= window.end:
        return []
    if dimension == "hour":
        at, keys = window.start.astimezone(UTC).replace(minute=0, second=0, microsecond=0), []
        while at < window.end:
            keys.append(bucket("hour", at))
            at += timedelta(hours=1)
        return keys
    day = window.start.astimezone(zone).date()
    last = (window.end.astimezone(UTC) - timedelta(microseconds=1)).astimezone(zone).date()
    days = (day + timedelta(days=number) for number in range((last - day).days + 1))
    return list(dict.fromkeys(bucket(dimension, day) for day in days))
