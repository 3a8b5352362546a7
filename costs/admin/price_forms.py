"""Forms of the price book: drafting a price, naming a model, deciding between two sources, asking what a call costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from django import forms
from django.utils import timezone

from core.adminkit import DialogForm, MoneyInput, ReasonForm, Select, TextInput
from costs.choices import ServiceTier
from costs.models import PriceBook, PriceVersion, Sku, SkuAlias
from costs.pricing import Component, Tier
from costs.services.prices import components_of

HUNDRED = Decimal(100)
PRICE_FIELD = "price_"
# What a model that has no price yet is usually charged for.
USUAL_METERS = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")


def price_field(label: str, *, required: bool = False, help_text: str = "") -> forms.DecimalField:
    """Return a field for a unit price."""
    return forms.DecimalField(
        label=label, required=required, min_value=Decimal(0), max_digits=24, decimal_places=12, widget=MoneyInput,
        help_text=help_text,
    )  # fmt: skip


def date_time_field(**options: Any) -> forms.DateTimeField:
    """Return a field for an instant in the organisation's time zone."""
    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "class": "af-input"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(widget=widget, input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], **options)


class DraftPriceForm(DialogForm):
    """A contracted price: the current one less a discount, or a price for each meter."""

    book = forms.ModelChoiceField(PriceBook.objects.all(), widget=Select, help_text="The highest priority is charged.")
    service_tier = forms.ChoiceField(choices=ServiceTier.choices, widget=Select, initial=ServiceTier.STANDARD)
    region = forms.CharField(max_length=40, required=False, widget=TextInput, help_text="Empty: wherever it runs.")
    valid_from = date_time_field(help_text="From when it counts, once somebody else has approved it.")
    discount_percent = forms.DecimalField(
        required=False, min_value=Decimal(0), max_value=HUNDRED, max_digits=7, decimal_places=4, widget=MoneyInput,
        label="Discount in percent on today's price", help_text="Or give a price for each meter below.",
    )  # fmt: skip
    note = forms.CharField(max_length=300, required=False, widget=TextInput, help_text="The contract, for instance.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.current = current_components(Sku.objects.get(pk=self.object_id)) if self.object_id else []
        self.fields["valid_from"].initial = timezone.localtime()
        for component in self._priced():
            label = f"{component.meter.replace('_', ' ')}, per {component.per:,}"
            tiers = ", with tiers, which only a discount changes" if component.tiers else ""
            note = f"Today {component.unit_price.normalize():f}{tiers}"
            self.fields[PRICE_FIELD + component.meter] = price_field(label, help_text=note if self.current else "")

    def _priced(self) -> list[Component]:
        plain = [component for component in self.current if component.window is None]
        return plain or [Component(meter, Decimal(0)) for meter in USUAL_METERS]

    def clean(self) -> dict[str, Any]:
        """Refuse a form that says no price at all."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not self.components():
            raise forms.ValidationError("Give a discount, or a price for at least one meter.")
        return cleaned

    def components(self) -> list[Component]:
        """Return what the price charges: each meter's own price, or today's less the discount."""
        given = {name: self.cleaned_data.get(PRICE_FIELD + name) for name in (item.meter for item in self._priced())}
        discount = self.cleaned_data.get("discount_percent")
        if discount is None and not any(price is not None for price in given.values()):
            return []
        factor = Decimal(1) if discount is None else (HUNDRED - discount) / HUNDRED
        if not self.current:
            return [
                Component(component.meter, price)
                for component in self._priced()
                if (price := given[component.meter]) is not None
            ]
        return [
            replace(component, unit_price=price)
            if (price := given.get(component.meter)) is not None and component.window is None
            else _reduced(component, factor)
            for component in self.current
        ]


def _reduced(component: Component, factor: Decimal) -> Component:
    tiers = tuple(Tier(tier.above, tier.price * factor, tier.flat * factor) for tier in component.tiers)
    return replace(component, unit_price=component.unit_price * factor, tiers=tiers)


def current_components(sku: Sku) -> list[Component]:
    """Return what the SKU's standard price charges today, from the book that counts."""
    version = current_versions([sku.pk]).get(sku.pk)
    return list(components_of(version)) if version else []


def current_versions(skus: list[int]) -> dict[int, PriceVersion]:
    """Return the approved standard price of each SKU that counts now, whatever book it is in, by one query."""
    now = timezone.now()
    rows = (
        PriceVersion.objects.filter(sku_id__in=skus, service_tier=ServiceTier.STANDARD, region="", status="approved")
        .exclude(valid_from__gt=now)
        .exclude(valid_to__lte=now)
        .select_related("book")
        .prefetch_related("components")
        .order_by("book__priority", "book_id")
    )
    return {version.sku_id: version for version in rows}


class AliasForm(DialogForm):
    """Which SKU an unknown name means."""

    sku = forms.CharField(
        label="Means", max_length=230, widget=TextInput(attrs={"placeholder": "provider/model"}),
        help_text="A model of the price book, as provider/model.",
    )  # fmt: skip
    kind = forms.ChoiceField(choices=SkuAlias.Kind.choices, initial=SkuAlias.Kind.EXACT, widget=Select)

    def clean_sku(self) -> Sku:
        """Find the SKU that was named."""
        provider, _, code = self.cleaned_data["sku"].strip().partition("/")
        found = Sku.objects.filter(provider__iexact=provider, code__iexact=code).first()
        if found is None:
            raise forms.ValidationError("The price book has no such model; look it up under SKUs.")
        return found


class NoteForm(DialogForm):
    """Asks for a note that is kept with the decision."""

    note = forms.CharField(max_length=300, widget=TextInput, help_text="Kept with the decision.")


class EndForm(ReasonForm):
    """When a price ends, and why."""

    at = date_time_field(label="Ends at")
    field_order = ("at", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["at"].initial = timezone.localtime()


class ApproveForm(DialogForm):
    """Asks about prices that begin in the past."""

    back_dated = forms.BooleanField(
        required=False, label="It begins in the past: approve it anyway",
        help_text="What was recorded meanwhile keeps its amount until a reprice corrects it.",
    )  # fmt: skip


class TesterForm(forms.Form):
    """A call whose price is asked for."""

    model = forms.CharField(max_length=160, widget=TextInput(attrs={"placeholder": "claude-sonnet-4-5"}))
    provider = forms.CharField(
        max_length=64, required=False, widget=TextInput(attrs={"placeholder": "anthropic (may be left out)"})
    )
    service_tier = forms.ChoiceField(choices=ServiceTier.choices, initial=ServiceTier.STANDARD, widget=Select)
    region = forms.CharField(max_length=40, required=False, widget=TextInput)
    at = date_time_field(required=False, label="At", help_text="Empty: now.")
    input_tokens = forms.IntegerField(
        min_value=0, max_value=10**12, initial=1_000_000, help_text="All input, cached included.", widget=MoneyInput
    )
    cache_read_tokens = forms.IntegerField(min_value=0, max_value=10**12, required=False, widget=MoneyInput)
    cache_write_tokens = forms.IntegerField(min_value=0, max_value=10**12, required=False, widget=MoneyInput)
    output_tokens = forms.IntegerField(
        min_value=0, max_value=10**12, initial=100_000, help_text="Reasoning included.", widget=MoneyInput
    )
