"""Query parameters that select costs: window, filters and grouping, the same at every reading address."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from core.api.moments import Moment
from core.errors import FieldError, Invalid
from core.windows import Window, calendar_period
from costs import reader

INSTANT = timedelta(microseconds=1)

StartDate = Annotated[
    Moment | None, Meta(description="First instant, included. A date alone is its midnight in the organisation's zone.")
]
EndDate = Annotated[Moment | None, Meta(description="First instant no longer included.")]
Tags = Annotated[list[str], Meta(description="key:value; several must all match.", examples=["team:search"])]
SubtreeToo = Annotated[bool, Meta(description="Whether everything below the entity counts as well.")]


class Selection(msgspec.Struct, kw_only=True):
    """Which costs are meant. Without a window: the current month in the organisation's time zone."""

    start_date: StartDate = None
    end_date: EndDate = None
    cost_type: list[str] = []
    provider: str | None = None
    model: str | None = None
    tag: Tags = []

    def window(self, now: datetime) -> Window:
        """Return the half-open window; raises Invalid when it ends before it starts."""
        zone: ZoneInfo = reader.organisation_zone()
        end = self.end_date.instant(zone) if self.end_date else None
        if self.start_date:
            start = self.start_date.instant(zone)
        else:
            # An end alone means the month that it ends.
            start = calendar_period("monthly", now if end is None else end - INSTANT, zone).start
        end = end or max(calendar_period("monthly", now, zone).end, start)
        if end < start:
            detail = "the window ends before it starts"
            raise Invalid(detail, errors=[FieldError("/end_date", "before_start", detail)])
        return Window(start, end)

    def tags(self) -> dict[str, str]:
        """Return the tags that must match; raises Invalid for one without a colon."""
        pairs = [entry.partition(":") for entry in self.tag]
        if any(not (key and colon) for key, colon, _ in pairs):
            detail = "a tag is written key:value"
            raise Invalid(detail, errors=[FieldError("/tag", "invalid", detail)])
        return {key: value for key, _, value in pairs}

    def filters(self, entity: tuple[str, str] | None, *, subtree: bool = False) -> reader.Filters:
        """Return the reader's filters for these parameters and one entity, or all of them."""
        return reader.Filters(
            entity=entity,
            subtree=subtree,
            cost_types=tuple(self.cost_type),
            provider=self.provider,
            model=self.model,
            tags=self.tags(),
        )


def dimension(name: str, pointer: str) -> str:
    """Return a dimension that costs may be grouped by; raises Invalid for an unknown one."""
    allowed = ("model", "type", "day", "hour", "week", "month", "provider", "currency")
    if name in allowed:
        return "cost_type" if name == "type" else name
    if name.startswith("tag:") and len(name) > 4:
        return name
    detail = f"costs are grouped by {', '.join(allowed)} or tag:<key>"
    raise Invalid(detail, errors=[FieldError(pointer, "not_a_choice", detail)])
