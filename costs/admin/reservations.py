"""Money set aside: what is held now, by whom and until when; and the periods it is held in."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.adminkit import (
    Dialog,
    EmptyState,
    LargeTableAdmin,
    ReadOnlyInline,
    ReadOnlyModelAdmin,
    ReasonForm,
    action,
    display,
    money_column,
)
from core.models import ApiKey
from core.templatetags.components import progress_bar
from costs.admin.links import change_link, linked
from costs.admin.refusals import STYLES
from costs.admin.sections import BUDGETS
from costs.amounts import amount
from costs.models import BudgetPeriod, Reservation, ReservationLine
from costs.services.releasing import force_release


class LineInline(ReadOnlyInline[ReservationLine, Reservation]):
    """What a reservation holds of each budget."""

    model = ReservationLine
    fields = ("budget", "held")
    readonly_fields = fields
    verbose_name_plural = "Held of these budgets"

    @display(description="Budget")
    def budget(self, line: ReservationLine) -> SafeString | str:
        return change_link(line.period.budget)

    @display(description="Held")
    def held(self, line: ReservationLine) -> str:
        return amount(line.amount, line.period.budget.currency)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReservationLine]:
        return super().get_queryset(request).select_related("period__budget")


class BudgetFilter(admin.SimpleListFilter):
    """The reservations that hold money of one budget; set by links."""

    title = "budget"
    parameter_name = "budget"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        given = request.GET.get(self.parameter_name)
        return [(given, "The chosen budget")] if given else []

    def has_output(self) -> bool:
        return bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Reservation]) -> QuerySet[Reservation]:
        try:
            chosen = UUID(self.value() or "")
        except ValueError:
            return queryset.none() if self.value() else queryset
        return queryset.filter(pk__in=ReservationLine.objects.filter(period__budget=chosen).values("reservation"))


@admin.register(Reservation)
class ReservationAdmin(LargeTableAdmin[Reservation], ReadOnlyModelAdmin[Reservation]):
    """Calls under way and what they hold; a hard limit is never passed because of these rows."""

    list_display = ("entity", "held", "what", "status_label", "spent", "created_at", "ends")
    list_select_related = ("entity",)
    list_filter = ("status", BudgetFilter)
    search_fields = ("pk__exact",)
    search_help_text = "The exact id or key of a reservation"
    inlines = (LineInline,)
    actions = ("force_release",)
    actions_detail = ("release_one",)
    fields = (
        ("entity", "cost_type"), ("provider", "model"), ("held", "status"), ("spent", "overrun"),
        ("created_at", "expires_at"), "closed_at", ("key", "client"), "event_link",
    )  # fmt: skip
    readonly_fields = ("held", "spent", "event_link")
    menu_icon = "hourglass_top"
    menu_section = BUDGETS
    menu_order = 20
    empty_state = EmptyState(
        "Nothing is set aside",
        "Agents set money aside before a call, so that hard limits hold: POST /api/v1/financial/reservations.",
        icon="hourglass_empty",
    )

    held = money_column("amount", currency="currency", description="Set aside")
    spent = money_column("actual", currency="currency", description="Cost in the end")

    @display(description="For")
    def what(self, reservation: Reservation) -> str:
        return " / ".join(part for part in (reservation.provider, reservation.model) if part) or reservation.cost_type

    @display(
        description="State", label={"Pending": "warning", "Settled": "success", "Released": "info", "Expired": "danger"}
    )
    def status_label(self, reservation: Reservation) -> str:
        return str(reservation.get_status_display())

    @display(description="Ends")
    def ends(self, reservation: Reservation) -> str:
        if reservation.status != "pending":
            return f"{timezone.localtime(reservation.closed_at):%Y-%m-%d %H:%M}" if reservation.closed_at else "–"
        return remaining(reservation.expires_at, timezone.now())

    @display(description="Settled by")
    def event_link(self, reservation: Reservation) -> SafeString | str:
        return linked("costs_costevent", reservation.event, "the event that says what it cost")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Reservation], search_term: str
    ) -> tuple[QuerySet[Reservation], bool]:
        """Find a reservation by its id, or by the key that any known client gave it."""
        found, distinct = super().get_search_results(request, queryset, search_term)
        term = search_term.strip()
        if not term:
            return found, distinct
        from costs.demo.load import CLIENT as DEMO_CLIENT  # what makes demonstrations is for one command

        # Of every client by name: the keys are indexed behind their clients.
        clients = [*ApiKey.objects.order_by().values_list("family", flat=True).distinct(), DEMO_CLIENT]
        return found | queryset.filter(client__in=clients, key=term), distinct

    def has_release_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this reservation holds money that this person may give back."""
        return request.user.has_perm("costs.change_reservation") and (obj is None or obj.status == "pending")

    @action(
        description="Release",
        permissions=["release"],
        icon="lock_open",
        variant="danger",
        url_path="release",
        dialog=Dialog(
            "Give the money back",
            "The call may still be under way: what it costs is recorded then without having been set aside.",
            ReasonForm,
            "Release",
        ),
    )
    def release_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Give back what this reservation holds."""
        self._release(request, [UUID(object_id)], form.cleaned_data["reason"])

    @action(
        description="Release",
        permissions=["release"],
        dialog=Dialog(
            "Give the money back",
            "The calls may still be under way: what they cost is recorded then without having been set aside.",
            ReasonForm,
            "Release",
        ),
    )
    def force_release(self, request: HttpRequest, form: ReasonForm, reservations: QuerySet[Reservation]) -> None:
        """Give back what the selected reservations hold."""
        selected = len(request.POST.getlist(ACTION_CHECKBOX_NAME))
        pending = list(reservations.filter(status="pending").values_list("pk", flat=True))
        self._release(request, pending, form.cleaned_data["reason"], skipped=selected - len(pending))

    def _release(self, request: HttpRequest, keys: list[UUID], reason: str, *, skipped: int = 0) -> None:
        freed = sum(force_release(key, reason=reason, now=timezone.now()) for key in keys)
        skipped += len(keys) - freed
        note = f" {skipped} held nothing any more." if skipped else ""
        level = messages.SUCCESS if freed else messages.WARNING
        self.message_user(request, f"{freed} reservation(s) released.{note}", level)


def remaining(until: datetime, now: datetime) -> str:
    """Return how long until an instant, in words."""
    minutes = int((until - now).total_seconds() // 60)
    if minutes < 0:
        return "due"
    return f"in {minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"in {minutes} min"


@admin.register(BudgetPeriod)
class BudgetPeriodAdmin(LargeTableAdmin[BudgetPeriod], ReadOnlyModelAdmin[BudgetPeriod]):
    """Every period of every budget: what was allowed, spent and set aside."""

    class Media:
        css = STYLES

    list_display = ("budget", "start_at", "end_at", "used", "limit_text", "reserved_text", "overrun_text")
    list_select_related = ("budget",)
    list_filter = (("budget", admin.RelatedOnlyFieldListFilter),)
    search_fields = ("budget__name__startswith",)
    menu_icon = "date_range"
    menu_section = BUDGETS
    menu_order = 30
    empty_state = EmptyState(
        "No periods yet", "They are made with the first cost that a budget counts.", icon="date_range"
    )

    @display(description="Used")
    def used(self, period: BudgetPeriod) -> SafeString:
        bar = progress_bar(period.spent, period.limit, amount(period.spent, period.budget.currency), period.reserved)
        return format_html('<div class="costs-used">{}</div>', render_to_string("components/progress.html", bar))

    @display(description="Limit")
    def limit_text(self, period: BudgetPeriod) -> str:
        return amount(period.limit, period.budget.currency)

    @display(description="Set aside")
    def reserved_text(self, period: BudgetPeriod) -> str:
        return amount(period.reserved)

    @display(description="Overrun")
    def overrun_text(self, period: BudgetPeriod) -> str:
        return amount(period.overrun)
