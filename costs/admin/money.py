"""Currencies, exchange rates and their import, and the audits of the rollups."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from core.adminkit import (
    AuditedModelAdmin,
    Dialog,
    DialogForm,
    EmptyState,
    PageView,
    ReadOnlyModelAdmin,
    action,
    display,
    page,
    period_filter,
)
from costs.admin.refusals import ServiceModelAdmin
from costs.admin.sections import PRICES, QUEUES
from costs.models import Currency, FxRate, RollupAudit
from costs.services import currencies
from costs.services.corrections import convert_pending
from costs.services.fx import record_rate
from costs.services.rates_import import import_rates, read_rates
from costs.services.rollups import audit_days, days_due

LONGEST_FILE = 1024 * 1024
EXAMPLE = "base,quote,rate,date\nEUR,USD,1.0850,2026-11-20"


@admin.register(Currency)
class CurrencyAdmin(AuditedModelAdmin[Currency]):
    """The currencies that amounts may be in."""

    list_display = ("code", "name", "minor_units", "virtual")
    list_filter = ("virtual",)
    search_fields = ("code", "name")
    ordering = ("code",)
    menu_icon = "currency_exchange"
    menu_section = PRICES
    menu_order = 90

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("code",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Currency, form: Any, change: bool) -> None:
        """Save, and let this process know of it at once."""
        super().save_model(request, obj, form, change)
        currencies.forget()


@admin.register(FxRate)
class FxRateAdmin(ServiceModelAdmin[FxRate]):
    """What currencies were worth on a date; never edited, a later source supersedes."""

    list_display = ("as_of_date", "base", "rate_text", "quote", "source", "recorded_at")
    list_filter = (("base", admin.AllValuesFieldListFilter), ("quote", admin.AllValuesFieldListFilter))
    search_fields = ("source", "base", "quote")
    ordering = ("-as_of_date", "base", "-id")
    fields = (("base", "quote"), ("rate", "as_of_date"), "source")
    actions_list = ("import_file", "convert_now")
    menu_icon = "currency_exchange"
    menu_section = PRICES
    menu_order = 80
    empty_state = EmptyState(
        "No exchange rates yet", "Costs in other currencies wait for one before they count in the base currency.",
        icon="currency_exchange", step="Import rates", link=lambda: reverse("admin:costs_rates_import"),
    )  # fmt: skip

    @display(description="Rate", ordering="rate")
    def rate_text(self, rate: FxRate) -> str:
        return f"{rate.rate.normalize():f}"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: FxRate, form: Any, change: bool) -> None:
        """Record the rate through its service."""
        made = record_rate(
            base=obj.base.upper(), quote=obj.quote.upper(), rate=obj.rate, as_of_date=obj.as_of_date, source=obj.source,
            now=timezone.now(),
        )  # fmt: skip
        obj.pk, obj._state.adding = made.pk, False

    @action(description="Import a file", permissions=["add"], safe=True, icon="upload_file", url_path="import-file")
    def import_file(self, request: HttpRequest) -> HttpResponse:
        """Lead to the import page."""
        return HttpResponseRedirect(reverse("admin:costs_rates_import"))

    @action(
        description="Convert what waits",
        permissions=["add"],
        icon="sync",
        url_path="convert",
        dialog=Dialog(
            "Convert what waits for a rate",
            "Each cost without a base amount gets it by the rate of the day it occurred. The platform does the same "
            "every few minutes.",
            DialogForm,
            "Convert",
        ),
    )
    def convert_now(self, request: HttpRequest, form: DialogForm) -> None:
        """Convert the costs whose rates came late."""
        done = convert_pending(now=timezone.now())
        self.message_user(request, f"Converted {done} cost(s).", messages.SUCCESS)


class RatesForm(forms.Form):
    """A file of rates, or its text."""

    file = forms.FileField(required=False)
    text = forms.CharField(
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 8, "class": "af-input", "placeholder": f"base,quote,rate,date\n{EXAMPLE}"}
        ),
    )
    source = forms.CharField(max_length=80, initial="import", widget=forms.TextInput(attrs={"class": "af-input"}))

    def clean(self) -> dict[str, Any]:
        """Take the text of the file when one was given."""
        cleaned = super().clean() or self.cleaned_data
        given = cleaned.get("file")
        if given is not None:
            if given.size > LONGEST_FILE:
                raise forms.ValidationError("The file is larger than 1 MB.")
            try:
                cleaned["text"] = given.read().decode("utf-8-sig")
            except UnicodeDecodeError as error:
                raise forms.ValidationError("The file is not text in UTF-8.") from error
        if not cleaned.get("text", "").strip():
            raise forms.ValidationError("Choose a file or paste its lines.")
        return cleaned


@page
class RatesImportPage(PageView):
    """Import of exchange rates: what each line would do is shown before anything is written."""

    path = "costs/rates/import/"
    name = "costs_rates_import"
    title = "Import exchange rates"
    permissions = ("costs.add_fxrate",)
    menu_icon = "upload_file"
    template_name = "admin/costs/rates_import.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the form, and the preview once there is one."""
        return super().get_context_data(**{"form": RatesForm(), **kwargs})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the preview; with "confirm", write the good lines."""
        form = RatesForm(request.POST, request.FILES)
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        text, source = form.cleaned_data["text"], form.cleaned_data["source"]
        lines = read_rates(text, source=source, now=timezone.now())
        good = [line for line in lines if line.is_good]
        if "confirm" in request.POST and good:
            written = import_rates(good, now=timezone.now())
            skipped = len(lines) - len(good)
            note = f" {skipped} line(s) were left out." if skipped else ""
            messages.success(request, f"Recorded {written} rate(s); {len(good) - written} were known.{note}")
            return HttpResponseRedirect(reverse("admin:costs_fxrate_changelist"))
        shown = {"lines": lines, "good_count": len(good), "text": text, "source": source}
        return self.render_to_response(self.get_context_data(form=form, **shown))


@admin.register(RollupAudit)
class RollupAuditAdmin(ReadOnlyModelAdmin[RollupAudit]):
    """The proof that totals equal the events behind them, day by day."""

    list_display = ("day", "equal", "events_amount", "rollup_amount", "events_count", "rollup_count", "audited_at")
    list_filter = ("equal", period_filter("audited_at"))
    ordering = ("-audited_at", "-id")
    show_full_result_count = False
    actions_list = ("audit_now",)
    menu_icon = "fact_check"
    menu_section = QUEUES
    menu_order = 40
    empty_state = EmptyState(
        "No audit yet", "Every night the totals are compared with the events behind them.", icon="fact_check"
    )

    @action(
        description="Compare now",
        permissions=["view"],
        icon="fact_check",
        url_path="compare",
        dialog=Dialog(
            "Compare totals with events", "Reads the last days again; takes some seconds.", DialogForm, "Compare"
        ),
    )
    def audit_now(self, request: HttpRequest, form: DialogForm) -> None:
        """Audit the last seven days."""
        now = timezone.now()
        results = audit_days(days_due(now=now)[-7:], now=now)
        different = [str(result.day) for result in results if not result.equal]
        if different:
            self.message_user(request, f"Totals differ from the events on {', '.join(different)}.", messages.ERROR)
        else:
            self.message_user(request, f"{len(results)} day(s) are equal to the last digit.", messages.SUCCESS)
