"""Tools around the price book: what a call would cost and why, other names, readings of the lists, pricing again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from core.adminkit import (
    EmptyState,
    PageView,
    ReadOnlyModelAdmin,
    action,
    display,
    page,
)
from core.errors import Refusal
from core.jobs import start_job
from core.money import to_text
from costs import pricebook, reader
from costs.admin.price_forms import TesterForm
from costs.admin.refusals import SCRIPTS, ServiceModelAdmin, reasons
from costs.admin.sections import PRICES
from costs.amounts import amount, count
from costs.models import PriceSyncRun, SkuAlias
from costs.pricing import PriceResult, PricingInputError, Quantity, meters
from costs.services.prices_repricing import RepriceReport, RepriceScope, reprice
from costs.services.prices_upkeep import add_alias, remove_alias

REPRICE_JOB = "costs.reprice"
SYNC_JOB = "costs.sync_prices"
LONGEST_PREVIEW = timedelta(days=100)


@page
class TesterPage(PageView):
    """What a call would cost: which model a name means, how that was found, and every meter of the amount."""

    path = "costs/prices/tester/"
    name = "costs_price_tester"
    title = "What would this cost?"
    permissions = ("costs.view_priceversion",)
    menu_section = PRICES
    menu_icon = "calculate"
    menu_order = 20
    template_name = "admin/costs/tester.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the form and, once it is filled in, the answer."""
        form = TesterForm(self.request.GET) if self.request.GET else TesterForm()
        answer = tested(form.cleaned_data, timezone.now()) if self.request.GET and form.is_valid() else None
        return super().get_context_data(**{"form": form, "answer": answer, **kwargs})


def tested(call: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return how a name is resolved and what the call costs at an instant; nothing is recorded."""
    at = call["at"] or now
    table = pricebook.current_table()
    found = table.resolve(call["provider"], call["model"])
    owner = f"of “{call['provider']}”" if call["provider"] else "of any provider"
    steps = [f"Asked for “{call['model']}” {owner}."]
    if found.sku is None:
        return {"steps": [*steps, _sentence(found.reason)], "nearest": table.nearest(call["model"])}
    steps.append(f"It means {found.sku} (found by: {found.matched_by or 'name'}).")
    try:
        quantities = meters(**{name: call[name] for name in TOKEN_FIELDS if call[name] is not None})
    except PricingInputError as error:
        return {"steps": [*steps, _sentence(str(error))]}
    result = table.price(
        provider=call["provider"], model=call["model"], service_tier=call["service_tier"], region=call["region"],
        at=at, quantities=quantities,
    )  # fmt: skip
    if result.amount is None:
        return {"steps": [*steps, _sentence(result.reason)]}
    zone = reader.organisation_zone()
    instant = f"{at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
    steps.append(f"Priced as of {instant}, tier {call['service_tier']}, region {call['region'] or 'any'}.")
    steps += [f"Not all of it has a price: {result.reason}."] if result.status == "partial" else []
    return {
        "steps": steps,
        "sku": reverse("admin:costs_sku_change", args=[found.sku.id]),
        **_worked_out(result, quantities),
    }


def _sentence(reason: str) -> str:
    return f"{reason[:1].upper()}{reason[1:]}."


def _worked_out(result: PriceResult, quantities: Mapping[str, Quantity]) -> dict[str, Any]:
    """Return the amount, each meter of it and the version that was applied."""
    whole = result.amount or Decimal(0)
    differs = result.list_amount is not None and result.list_amount != result.amount
    return {
        "amount": amount(whole, result.currency),
        "exact": f"{to_text(whole)} {result.currency}",
        "list_amount": amount(result.list_amount, result.currency) if differs else "",
        "meters": [
            (name.replace("_", " "), count(int(quantity)), result.breakdown.get(name, "–"))
            for name, quantity in quantities.items()
        ],
        "version": reverse("admin:costs_priceversion_change", args=[result.version_id]) if result.version_id else "",
        "sku_name": result.sku,
    }


TOKEN_FIELDS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


class AliasModelForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """Another name of a SKU."""

    class Meta:
        model = SkuAlias
        fields = ("sku", "provider", "kind", "pattern")


@admin.register(SkuAlias)
class SkuAliasAdmin(ServiceModelAdmin[SkuAlias]):
    """Other names of models; one's own come before those that came with the price lists."""

    class Media:
        js = SCRIPTS

    form = AliasModelForm
    list_display = ("pattern", "kind", "provider_text", "sku", "own")
    list_select_related = ("sku",)
    list_filter = ("kind", "built_in")
    search_fields = ("pattern", "sku__code")
    ordering = ("built_in", "provider", "pattern", "id")
    autocomplete_fields = ("sku",)
    menu_icon = "alternate_email"
    menu_section = PRICES
    menu_order = 60

    @display(description="Provider")
    def provider_text(self, alias: SkuAlias) -> str:
        return alias.provider or "any"

    @display(description="Own", boolean=True)
    def own(self, alias: SkuAlias) -> bool:
        return not alias.built_in

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("costs.delete_skualias") and obj is not None and not obj.built_in

    def save_model(self, request: HttpRequest, obj: SkuAlias, form: Any, change: bool) -> None:
        """Add the alias through its service."""
        made = add_alias(sku=obj.sku, provider=obj.provider, kind=obj.kind, pattern=obj.pattern, now=timezone.now())
        obj.pk, obj._state.adding = made.pk, False

    def delete_model(self, request: HttpRequest, obj: SkuAlias) -> None:
        """Remove the alias through its service."""
        remove_alias(obj, now=timezone.now())


@admin.register(PriceSyncRun)
class PriceSyncRunAdmin(ReadOnlyModelAdmin[PriceSyncRun]):
    """Readings of the price lists: what came in, what changed, what waits for a person."""

    list_display = (
        "started_at", "created_count", "unchanged_count", "discrepancy_count", "rounded_count", "took", "error_text",
    )  # fmt: skip
    ordering = ("-started_at", "-id")
    actions_list = ("sync_now",)
    menu_icon = "sync"
    menu_section = PRICES
    menu_order = 70
    empty_state = EmptyState(
        "The price lists were not read yet", "They come with the product; no network is asked.", icon="sync",
        snippet="python manage.py load_prices",
    )  # fmt: skip

    @display(description="Took")
    def took(self, run: PriceSyncRun) -> str:
        return "–" if run.finished_at is None else f"{(run.finished_at - run.started_at).total_seconds():.1f} s"

    @display(description="Error")
    def error_text(self, run: PriceSyncRun) -> str:
        return run.error[:80] or "–"

    @action(
        description="Read the price lists now",
        permissions=["costs.change_priceversion"],
        icon="sync",
        url_path="sync",
    )
    def sync_now(self, request: HttpRequest) -> HttpResponse:
        """Start a job that reads the installed price lists."""
        job = start_job(SYNC_JOB, now=timezone.now(), requested_by=request.user)  # type: ignore[arg-type]
        return HttpResponseRedirect(reverse("admin:core_job_change", args=[job.pk]))


class RepriceForm(forms.Form):
    """Which costs are to be priced again, and why."""

    first = forms.DateField(label="From", widget=forms.DateInput(attrs={"type": "date", "class": "af-input"}))
    last = forms.DateField(label="To, included", widget=forms.DateInput(attrs={"type": "date", "class": "af-input"}))
    provider = forms.CharField(max_length=64, required=False, widget=forms.TextInput(attrs={"class": "af-input"}))
    model = forms.CharField(max_length=160, required=False, widget=forms.TextInput(attrs={"class": "af-input"}))

    def clean(self) -> dict[str, Any]:
        """Refuse a range that is empty or too long to look at on one page."""
        cleaned = super().clean() or self.cleaned_data
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last and (last < first or last - first > LONGEST_PREVIEW):
            raise forms.ValidationError(f"The range has 1 to {LONGEST_PREVIEW.days} days.")
        return cleaned

    def scope(self) -> RepriceScope:
        """Return the scope as the service wants it; both days are included."""
        given, zone = self.cleaned_data, reader.organisation_zone()
        return RepriceScope(
            start=reader.midnight(given["first"], zone),
            end=reader.midnight(given["last"] + timedelta(days=1), zone),
            provider=given["provider"].strip(),
            model=given["model"].strip(),
        )


@page
class RepricePage(PageView):
    """Pricing again: the difference is shown first; booked is exactly what was shown."""

    path = "costs/prices/reprice/"
    name = "costs_reprice"
    title = "Price again"
    permissions = ("costs.change_priceversion",)
    menu_section = PRICES
    menu_icon = "price_change"
    menu_order = 40
    template_name = "admin/costs/reprice.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the form and, once it is filled in, the difference."""
        form = RepriceForm(self.request.GET) if self.request.GET else RepriceForm(initial=_this_month())
        shown: dict[str, Any] = {"form": form}
        if self.request.GET and form.is_valid():
            report = reprice(form.scope(), now=timezone.now(), dry_run=True)
            shown |= {"report": report, "rows": difference_rows(report), "query": self.request.GET.urlencode()}
        return super().get_context_data(**{**shown, **kwargs})

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Start a job that books what the preview showed, and nothing else."""
        form = RepriceForm(request.GET)
        reason = request.POST.get("reason", "").strip()
        if not form.is_valid() or not reason:
            messages.error(request, "Say why the costs are priced again.")
            return HttpResponseRedirect(request.get_full_path())
        scope = form.scope()
        arguments = {
            "start": scope.start.isoformat(), "end": scope.end.isoformat(), "provider": scope.provider,
            "model": scope.model, "reason": reason, "token": request.POST.get("token", ""),
        }  # fmt: skip
        try:
            job = start_job(REPRICE_JOB, now=timezone.now(), arguments=arguments, requested_by=request.user)  # type: ignore[arg-type]
        except Refusal as refusal:
            messages.error(request, " ".join(reasons(refusal)))
            return HttpResponseRedirect(request.get_full_path())
        return HttpResponseRedirect(reverse("admin:core_job_change", args=[job.pk]))


def _this_month() -> dict[str, Any]:
    today = timezone.localdate()
    return {"first": today.replace(day=1), "last": today}


def difference_rows(report: RepriceReport) -> list[dict[str, str]]:
    """Return the preview's rows as they are shown."""
    return [
        {
            "name": f"{row.provider}/{row.model}",
            "events": count(row.event_count),
            "old": amount(row.old, row.currency),
            "new": amount(row.new, row.currency),
            "difference": amount(row.difference, row.currency),
        }
        for row in report.differences
    ]
