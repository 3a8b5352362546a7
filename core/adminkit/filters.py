"""List filters: the theme's own, and the period filter that replaces date_hierarchy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.admin import SimpleListFilter
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesCheckboxFilter,
    ChoicesDropdownFilter,
    FieldTextFilter,
    RangeDateFilter,
    RangeDateTimeFilter,
    RangeNumericFilter,
    RelatedDropdownFilter,
)

from core.windows import Window, calendar_period

PERIODS = (
    ("today", "Today"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("month", "This month"),
    ("last_month", "Last month"),
)


def period(name: str, now: datetime, zone: ZoneInfo) -> Window:
    """Return the window of a period's name, in the organisation's time zone; raises ValueError for an unknown one."""
    if name == "today":
        return Window(calendar_period("daily", now, zone).start, now + timedelta(minutes=5))
    if name in {"7d", "30d"}:
        return Window(now - timedelta(days=int(name[:-1])), now + timedelta(minutes=5))
    month = calendar_period("monthly", now, zone)
    if name == "month":
        return month
    if name == "last_month":
        return calendar_period("monthly", month.start - timedelta(hours=12), zone)
    raise ValueError(f"unknown period {name!r}")


class PeriodFilter(SimpleListFilter):
    """Restricts a list to a period by a range on one column, which an index or a partition can serve.

    Use `period_filter("occurred_at")`. With a default, "All" has to be chosen to see more.
    """

    title = "period"
    parameter_name = "period"
    field = ""
    default = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return (*PERIODS, *((("all", "All"),) if self.default else ()))

    def value(self) -> str | None:
        return super().value() or self.default or None

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        name = self.value()
        if not name or name == "all" or name not in dict(PERIODS):
            return queryset
        window = period(name, timezone.now(), settings.ORGANISATION_ZONE)
        return queryset.filter(**{f"{self.field}__gte": window.start, f"{self.field}__lt": window.end})

    def choices(self, changelist: Any) -> Iterator[Any]:
        if not self.default:
            yield from super().choices(changelist)
            return
        for value, title in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": self.value() == str(value), "query_string": query, "display": title}


def period_filter(
    field: str, *, default: str = "", title: str = "period", parameter: str = "period"
) -> type[PeriodFilter]:
    """Return a period filter on one date-time column."""
    attributes = {"field": field, "default": default, "title": title, "parameter_name": parameter}
    return type("FieldPeriodFilter", (PeriodFilter,), {**attributes, "__doc__": PeriodFilter.__doc__})


class WordFilter(SimpleListFilter):
    """Filters by the known words of a column that has no choices of its own; made by `word_filter`."""

    field = ""
    words: tuple[str, ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [(word, word) for word in self.words]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        return queryset.filter(**{self.field: self.value()}) if self.value() in self.words else queryset


def word_filter(field: str, *words: str, title: str = "") -> type[WordFilter]:
    """Return a filter on a column by words that are known beforehand, without reading them from the table."""
    attributes = {"field": field, "words": words, "title": title or field.replace("_", " "), "parameter_name": field}
    return type("FieldWordFilter", (WordFilter,), {**attributes, "__doc__": WordFilter.__doc__})


__all__ = [
    "AutocompleteSelectFilter",
    "BooleanRadioFilter",
    "ChoicesCheckboxFilter",
    "ChoicesDropdownFilter",
    "FieldTextFilter",
    "PeriodFilter",
    "RangeDateFilter",
    "RangeDateTimeFilter",
    "RangeNumericFilter",
    "RelatedDropdownFilter",
    "WordFilter",
    "period",
    "period_filter",
    "word_filter",
]
