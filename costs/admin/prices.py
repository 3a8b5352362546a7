"""The price book in the admin: what everything costs, since when, by whose word."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from core.adminkit import (
    AutocompleteSelectFilter,
    Dialog,
    EmptyState,
    ReadOnlyInline,
    ReadOnlyModelAdmin,
    ReasonForm,
    action,
    display,
)
from costs.admin.changelists import FigureChangeList
from costs.admin.price_forms import ApproveForm, DraftPriceForm, EndForm, current_versions
from costs.admin.refusals import STYLES, ServiceModelAdmin
from costs.admin.sections import PRICES
from costs.models import PriceBook, PriceComponent, PriceVersion, Sku
from costs.services import prices as services
from costs.services.prices_upkeep import add_sku

SHORT_METERS = {
    "input_tokens": "in", "output_tokens": "out", "cache_read_tokens": "cache read",
    "cache_write_tokens": "cache write",
}  # fmt: skip
METERS_SHOWN = 4
VERSIONS_SHOWN = 100


def price_text(components: Iterable[PriceComponent]) -> str:
    """Return the prices of a version in one line, per million where they are priced so."""
    rows = sorted((item for item in components if not item.time_window), key=_meter_order)
    parts = [f"{SHORT_METERS.get(item.meter, item.meter.replace('_', ' '))} {_unit_price(item)}" for item in rows]
    more = f" +{len(rows) - METERS_SHOWN}" if len(rows) > METERS_SHOWN else ""
    return " · ".join(parts[:METERS_SHOWN]) + more


def _meter_order(component: PriceComponent) -> tuple[int, str]:
    known = list(SHORT_METERS)
    return (known.index(component.meter) if component.meter in SHORT_METERS else len(known), component.meter)


def _unit_price(component: PriceComponent) -> str:
    units = {1: "each", 1000: "/K", 1_000_000: "/M"}.get(component.per, f"/{component.per:,}")
    price = f"{component.unit_price.normalize():f}"
    tiers = " (tiers)" if component.tiers else ""
    return f"{price} {units}{tiers}" if units == "each" else f"{price}{units}{tiers}"


class ComponentInline(ReadOnlyInline[PriceComponent, PriceVersion]):
    """What each meter costs in a version."""

    model = PriceComponent
    fields = ("meter", "per", "price", "mode", "tiers_text", "hours")
    readonly_fields = fields
    verbose_name_plural = "Prices"
    ordering = ("meter", "id")

    @display(description="Unit price")
    def price(self, component: PriceComponent) -> str:
        return f"{component.unit_price.normalize():f}"

    @display(description="Tiers")
    def tiers_text(self, component: PriceComponent) -> str:
        return "; ".join(f"above {tier['from']}: {tier['price']}" for tier in component.tiers) or "–"

    @display(description="Hours (UTC)")
    def hours(self, component: PriceComponent) -> str:
        window = component.time_window
        return f"{window['start']}–{window['end']}" if window else "all day"


@admin.register(Sku)
class SkuAdmin(ServiceModelAdmin[Sku]):
    """Everything that has, had or may have a price."""

    class Media:
        css = STYLES

    list_display = ("code", "provider", "cost_type", "price_now", "book_now", "context_window")
    list_filter = ("cost_type", ("provider", admin.AllValuesFieldListFilter))
    search_fields = ("code", "provider", "name")
    ordering = ("provider", "code", "id")
    fields = (("provider", "code"), ("cost_type", "name"))
    actions_detail = ("draft_price",)
    change_form_before_template = "admin/costs/sku_page.html"
    menu_icon = "sell"
    menu_section = PRICES
    menu_order = 10
    empty_state = EmptyState(
        "The price book is empty", "Prices come with the product: load them with this command.", icon="sell",
        snippet="python manage.py load_prices",
    )  # fmt: skip

    @display(description="Price now")
    def price_now(self, sku: Any) -> str:
        return price_text(sku.version_now.components.all()) if sku.version_now else "–"

    @display(description="From")
    def book_now(self, sku: Any) -> str:
        version = sku.version_now
        return f"{version.book} ({version.book.currency})" if version else "–"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return FigureChangeList

    def add_figures(self, request: HttpRequest, rows: list[Any]) -> None:
        """Give every SKU of the page the price that counts now."""
        versions = current_versions([sku.pk for sku in rows])
        for sku in rows:
            sku.version_now = versions.get(sku.pk)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Sku, form: Any, change: bool) -> None:
        """Add the SKU through its service; a known one is left as it is."""
        if not change:
            made = add_sku(
                provider=obj.provider, code=obj.code, cost_type=obj.cost_type, name=obj.name, now=timezone.now()
            )
            obj.pk, obj._state.adding = made.pk, False

    def details(self, obj: Sku) -> dict[str, Any]:
        """Return the prices of a SKU over time."""
        return sku_page(obj, timezone.now())

    @action(
        description="Draft a price",
        permissions=["costs.add_priceversion"],
        icon="edit_note",
        variant="primary",
        url_path="draft",
        dialog=Dialog(
            "Draft a price",
            "It counts once somebody else has approved it. What was recorded before keeps its amount.",
            DraftPriceForm,
            "Draft",
        ),
    )
    def draft_price(self, request: HttpRequest, form: DraftPriceForm, object_id: str) -> HttpResponse:
        """Write a contracted price that waits for approval."""
        given = form.cleaned_data
        offer = services.Offer(
            book=given["book"],
            sku=Sku.objects.get(pk=object_id),
            components=form.components(),
            service_tier=given["service_tier"],
            region=given["region"],
            valid_from=given["valid_from"],
        )
        version = services.draft_price(
            offer,
            now=timezone.now(),
            user=request.user,  # type: ignore[arg-type]  # the project's user model
            note=given["note"],
        )
        self.message_user(request, "Drafted. It counts once somebody else has approved it.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:costs_priceversion_change", args=[version.pk]))


def sku_page(sku: Sku, now: datetime) -> dict[str, Any]:
    """Return the versions of a SKU's prices with their place on a ruler of dates, and its other names."""
    versions = list(
        PriceVersion.objects.filter(sku=sku)
        .select_related("book", "approved_by")
        .prefetch_related("components")
        .order_by("service_tier", "region", "-book__priority", F("valid_from").asc(nulls_first=True), "id")[
            :VERSIONS_SHOWN
        ]
    )
    begins = [version.valid_from for version in versions if version.valid_from]
    first = min([*begins, now - timedelta(days=365)])
    last = max([*(version.valid_to for version in versions if version.valid_to), now]) + timedelta(days=60)
    return {
        "sku_versions": [_on_ruler(version, first, last, now) for version in versions],
        "sku_aliases": list(sku.aliases.order_by("kind", "pattern")[:50]),
        "ruler_from": first,
        "ruler_to": last,
        "ruler_now": _place(now, first, last),
        "sku_known": sku,
    }


def _on_ruler(version: PriceVersion, first: datetime, last: datetime, now: datetime) -> dict[str, Any]:
    left = _place(version.valid_from, first, last) if version.valid_from else 0.0
    right = _place(version.valid_to, first, last) if version.valid_to else 100.0
    in_force = version.status == "approved" and (version.valid_from is None or version.valid_from <= now)
    return {
        "version": version,
        "link": reverse("admin:costs_priceversion_change", args=[version.pk]),
        "prices": price_text(version.components.all()),
        "left": f"{left:.2f}",
        "width": f"{max(right - left, 0.4):.2f}",
        "now": in_force and (version.valid_to is None or version.valid_to > now),
    }


def _place(at: datetime, first: datetime, last: datetime) -> float:
    return max(0.0, min(100.0, (at - first) / (last - first) * 100))


@admin.register(PriceVersion)
class PriceVersionAdmin(ReadOnlyModelAdmin[PriceVersion]):
    """Every price with its beginning and end; an approved one never changes, it ends."""

    list_display = (
        "sku",
        "book",
        "service_tier",
        "region",
        "prices",
        "valid_from",
        "valid_to",
        "status_label",
        "source",
    )
    list_select_related = ("sku", "book")
    list_filter = ("status", "book", "service_tier", ("sku", AutocompleteSelectFilter))
    search_fields = ("sku__code", "sku__provider", "source")
    ordering = ("-created_at", "-id")
    show_full_result_count = False
    inlines = (ComponentInline,)
    actions_detail = ("approve", "end", "retire")
    fields = (
        ("sku", "book"), ("service_tier", "region"), ("valid_from", "valid_to"), ("status", "source"),
        ("created_by", "created_at"), ("approved_by", "approved_at"), "note", "source_ref",
    )  # fmt: skip
    menu_icon = "price_change"
    menu_section = PRICES
    menu_order = 30

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("components")

    @display(description="Prices")
    def prices(self, version: PriceVersion) -> str:
        return price_text(version.components.all())

    @display(description="Status", label={"Draft": "warning", "Approved": "success", "Retired": "default"})
    def status_label(self, version: PriceVersion) -> str:
        return str(version.get_status_display())

    def has_approve_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this is a draft that this person may approve."""
        return request.user.has_perm(services.APPROVE) and (obj is None or obj.status == "draft")

    def has_end_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this is an approved price that this person may end."""
        return request.user.has_perm(services.APPROVE) and (obj is None or obj.status == "approved")

    def has_retire_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this price may still be withdrawn by this person."""
        waiting = obj is None or obj.status == "draft" or (obj.valid_from and obj.valid_from > timezone.now())
        return request.user.has_perm(services.APPROVE) and bool(waiting) and (obj is None or obj.status != "retired")

    @action(
        description="Approve",
        permissions=["approve"],
        icon="check_circle",
        variant="primary",
        url_path="approve",
        dialog=Dialog(
            "Approve the price",
            "It counts from its beginning on; the one before it ends there.",
            ApproveForm,
            "Approve",
        ),
    )
    def approve(self, request: HttpRequest, form: ApproveForm, object_id: str) -> None:
        """Let a draft count."""
        version = PriceVersion.objects.get(pk=object_id)
        services.approve_price(
            version,
            user=request.user,  # type: ignore[arg-type]  # who may act is signed in
            now=timezone.now(),
            back_dated=form.cleaned_data["back_dated"],
        )
        self.message_user(request, "The price is approved.", messages.SUCCESS)

    @action(
        description="End",
        permissions=["end"],
        icon="event_busy",
        url_path="end",
        dialog=Dialog("End the price", "After that the model has no price in this book.", EndForm, "End"),
    )
    def end(self, request: HttpRequest, form: EndForm, object_id: str) -> None:
        """Let a price end."""
        given = form.cleaned_data
        services.end_price(
            PriceVersion.objects.get(pk=object_id), at=given["at"], now=timezone.now(), reason=given["reason"]
        )
        self.message_user(
            request, f"The price ends {timezone.localtime(given['at']):%Y-%m-%d %H:%M}.", messages.SUCCESS
        )

    @action(
        description="Withdraw",
        permissions=["retire"],
        icon="delete",
        url_path="retire",
        dialog=Dialog("Withdraw the price", "It has not counted yet, and never will.", ReasonForm, "Withdraw"),
    )
    def retire(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Withdraw a draft or a price that has not begun."""
        version = PriceVersion.objects.get(pk=object_id)
        services.retire_price(version, now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, "The price is withdrawn.", messages.SUCCESS)


@admin.register(PriceBook)
class PriceBookAdmin(ServiceModelAdmin[PriceBook]):
    """Sets of prices: public lists and what was negotiated."""

    list_display = ("name", "kind", "currency", "priority")
    search_fields = ("name",)
    ordering = ("-priority", "name", "id")
    fields = ("name", "kind", "currency", "priority")
    menu_icon = "menu_book"
    menu_section = PRICES
    menu_order = 12

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: PriceBook, form: Any, change: bool) -> None:
        """Create the book through its service; one that exists never changes."""
        if not change:
            made = services.create_book(
                name=obj.name, kind=obj.kind, currency=obj.currency, priority=obj.priority, now=timezone.now()
            )
            obj.pk, obj._state.adding = made.pk, False
