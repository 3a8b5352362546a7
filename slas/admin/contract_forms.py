"""The forms of contracts: their terms with the tiers inline, checked by the service before anything is written."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet

from core.adminkit import MoneyInput, ReasonForm, Select, TextInput
from core.errors import Invalid
from core.money import DECIMAL_PLACES, MAX_DIGITS
from core.ports.metrics import metrics
from slas.credits import ContractTerms, Tier
from slas.models import SLAContract, SLAPeriod
from slas.services.contracts.terms import COLUMNS, check_terms

TERMS = (
    "metric", "error_share", "min_consecutive_minutes", "notice_hours", "max_excluded_minutes", "cap_percent",
    "claim_days", "provisional_days", "currency", "fee", "fee_metric", "fee_labels",
)  # fmt: skip
HELP = {
    "error_share": "A minute is bad when more than this share of its events is: 0.05 is 5 %. For minutes of downtime.",
    "min_consecutive_minutes": "Bad minutes in a row that make downtime; shorter runs do not count.",
    "notice_hours": "Planned maintenance announced later than this does not count as excluded. 0: no notice needed.",
    "max_excluded_minutes": "Per period. Empty: no limit.",
    "cap_percent": "The most that is credited, in percent of the fee.",
    "claim_days": "Days after a period is final in which the customer may dispute it.",
    "provisional_days": "Days after the end of a period in which late data and corrections still move it.",
    "fee": "Per period. Leave empty to read it from a metric.",
    "fee_metric": "The sum of this metric over the period is the fee.",
    "fee_labels": 'Which series of the metric, as JSON: {"entity_type": "tenant", "entity_id": "acme"}.',
}


class TierFormSet(BaseInlineFormSet):  # type: ignore[type-arg]  # generic only in the stubs
    """The tiers of a contract, judged together with its other terms."""

    def clean(self) -> None:
        """Ask the service what is wrong with the terms as a whole."""
        super().clean()
        if any(self.errors):
            return
        contract = self.instance
        if not getattr(contract, "sli_id", None) or contract.currency == "":
            return
        try:
            check_terms(self.terms(), contract.sli)
        except Invalid as refusal:
            raise ValidationError([error.detail for error in refusal.errors]) from refusal

    def terms(self) -> ContractTerms:
        """Return the terms as filled in."""
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        tiers = [Tier(row["below"], row["credit_percent"]) for row in kept if row.get("below") is not None]
        values = {name: getattr(self.instance, name) for name in COLUMNS}
        return ContractTerms(**values, tiers=tuple(sorted(tiers, key=lambda tier: tier.below, reverse=True)))


class ContractForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A contract to be made."""

    fee = forms.DecimalField(
        max_digits=MAX_DIGITS, decimal_places=DECIMAL_PLACES, min_value=0, required=False, widget=MoneyInput,
        help_text=HELP["fee"],
    )  # fmt: skip
    fee_metric = forms.ChoiceField(required=False, widget=Select, help_text=HELP["fee_metric"])

    class Meta:
        model = SLAContract
        fields: tuple[str, ...] = (
            "customer", "sli", "name", "reference", "period_unit", "time_zone", "starts_on", "ends_on", *TERMS,
        )  # fmt: skip
        help_texts = HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = sorted(metric.name for metric in metrics if metric.kind == "sum")
        if "fee_metric" in self.fields:
            self.fields["fee_metric"].choices = [("", "–"), *((name, name) for name in offered)]  # type: ignore[attr-defined]
        if self.instance._state.adding:
            self.initial.setdefault("time_zone", settings.ORGANISATION_TIME_ZONE)
            self.initial.setdefault("currency", settings.BASE_CURRENCY)

    def clean(self) -> dict[str, Any]:
        """Take the service from the indicator, so that the constraints of the table can be asked."""
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("sli") is not None:
            self.instance.service = cleaned["sli"].service
        cleaned["fee_labels"] = cleaned.get("fee_labels") or {}
        return cleaned


class ContractChangeForm(ContractForm):
    """Other terms of a contract, from when on and why."""

    applies_from = forms.ChoiceField(
        label="Terms apply from",
        choices=[("next", "the next period"), ("current", "the current period, too")],
        widget=Select,
        help_text="Periods that are over keep the terms they had.",
    )
    reason = forms.CharField(
        max_length=500, required=False, widget=TextInput, help_text="Needed to change terms; kept in the audit log."
    )

    class Meta(ContractForm.Meta):
        fields = ("name", "reference", *TERMS)

    def clean(self) -> dict[str, Any]:
        """Ask for a reason where a term is changed; a changed tier is asked for one by the service."""
        cleaned = super().clean()
        changed = set(self.changed_data) & set(TERMS)
        if changed and not cleaned.get("reason", "").strip():
            self.add_error("reason", "Say why the terms change.")
        return cleaned


class EndForm(ReasonForm):
    """The first day on which a contract does not hold any more."""

    ends_on = forms.DateField(
        label="Ends on", required=False, widget=forms.DateInput(attrs={"type": "date", "class": "af-input"}),
        help_text="The first day that is no longer covered. Empty: it goes on.",
    )  # fmt: skip
    field_order = ("ends_on", "reason")


class CreditForm(ReasonForm):
    """What was credited, and under which number."""

    amount = forms.DecimalField(
        label="Amount", max_digits=MAX_DIGITS, decimal_places=DECIMAL_PLACES, min_value=0, required=False,
        widget=MoneyInput, help_text="Empty: the credit as computed. Another amount only ends a dispute.",
    )  # fmt: skip
    reference = forms.CharField(
        label="Credit note", max_length=100, required=False, widget=TextInput, help_text="Its number, if there is one."
    )
    field_order = ("amount", "reference", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        period = SLAPeriod.objects.filter(pk=self.object_id).first() if self.object_id else None
        if period is not None and period.credit is not None and not self.is_bound:
            computed = f"{period.credit.normalize():f} {period.currency}"
            self.fields["amount"].help_text = f"Empty: {computed}, as computed. Another amount only ends a dispute."
