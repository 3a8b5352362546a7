"""Customers, contracts and their periods in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from core.adminkit import (
    AuditedModelAdmin,
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    Dialog,
    EmptyState,
    ReadOnlyModelAdmin,
    ReasonForm,
    RelatedDropdownFilter,
    action,
    display,
    period_filter,
)
from slas.admin.contract_forms import ContractChangeForm, ContractForm, CreditForm, EndForm, TierFormSet
from slas.admin.contract_page import contract_page, credit_text, period_page, span_text, value_text
from slas.admin.saving import LabelledInline, SavesByService
from slas.admin.sections import CONTRACTS
from slas.choices import PERIOD_MOVES, PeriodStatus
from slas.models import Customer, SLAContract, SLAPeriod, SLATier
from slas.services import contracts as services

STATUS_TONES = {
    "Open": "info", "Provisional": "warning", "Final": "success", "Credited": "primary", "Disputed": "danger",
    "Waived": "default",
}  # fmt: skip


@admin.register(Customer)
class CustomerAdmin(AuditedModelAdmin[Customer]):
    """Who was promised something, and whom to tell."""

    list_display = ("name", "slug", "contact_name", "contact_email")
    search_fields = ("name", "slug", "contact_email")
    ordering = ("name", "id")
    fields = ("name", "slug", "contact_name", "contact_email")
    prepopulated_fields = {"slug": ("name",)}
    menu_icon = "handshake"
    menu_section = CONTRACTS
    menu_order = 20
    empty_state = EmptyState(
        "No customers yet",
        "Add a customer to promise it a level of service.",
        icon="handshake",
        step="Add a customer",
        link=lambda: reverse("admin:slas_customer_add"),
    )

    def save_model(self, request: HttpRequest, obj: Customer, form: Any, change: bool) -> None:
        """Note when it was made."""
        if not change:
            obj.created_at = timezone.now()
        super().save_model(request, obj, form, change)


class TierInline(LabelledInline[SLATier, SLAContract]):
    """Below which availability how much of the fee is credited."""

    model = SLATier
    formset = TierFormSet
    fields = ("below", "credit_percent")
    min_num = 1


@admin.register(SLAContract)
class SLAContractAdmin(SavesByService[SLAContract]):
    """What customers were promised, and how the running period stands."""

    list_display = ("name", "customer", "service", "promised", "metric", "period_unit", "starts_on", "ends_on")
    list_select_related = ("customer", "service")
    list_filter = (("customer", RelatedDropdownFilter), ("service", RelatedDropdownFilter), "metric")
    search_fields = ("name", "reference", "customer__name", "customer__slug", "service__name")
    ordering = ("customer__name", "name", "id")
    autocomplete_fields = ("customer", "sli")
    inlines = (TierInline,)
    actions_detail = ("end",)
    change_form_before_template = "admin/slas/contract_page.html"
    menu_icon = "contract"
    menu_section = CONTRACTS
    menu_order = 10
    empty_state = EmptyState(
        "No contracts yet",
        "A contract says which availability a customer was promised, and what is credited when it is missed.",
        icon="contract",
        step="Add a contract",
        link=lambda: reverse("admin:slas_slacontract_add"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SLAContract]:
        """Read the tiers of a whole page at once."""
        return super().get_queryset(request).prefetch_related("tiers")

    @display(description="Promised")
    def promised(self, contract: SLAContract) -> str:
        """The availability below which the first credit is due."""
        best = max((tier.below for tier in contract.tiers.all()), default=None)
        return "–" if best is None else f"{best.normalize():f} %"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=ContractChangeForm if obj else ContractForm, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        counted = ("What is counted", {"fields": (("metric",), ("error_share", "min_consecutive_minutes"))})
        excluded = ("Exclusions", {"fields": (("notice_hours", "max_excluded_minutes"),)})
        money = (
            "Fee and credits",
            {"fields": (("fee", "currency"), ("fee_metric", "fee_labels"), ("cap_percent", "claim_days"),
                        "provisional_days")},
        )  # fmt: skip
        if obj is None:
            whose = (None, {"fields": (("customer", "sli"), ("name", "reference"))})
            when = ("Periods", {"fields": (("period_unit", "time_zone"), ("starts_on", "ends_on"))})
            return (whose, when, counted, excluded, money)
        change = ("Changed terms", {"fields": (("applies_from", "reason"),)}) if self._changes(request, obj) else None
        parts = [(None, {"fields": (("name", "reference"),)}), counted, excluded, money]
        return [*parts, change] if change else parts

    def _changes(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj)

    def details(self, obj: SLAContract) -> dict[str, Any]:
        """Return how the contract stands, for what is above its form."""
        return contract_page(obj)

    def save_model(self, request: HttpRequest, obj: SLAContract, form: Any, change: bool) -> None:
        """Wait for the tiers: the service takes contract and tiers together."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Make or change the contract through its service, with the tiers as filled in."""
        now, contract, (tiers,) = timezone.now(), form.instance, formsets
        tiers.save(commit=False)
        terms = tiers.terms()
        if change:
            given = form.cleaned_data
            services.rename_contract(contract.pk, name=given["name"], reference=given["reference"], now=now)
            services.change_terms(
                contract.pk, terms, reason=given["reason"], now=now, applies_from=given["applies_from"]
            )
        else:
            made = services.create_contract(_draft(contract, terms), now=now)
            services.open_periods(made, now=now)
            contract.pk, contract._state.adding = made.pk, False
        for warning in services.stricter_warnings(SLAContract.objects.get(pk=contract.pk)):
            self.message_user(request, warning, messages.WARNING)

    @action(
        description="End",
        permissions=["change"],
        icon="event_busy",
        url_path="end",
        dialog=Dialog("End the contract", "The running period is cut there; closed ones stay.", EndForm, "Set the end"),
    )
    def end(self, request: HttpRequest, form: EndForm, object_id: str) -> None:
        """Set or take away the day on which the contract is over."""
        given = form.cleaned_data
        services.end_contract(self.key(object_id), given["ends_on"], now=timezone.now(), reason=given["reason"])
        self.message_user(request, "The end of the contract is set.", messages.SUCCESS)


def _draft(contract: SLAContract, terms: Any) -> services.ContractDraft:
    return services.ContractDraft(
        customer=contract.customer,
        sli=contract.sli,
        name=contract.name,
        time_zone=contract.time_zone,
        starts_on=contract.starts_on,
        ends_on=contract.ends_on,
        terms=terms,
        period_unit=contract.period_unit,
        reference=contract.reference,
    )


@admin.register(SLAPeriod)
class SLAPeriodAdmin(ReadOnlyModelAdmin[SLAPeriod]):
    """What each period of a contract came to, and what was decided about it."""

    list_display = ("contract", "span", "status_label", "value", "excluded_minutes", "credited", "final_at")
    list_select_related = ("contract__customer",)
    list_filter = (("status", ChoicesDropdownFilter), ("contract", AutocompleteSelectFilter), period_filter("start"))
    search_fields = ("contract__name", "contract__customer__name", "credit_reference")
    ordering = ("-start", "-id")
    fields = (
        "contract", "start", "end", "status", "status_at", "status_by", "status_reason", "good", "total", "raw_good",
        "raw_total", "excluded_minutes", "unmeasured_minutes", "currency", "fee", "credit_percent", "credit",
        "settled_credit", "credit_reference", "revision", "evaluated_at", "counted_until", "final_at", "note",
    )  # fmt: skip
    actions_detail = ("credit", "dispute", "reject_dispute", "waive", "judge_now")
    change_form_before_template = "admin/slas/period_page.html"
    menu_icon = "date_range"
    menu_section = CONTRACTS
    menu_order = 30
    empty_state = EmptyState(
        "No periods yet", "Each contract gets one for every month, quarter or year that begins.", icon="date_range"
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SLAPeriod]:
        """Read what the page of a period needs with it."""
        return super().get_queryset(request).select_related("contract__customer", "contract__service", "contract__sli")

    @display(description="Period", ordering="start")
    def span(self, period: SLAPeriod) -> str:
        """Its days, in the contract's time zone."""
        return span_text(period)

    @display(description="Status", ordering="status", label=STATUS_TONES)
    def status_label(self, period: SLAPeriod) -> str:
        """How far it has come."""
        return period.get_status_display()

    @display(description="Availability")
    def value(self, period: SLAPeriod) -> str:
        """Cut off, never rounded up."""
        return value_text(period)

    @display(description="Credit", ordering="credit")
    def credited(self, period: SLAPeriod) -> str:
        """What is, or was, credited."""
        return credit_text(period)

    def details(self, obj: SLAPeriod) -> dict[str, Any]:
        """Return how the period came about, for what is above its columns."""
        return period_page(obj)

    def has_credit_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may mark a credit as given; only finance may, and who may do everything."""
        fits = obj is None or (_can(obj, PeriodStatus.CREDITED) and bool(obj.credit or obj.status == "disputed"))
        return fits and request.user.has_perm("slas.credit_slaperiod")

    def has_waive_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may settle the period without a credit."""
        fits = obj is None or (_can(obj, PeriodStatus.WAIVED) and bool(obj.credit or obj.status == "disputed"))
        return fits and request.user.has_perm("slas.change_slaperiod")

    def has_dispute_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may note a customer's objection."""
        fits = obj is None or _can(obj, PeriodStatus.DISPUTED)
        return fits and request.user.has_perm("slas.change_slaperiod")

    def has_reject_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may decide that the numbers stand."""
        fits = obj is None or obj.status == PeriodStatus.DISPUTED
        return fits and request.user.has_perm("slas.change_slaperiod")

    def has_judge_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may have the period judged at once."""
        moving = obj is None or obj.status in {PeriodStatus.OPEN, PeriodStatus.PROVISIONAL}
        return moving and request.user.has_perm("slas.change_slaperiod")

    @action(
        description="Mark as credited",
        permissions=["credit"],
        icon="payments",
        variant="primary",
        url_path="credit",
        dialog=Dialog("Mark the credit as given", "For good: the period is settled.", CreditForm, "Mark as credited"),
    )
    def credit(self, request: HttpRequest, form: CreditForm, object_id: str) -> None:
        """Note that the credit was given."""
        given = form.cleaned_data
        period = services.credit_period(
            self._key(object_id), reason=given["reason"], now=timezone.now(), amount=given["amount"],
            reference=given["reference"],
        )  # fmt: skip
        self.message_user(request, f"{credit_text(period)} are marked as credited.", messages.SUCCESS)

    @action(
        description="Dispute",
        permissions=["dispute"],
        icon="gavel",
        url_path="dispute",
        dialog=Dialog("Note a dispute", "The customer objects to what was computed.", ReasonForm, "Note the dispute"),
    )
    def dispute(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Note a customer's objection."""
        services.dispute_period(self._key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "The dispute is noted.", messages.SUCCESS)

    @action(
        description="Reject the dispute",
        permissions=["reject"],
        icon="undo",
        url_path="reject-dispute",
        dialog=Dialog("Reject the dispute", "The numbers stand; the period is final again.", ReasonForm, "Reject"),
    )
    def reject_dispute(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Decide that the numbers stand."""
        services.reject_dispute(self._key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "The dispute is rejected.", messages.SUCCESS)

    @action(
        description="Waive",
        permissions=["waive"],
        icon="money_off",
        url_path="waive",
        dialog=Dialog("Waive the credit", "For good: nothing is credited for this period.", ReasonForm, "Waive"),
    )
    def waive(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Settle the period without a credit."""
        services.waive_period(self._key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "The credit is waived.", messages.SUCCESS)

    @action(
        description="Judge now",
        permissions=["judge"],
        icon="calculate",
        url_path="judge",
        dialog=Dialog("Judge the period now", "Reads the minutes and exclusions again, as happens every ten minutes."),
    )
    def judge_now(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Judge the period without waiting for the schedule."""
        services.follow(self._key(object_id), now=timezone.now())
        self.message_user(request, "The period was judged anew.", messages.SUCCESS)

    def _key(self, object_id: str) -> Any:
        return self.opts.pk.to_python(object_id)


def _can(period: SLAPeriod, status: str) -> bool:
    return status in PERIOD_MOVES[period.status] and period.status != PeriodStatus.PROVISIONAL
