"""What waits for a person: models without a price, and prices that two sources disagree about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from core.adminkit import (
    Dialog,
    DialogForm,
    EmptyState,
    ReadOnlyModelAdmin,
    action,
    display,
)
from costs.admin.changelists import FigureChangeList
from costs.admin.links import list_link
from costs.admin.price_forms import AliasForm, NoteForm
from costs.admin.sections import QUEUES
from costs.amounts import count
from costs.models import PriceDiscrepancy, Sku, UnpricedModel
from costs.pricing import Catalog, SkuEntry
from costs.services.prices_late import resolve_unpriced
from costs.services.prices_upkeep import add_alias, decide_discrepancy, settle_unpriced_model


class OpenFilter(admin.SimpleListFilter):
    """What waits, unless what was dealt with is asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Waiting"), ("resolved", "Resolved"), ("ignored", "Ignored"), ("all", "All")]

    def value(self) -> str:
        return super().value() or "open"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset if self.value() == "all" else queryset.filter(status=self.value())

    def choices(self, changelist: Any) -> Any:
        for value, title in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": self.value() == value, "query_string": query, "display": title}


class QueueAdmin(ReadOnlyModelAdmin[Any]):
    """A queue: its rows are made by the platform and settled by actions."""

    def has_settle_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may settle this row, which has to wait still."""
        name = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return request.user.has_perm(name) and (obj is None or obj.status == "open")

    @display(description="State", label={"Open": "warning", "Resolved": "success", "Ignored": "info"})
    def state(self, row: Any) -> str:
        return str(row.get_status_display())


class Likeness:
    """The names of the price book that are most alike; each name is compared once for as long as the book is the same.

    Nothing is ever priced by likeness: people choose from these.
    """

    def __init__(self) -> None:
        self._skus: tuple[SkuEntry, ...] = ()
        self._catalog = Catalog((), ())
        self._found: dict[tuple[str, str], str] = {}

    def of(self, entries: Iterable[UnpricedModel]) -> dict[int, str]:
        """Return the alike names of each entry, by one query."""
        skus = tuple(SkuEntry(*row) for row in Sku.objects.order_by("id").values_list("id", "provider", "code"))
        if skus != self._skus:
            self._skus, self._catalog, self._found = skus, Catalog(skus, ()), {}
        return {entry.pk: self._alike(entry.provider, entry.model) for entry in entries}

    def _alike(self, provider: str, model: str) -> str:
        key = (provider, model)
        if key not in self._found:
            self._found[key] = ", ".join(self._catalog.nearest(model, limit=3)) or "–"
        return self._found[key]


_likeness = Likeness()


@admin.register(UnpricedModel)
class UnpricedModelAdmin(QueueAdmin):
    """Models in use that have no price; their events are recorded without an amount, never with a wrong one."""

    list_display = ("model", "provider", "events", "first_seen_at", "last_seen_at", "alike", "state")
    list_filter = (OpenFilter,)
    search_fields = ("model", "provider")
    ordering = ("-event_count", "id")
    fields = (("provider", "model"), ("events", "state"), ("first_seen_at", "last_seen_at"), "alike", "resolved_at")
    readonly_fields = ("events", "alike", "state")
    actions = ("ignore",)
    actions_list = ("price_now",)
    actions_detail = ("name_it", "ignore_one")
    menu_icon = "help_center"
    menu_section = QUEUES
    menu_order = 10
    empty_state = EmptyState("Every model used has a price", "Models that have none appear here.", icon="task_alt")

    @display(description="Events", ordering="event_count")
    def events(self, entry: UnpricedModel) -> SafeString:
        query = f"provider={entry.provider}&model={entry.model}&price_status=unpriced&period=all"
        return list_link("costs_costevent", query, count(entry.event_count))

    @display(description="Most alike in the price book")
    def alike(self, entry: Any) -> str:
        return str(entry.alike_names if hasattr(entry, "alike_names") else _likeness.of([entry])[entry.pk])

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return FigureChangeList

    def add_figures(self, request: HttpRequest, rows: list[Any]) -> None:
        """Give every model of the page the names that are most alike."""
        names = _likeness.of(rows)
        for entry in rows:
            entry.alike_names = names[entry.pk]

    @action(
        description="It is another name of …",
        permissions=["settle", "costs.add_skualias"],
        icon="link",
        variant="primary",
        url_path="alias",
        dialog=Dialog(
            "Name the model",
            "From now on the name means that model, and its events so far are priced as of when they occurred.",
            AliasForm,
            "Add the alias",
        ),
    )
    def name_it(self, request: HttpRequest, form: AliasForm, object_id: str) -> None:
        """Give a SKU this name, and price what waited for it."""
        entry, now = UnpricedModel.objects.get(pk=object_id), timezone.now()
        given = form.cleaned_data
        add_alias(sku=given["sku"], provider=entry.provider, kind=given["kind"], pattern=entry.model, now=now)
        done = resolve_unpriced(now=now)
        self.message_user(
            request, f"“{entry.model}” means {given['sku']} now; priced {count(done)} event(s).", messages.SUCCESS
        )

    @action(
        description="Price what has a price now",
        permissions=["costs.change_unpricedmodel"],
        icon="price_check",
        url_path="price",
        dialog=Dialog(
            "Price what has a price now",
            "Each event gets an adjustment with its amount, as of the instant it occurred. The platform does the same "
            "every few minutes.",
            DialogForm,
            "Price",
        ),
    )
    def price_now(self, request: HttpRequest, form: DialogForm) -> None:
        """Price the events whose models have come into the price book."""
        done = resolve_unpriced(now=timezone.now())
        self.message_user(request, f"Priced {count(done)} event(s).", messages.SUCCESS)

    @action(
        description="Ignore",
        permissions=["settle"],
        url_path="ignore",
        icon="visibility_off",
        dialog=Dialog("Ignore the model", "Its events keep no amount. It comes back when it is used again.", NoteForm),
    )
    def ignore_one(self, request: HttpRequest, form: NoteForm, object_id: str) -> None:
        """Take this model off the queue."""
        self._ignore(request, UnpricedModel.objects.filter(pk=object_id), form)

    @action(
        description="Ignore",
        permissions=["settle"],
        dialog=Dialog("Ignore models", "Their events keep no amount. They come back when they are used.", NoteForm),
    )
    def ignore(self, request: HttpRequest, form: NoteForm, entries: QuerySet[UnpricedModel]) -> None:
        """Take the selected models off the queue."""
        self._ignore(request, entries, form)

    def _ignore(self, request: HttpRequest, entries: QuerySet[UnpricedModel], form: NoteForm) -> None:
        waiting = list(entries.filter(status="open"))
        for entry in waiting:
            settle_unpriced_model(entry, ignore=True, now=timezone.now(), note=form.cleaned_data["note"])
        report(self, request, len(waiting), "ignored")


def report(model_admin: Any, request: HttpRequest, changed: int, done: str) -> None:
    """Say how many were changed, and how many of those selected were not, because they did not wait any more."""
    # Counted from what was selected: the list's own filter has dropped what somebody else settled meanwhile.
    skipped = max(len(request.POST.getlist(ACTION_CHECKBOX_NAME)), changed) - changed
    note = f" {skipped} did not wait any more." if skipped else ""
    model_admin.message_user(request, f"{changed} {done}.{note}", messages.SUCCESS if changed else messages.WARNING)


@admin.register(PriceDiscrepancy)
class PriceDiscrepancyAdmin(QueueAdmin):
    """Prices that two sources disagree about; a person decides, nobody averages."""

    list_display = ("sku", "service_tier", "meter", "used", "other", "difference", "found_at", "state")
    list_select_related = ("sku",)
    list_filter = (OpenFilter, "service_tier")
    search_fields = ("sku__code", "sku__provider", "meter")
    ordering = ("sku__provider", "sku__code", "meter", "id")
    actions = ("keep", "use_other")
    fields = (
        ("sku", "service_tier"), "meter", ("used", "other"), ("difference", "state"), ("found_at", "decided_at"),
        "decided_by", "note",
    )  # fmt: skip
    readonly_fields = ("used", "other", "difference", "state")
    menu_icon = "compare_arrows"
    menu_section = QUEUES
    menu_order = 20
    empty_state = EmptyState(
        "All sources agree", "Prices that two sources disagree about appear here.", icon="task_alt"
    )

    def has_draft_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may settle this row by drafting a price."""
        return self.has_settle_permission(request, obj) and request.user.has_perm("costs.add_priceversion")

    @display(description="In use")
    def used(self, row: PriceDiscrepancy) -> str:
        return f"{row.used_price.normalize():f} ({row.used_source})"

    @display(description="The other")
    def other(self, row: PriceDiscrepancy) -> str:
        return f"{row.other_price.normalize():f} ({row.other_source})"

    @display(description="Difference")
    def difference(self, row: PriceDiscrepancy) -> str:
        return f"{(row.other_price - row.used_price) / row.used_price:+.1%}" if row.used_price else "–"

    @action(
        description="Keep the price in use",
        permissions=["settle"],
        dialog=Dialog("Keep the prices in use", "Nothing changes; the questions are settled.", NoteForm, "Keep"),
    )
    def keep(self, request: HttpRequest, form: NoteForm, rows: QuerySet[PriceDiscrepancy]) -> None:
        """Settle the selected discrepancies for the price in use."""
        self._decide(request, rows, form, use_other=False)

    @action(
        description="Draft the other price",
        permissions=["draft"],
        dialog=Dialog(
            "Draft the other prices",
            "Each becomes a draft from now on, which somebody else approves.",
            NoteForm,
            "Draft",
        ),
    )
    def use_other(self, request: HttpRequest, form: NoteForm, rows: QuerySet[PriceDiscrepancy]) -> None:
        """Draft the other price of the selected discrepancies."""
        self._decide(request, rows, form, use_other=True)

    def _decide(
        self, request: HttpRequest, rows: QuerySet[PriceDiscrepancy], form: NoteForm, *, use_other: bool
    ) -> None:
        waiting = list(rows.filter(status="open").select_related("sku"))
        for row in waiting:
            decide_discrepancy(
                row,
                use_other=use_other,
                user=request.user,  # type: ignore[arg-type]  # who may act is signed in
                now=timezone.now(),
                note=form.cleaned_data["note"],
            )
        report(self, request, len(waiting), "drafted" if use_other else "kept")
