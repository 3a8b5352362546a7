"""The forms of budgets: adding one, raising it, changing what it does."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils import timezone

from core.adminkit import DialogForm, MoneyInput, ReasonForm, Select, TextInput
from core.errors import Invalid
from core.money import DECIMAL_PLACES, MAX_DIGITS
from costs.amounts import amount
from costs.choices import BudgetMode
from costs.models import Budget, Currency, Entity
from costs.services.budgets import BudgetTerms, budget_status
from costs.services.budgets.terms import check_terms

HUNDRED = Decimal(100)
WHAT_MODES_DO = {
    BudgetMode.MONITOR: "Monitor: counts what is spent; nobody is told and nothing is refused.",
    BudgetMode.SOFT: "Soft: counts, and tells people when a threshold is passed; nothing is refused.",
    BudgetMode.HARD: "Hard: also refuses to set money aside that does not fit (402). What is spent without having been "
    "set aside is still recorded, and shown as overrun.",
}


def money_field(**options: Any) -> forms.DecimalField:
    """Return a field for an exact amount."""
    return forms.DecimalField(
        max_digits=MAX_DIGITS, decimal_places=DECIMAL_PLACES, min_value=Decimal(0), widget=MoneyInput, **options
    )


class NewBudgetForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A budget to be made, checked by the service before anything is written."""

    amount = money_field(help_text="Per period, in the budget's currency.")
    alert_percent = forms.DecimalField(
        label="Warn at percent of the amount", initial=80, required=False, min_value=Decimal("0.01"), max_value=1000,
        decimal_places=2, widget=MoneyInput, help_text="Somebody is told at 100 % too.",
    )  # fmt: skip
    forecast_percent = forms.DecimalField(
        label="Warn when the forecast passes percent", required=False, min_value=Decimal("0.01"), max_value=1000,
        decimal_places=2, widget=MoneyInput, help_text="Empty: forecasts do not warn.",
    )  # fmt: skip
    currency = forms.ChoiceField(widget=Select)
    time_zone = forms.CharField(widget=TextInput, help_text="In which its days and months begin.")

    class Meta:
        model = Budget
        fields = (
            "name", "entity", "cost_type", "provider", "model", "amount", "currency", "period", "anchor", "time_zone",
            "mode", "alert_percent", "forecast_percent",
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = [settings.BASE_CURRENCY, *Currency.objects.values_list("code", flat=True)]
        self.fields["currency"].choices = [(code, code) for code in dict.fromkeys(codes)]  # type: ignore[attr-defined]
        self.initial.setdefault("time_zone", settings.ORGANISATION_TIME_ZONE)
        self.fields["entity"].help_text = "Counts everything below it too. Empty: the whole organisation."
        self.fields["mode"].help_text = " ".join(WHAT_MODES_DO.values())
        self.fields["anchor"].label = "Begins on"
        self.fields["anchor"].help_text = "The weekday (1 Monday) or day of the month that a period begins on."

    def clean(self) -> dict[str, Any]:
        """Ask the service what is wrong, and say it at the fields."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        try:
            terms = self.terms()
            check_terms(terms, currency=terms.currency, time_zone=terms.time_zone, now=timezone.now())
        except Invalid as error:
            for mistake in error.errors:
                name = self._field_of(mistake.pointer)
                self.add_error(name if name in self.fields else None, mistake.detail)
        return cleaned

    def _field_of(self, pointer: str) -> str:
        name = pointer.lstrip("/")
        renamed = {"alert_threshold": "alert_percent", "forecast_threshold": "forecast_percent", "entity_id": "entity"}
        return renamed.get(name, name)

    def terms(self) -> BudgetTerms:
        """Return what was filled in, as the service wants it."""
        given = self.cleaned_data
        entity: Entity | None = given["entity"]
        return BudgetTerms(
            name=given["name"],
            amount=given["amount"],
            period=given["period"],
            entity_type=entity.entity_type if entity else "",
            entity_id=entity.entity_id if entity else "",
            cost_type=given["cost_type"],
            provider=given["provider"],
            model=given["model"],
            currency=given["currency"],
            anchor=given["anchor"],
            time_zone=given["time_zone"],
            mode=given["mode"],
            alert_threshold=_ratio(given["alert_percent"]),
            forecast_threshold=_ratio(given["forecast_percent"]),
        )


def _ratio(percent: Decimal | None) -> Decimal | None:
    return None if percent is None else percent / HUNDRED


class BudgetForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """What of a budget may be changed on its page; amount, mode and state have actions that ask why."""

    class Meta:
        model = Budget
        fields = ("name", "entity", "cost_type", "provider", "model", "owner")


class RaiseForm(ReasonForm):
    """A new amount, for good or until a moment."""

    amount = money_field(label="New amount")
    until = forms.DateTimeField(
        label="Only until", required=False, help_text="Empty: for good. A temporary raise ends by itself.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local", "class": "af-input"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"],
    )  # fmt: skip
    field_order = ("amount", "until", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.object_id and not self.is_bound:
            budget = Budget.objects.get(pk=self.object_id)
            status = budget_status(budget, timezone.now(), forecast=False)
            self.fields["amount"].help_text = (
                f"Now {amount(status.limit, budget.currency)}, of which {amount(status.spent)} is spent and"
                f" {amount(status.reserved)} set aside."
            )

    def clean_until(self) -> Any:
        """Refuse an end that has passed."""
        until = self.cleaned_data["until"]
        if until is not None and until <= timezone.now() + timedelta(minutes=1):
            raise ValidationError("A temporary raise ends in the future.")
        return until


class ModeForm(ReasonForm):
    """Another mode, with what it would do to this budget now."""

    mode = forms.ChoiceField(choices=BudgetMode.choices, widget=Select)
    field_order = ("mode", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        budget = Budget.objects.filter(pk=self.object_id).first() if self.object_id else None
        if budget is None:
            return
        self.fields["mode"].initial = budget.mode
        status = budget_status(budget, timezone.now(), forecast=False)
        left = max(status.remaining, Decimal(0))
        self.fields["mode"].help_text = (
            f"{' '.join(WHAT_MODES_DO.values())} Today a hard limit would leave {amount(left, budget.currency)} of"
            f" {amount(status.limit, budget.currency)}."
        )


class ConfirmReasonForm(ReasonForm):
    """Only asks why."""


__all__ = ["BudgetForm", "ConfirmReasonForm", "DialogForm", "ModeForm", "NewBudgetForm", "RaiseForm"]
