"""The ledger in the admin: every cost event, read only, with what it was priced by and what corrected it."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from core.adminkit import (
    Dialog,
    EmptyState,
    LargeTableAdmin,
    ReadOnlyModelAdmin,
    ReasonForm,
    action,
    display,
    money_column,
)
from core.models import ApiKey
from costs.admin.budget_forms import money_field
from costs.admin.event_filters import KindFilter, OccurredFilter, SelectionFilter, is_trace
from costs.admin.explorer import SNIPPET
from costs.admin.links import change_link, linked
from costs.admin.refusals import STYLES
from costs.amounts import amount
from costs.choices import CostType, EventClass
from costs.models import CostEvent, Entity, EventKey
from costs.services.corrections import correct_cost

CHAIN_LENGTH = 50
COST_TYPES = dict(CostType.choices)
# Senders that are not API keys.
OWN_SOURCES = ("demo", "admin", "otlp")


class CorrectForm(ReasonForm):
    """What the event cost instead, and why."""

    amount = money_field(label="What it cost")
    field_order = ("amount", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        event = CostEvent.objects.filter(pk=self.object_id).first() if self.object_id else None
        if event is not None:
            self.fields["amount"].initial = event.amount
            self.fields["amount"].help_text = f"In {event.currency}. Recorded: {amount(event.amount)}."


@admin.register(CostEvent)
class CostEventAdmin(LargeTableAdmin[CostEvent], ReadOnlyModelAdmin[CostEvent]):
    """Facts: nobody changes them. A correction is an action that writes further events."""

    class Media:
        css = STYLES

    list_display = (
        "occurred", "entity_name", "cost_type_label", "provider_model", "amount_column", "base_column", "status_label",
        "class_label",
    )  # fmt: skip
    list_display_links = ("occurred",)
    list_select_related = ("entity",)
    list_filter = (SelectionFilter, OccurredFilter, KindFilter)
    search_fields = ("pk__exact", "entity__entity_id__exact")
    search_help_text = "The exact id of an entity, event or trace, or an idempotency key"
    export_fields = (
        "id", "occurred_at", "recorded_at", "entity__entity_type", "entity__entity_id", "entity__name", "cost_type",
        "event_class", "provider", "model", "service_tier", "region", "amount", "currency", "base_amount",
        "list_amount", "price_status", "price_version_id", "input_tokens", "output_tokens", "quantities", "breakdown",
        "tags", "trace_id", "span_id", "session_id", "reservation", "adjusts", "source", "idempotency_key",
    )  # fmt: skip
    fieldsets = (
        ("What and when", {"fields": (
            ("occurred_at", "recorded_at"), ("entity_link", "cost_type"), ("provider", "model"),
            ("service_tier", "region"), ("event_class", "event_id"),
        )}),
        ("Amount", {"fields": (
            ("amount_column", "base_column"), ("list_column", "price_status"), ("price_link", "rate_link"),
        )}),
        ("Where it comes from", {"fields": (
            ("source", "idempotency_key"), ("trace_id", "span_id"), ("session_id", "reservation_link"), "adjusts_link",
            "tags", "metadata",
        )}),
    )  # fmt: skip
    readonly_fields = (
        "event_id", "entity_link", "amount_column", "base_column", "list_column", "price_link", "rate_link",
        "reservation_link", "adjusts_link",
    )  # fmt: skip
    actions_detail = ("correct",)
    change_form_after_template = "admin/costs/event_details.html"
    menu_icon = "receipt_long"
    menu_order = 20
    empty_state = EmptyState(
        "No costs yet",
        "Record the first one with an API key that has the scope costs:write.",
        icon="payments",
        snippet=SNIPPET,
    )

    amount_column = money_column("amount", currency="currency", description="Amount", ordering="amount")
    list_column = money_column("list_amount", currency="currency", description="At list price")

    @display(description="Occurred", ordering="occurred_at")
    def occurred(self, event: CostEvent) -> str:
        return f"{timezone.localtime(event.occurred_at):%Y-%m-%d %H:%M:%S}"

    @display(description="Entity")
    def entity_name(self, event: CostEvent) -> str:
        return str(event.entity)

    @display(description="Cost type")
    def cost_type_label(self, event: CostEvent) -> str:
        return str(COST_TYPES.get(event.cost_type, event.cost_type))

    @display(description="Provider and model")
    def provider_model(self, event: CostEvent) -> str:
        return " / ".join(part for part in (event.provider, event.model) if part) or "–"

    @display(description="In base currency")
    def base_column(self, event: CostEvent) -> str:
        return amount(event.base_amount, settings.BASE_CURRENCY if event.base_amount is not None else "")

    @display(description="Price", label={"Unpriced": "danger", "Priced in part": "warning"})
    def status_label(self, event: CostEvent) -> str:
        short = {"reported": "Reported", "priced": "Priced", "partial": "Priced in part", "unpriced": "Unpriced"}
        return short.get(event.price_status, event.price_status)

    @display(description="Kind", label={"Usage": "info", "Reversal": "warning", "Adjustment": "warning"})
    def class_label(self, event: CostEvent) -> str:
        return str(event.get_event_class_display())

    @display(description="Id")
    def event_id(self, event: CostEvent) -> str:
        return str(event.pk)

    @display(description="Entity")
    def entity_link(self, event: CostEvent) -> SafeString | str:
        return change_link(event.entity, f"{event.entity} ({event.entity.entity_type}:{event.entity.entity_id})")

    @display(description="Price version")
    def price_link(self, event: CostEvent) -> SafeString | str:
        return linked("costs_priceversion", event.price_version_id, "the prices it was worked out with")

    @display(description="Exchange rate")
    def rate_link(self, event: CostEvent) -> SafeString | str:
        return linked("costs_fxrate", event.fx_rate_id, "the rate it was converted with")

    @display(description="Reservation")
    def reservation_link(self, event: CostEvent) -> SafeString | str:
        return linked("costs_reservation", event.reservation, "the money that was set aside for it")

    @display(description="Corrects")
    def adjusts_link(self, event: CostEvent) -> SafeString | str:
        return linked("costs_costevent", event.adjusts, "the event that this one corrects")

    def has_correct_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may correct this event; what corrects another is not corrected itself."""
        belongs = obj is not None and obj.event_class in {EventClass.ADJUSTMENT, EventClass.REVERSAL}
        return request.user.has_perm("costs.change_costevent") and not belongs

    @action(
        description="Correct the amount",
        permissions=["correct"],
        icon="edit",
        url_path="correct",
        dialog=Dialog(
            "Correct the amount",
            "The event stays. A reversal takes it out of the totals, and a new event with this amount takes its place.",
            CorrectForm,
            "Correct",
        ),
    )
    def correct(self, request: HttpRequest, form: CorrectForm, object_id: str) -> HttpResponse:
        """Write a reversal and a new event, and lead to the latter."""
        event = self.get_object(request, object_id)
        given = form.cleaned_data
        made = correct_cost(event, given["amount"], reason=given["reason"], now=timezone.now())  # type: ignore[arg-type]
        self.message_user(request, "Corrected: this is the event that stands in its place.", messages.SUCCESS)
        return HttpResponseRedirect(_address(made))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[CostEvent], search_term: str
    ) -> tuple[QuerySet[CostEvent], bool]:
        """Find events by their id, entity, idempotency key or trace, each exactly."""
        term = search_term.strip()
        return (queryset.filter(_wanted(term)) if term else queryset), False

    def details(self, obj: CostEvent) -> dict[str, Any]:
        """Return the event with its meters and the chain of its corrections."""
        return event_details(obj)


def event_details(event: CostEvent) -> dict[str, Any]:
    """Return the meters of an event and every event that corrects it or is corrected with it, with their sum."""
    root: UUID = event.adjusts or event.pk
    chain = list(CostEvent.objects.filter(pk=root)) + list(
        CostEvent.objects.filter(adjusts=root).order_by("id")[:CHAIN_LENGTH]
    )
    known = [item.amount for item in chain if item.amount is not None]
    return {
        "event_meters": meters_of(event),
        "event_chain": [
            {
                "event": item,
                "link": reverse("admin:costs_costevent_change", args=[item.pk]),
                "self": item.pk == event.pk,
            }
            for item in chain
        ]
        if len(chain) > 1
        else [],
        "chain_total": amount(sum(known, Decimal(0)), event.currency) if known else "–",
        "event_currency": event.currency,
    }


def _address(event: CostEvent) -> str:
    return reverse("admin:costs_costevent_change", args=[event.pk])


def meters_of(event: CostEvent) -> list[tuple[str, str, str]]:
    """Return (meter, quantity, amount) of an event, each meter that was counted or charged."""
    names = [*event.quantities, *(name for name in event.breakdown if name not in event.quantities)]
    return [
        (name.replace("_", " "), _quantity(event.quantities.get(name)), str(event.breakdown.get(name, "–")))
        for name in names
    ]


def _quantity(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _wanted(term: str) -> Q:
    """Return the events that a term names; whatever can be looked up elsewhere is, so that an index answers here."""
    wanted = Q(pk__in=[*_own_ids(term), *_ids_of_key(term)])
    wanted |= Q(entity_id__in=list(Entity.objects.filter(entity_id=term).values_list("pk", flat=True)))
    return wanted | Q(trace_id=term.lower()) if is_trace(term) else wanted


def _own_ids(term: str) -> list[UUID]:
    try:
        return [UUID(term)]
    except ValueError:
        return []


def _ids_of_key(term: str) -> list[UUID]:
    """Return the events that any known sender recorded under this idempotency key."""
    families = ApiKey.objects.order_by().values_list("family", flat=True).distinct()
    sources = [*OWN_SOURCES, *(f"key:{family.hex}" for family in families)]
    digests = [UUID(bytes=hashlib.sha256(f"{source}\0{term}".encode()).digest()[:16]) for source in sources]
    return list(EventKey.objects.filter(digest__in=digests).values_list("event", flat=True))
