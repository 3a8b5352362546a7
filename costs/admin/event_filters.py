"""Filters of the event list: the same selection of costs that the explorer's address holds, and the recorded period."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import ListFilter, SimpleListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from core.adminkit import PeriodFilter, period
from core.adminkit.filters import PERIODS
from costs import reader
from costs.choices import CostType, EventClass, PriceStatus
from costs.models import CostCenter, CostEvent
from costs.reader_links import PARAMETERS, Selection, SelectionError, selection
from costs.reader_plan import Filters

TITLES = {
    "from": "from", "to": "up to", "entity": "entity", "subtree": "with all below", "cost_type": "cost type",
    "tag": "tag", "entity_type": "entity type", "provider": "provider", "model": "model", "currency": "currency",
    "cost_center": "cost centre", "price_status": "price",
}  # fmt: skip


CORRECTING = (EventClass.ADJUSTMENT, EventClass.REVERSAL)


class SelectionFilter(ListFilter):
    """Shows exactly the events of a selection; what the explorer counts and what this lists are the same rows."""

    title = "selection"
    template = "admin/costs/selection_filter.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        given = QueryDict(mutable=True)
        for name in PARAMETERS:
            if name in params:
                given.setlist(name, params.pop(name))
        self.given = given
        self.request_pairs = _pairs(request.GET)
        self.others = [pair for pair in self.request_pairs if pair[0] not in {*PARAMETERS, "p", "older"}]
        try:
            self.selection: Selection = selection(given, reader.organisation_zone())
        except SelectionError as error:
            raise IncorrectLookupParameters from error

    def has_output(self) -> bool:
        """Always shown: its fields are how one filters by provider, model or tag."""
        return True

    def expected_parameters(self) -> list[str | None]:
        """Return the parameters that belong to this filter."""
        return list(PARAMETERS)

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield what is selected, each with the address of the list without it."""
        for name, value in self.selection.pairs():
            kept = [pair for pair in (*self.others, *self.selection.pairs()) if pair[0] != name or pair[1] != value]
            yield {
                "selected": True,
                "query_string": f"?{urlencode(kept)}",
                "display": f"{TITLES[name]} {value}",
            }

    @property
    def filters(self) -> Any:
        """The filters, as the fields of the form show them."""
        return self.selection.filters

    @property
    def form(self) -> dict[str, Any]:
        """The choices of the form."""
        filters = self.selection.filters
        return {
            "cost_types": CostType.choices,
            "price_statuses": PriceStatus.choices,
            "centers": CostCenter.objects.values_list("code", "name"),
            "entity": ":".join(filters.entity) if filters.entity else "",
            "tags": [f"{key}={value}" for key, value in filters.tags.items()],
        }

    @property
    def window_pairs(self) -> list[tuple[str, str]]:
        """The period of the selection, kept when the other fields change."""
        return replace(self.selection, filters=type(self.selection.filters)()).pairs()

    def queryset(self, request: HttpRequest, queryset: QuerySet[CostEvent]) -> QuerySet[CostEvent]:
        """Return the events of the selection."""
        return reader.narrow(queryset, self.selection.filters, self.selection.window)


def _pairs(given: QueryDict) -> list[tuple[str, str]]:
    return [(name, value) for name, values in given.lists() for value in values]


def is_trace(term: str) -> bool:
    """Say whether a search term is the id of a trace: 32 hexadecimal digits."""
    return len(term) == 32 and all(character in "0123456789abcdefABCDEF" for character in term)


class OccurredFilter(PeriodFilter):
    """The last 30 days unless something else is chosen; a selection with a period of its own comes first."""

    field = "occurred_at"
    default = "30d"
    title = "when it occurred"

    def value(self) -> str | None:
        """Return the period's name; a selected period or a looked-up key makes it "all"."""
        return self.chosen or super().value()

    def queryset(self, request: HttpRequest, queryset: QuerySet[CostEvent]) -> QuerySet[CostEvent]:
        """Narrow to the period."""
        name = self.value()
        if not name or name not in dict(PERIODS):
            return queryset
        return reader.narrow(queryset, Filters(), period(name, timezone.now(), reader.organisation_zone()))

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        # A trace has no index of its own: it is looked for in the period, everything else wherever it is.
        term = request.GET.get("q", "").strip()
        looked_up = (term and not is_trace(term)) or request.GET.get("from")
        self.chosen = "all" if looked_up and not request.GET.get(self.parameter_name) else ""
        super().__init__(request, params, model, model_admin)


class KindFilter(SimpleListFilter):
    """Why an event exists; the rare kinds are found by the index of what corrects something."""

    title = "kind"
    parameter_name = "event_class__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in EventClass.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CostEvent]) -> QuerySet[CostEvent]:
        """Narrow to one kind."""
        kind = self.value()
        if not kind:
            return queryset
        rows = queryset.filter(event_class=kind)
        if kind not in CORRECTING:
            return rows
        return rows.filter(pk__in=CostEvent.objects.filter(adjusts__isnull=False).order_by().values("pk"))
