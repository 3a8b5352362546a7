"""The form of a budget's thresholds: one line each, and two empty ones to add more."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.adminkit import MoneyInput, ReasonForm, Select
from core.choices import Severity
from costs.choices import ThresholdBasis
from costs.models import BudgetThreshold
from costs.services.budgets import ThresholdTerms
from costs.services.budgets.thresholds import MOST_THRESHOLDS

HUNDRED = Decimal(100)
SPARE = 2
BASES = ((ThresholdBasis.ACTUAL, "of spending"), (ThresholdBasis.FORECAST, "of forecast"))


class ThresholdInput(forms.MultiWidget):
    """Percent, what of, and how bad, side by side."""

    def __init__(self, title: str) -> None:
        super().__init__(
            [
                MoneyInput(attrs={"aria-label": f"{title}: percent of the amount", "placeholder": "%"}),
                Select(attrs={"aria-label": f"{title}: what it looks at"}, choices=BASES),
                Select(attrs={"aria-label": f"{title}: severity"}, choices=Severity.choices),
            ]
        )

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return the three inputs as one group."""
        inputs = super().render(name, value, attrs, renderer)
        return format_html('<div class="costs-threshold" role="group">{}</div>', inputs)

    def decompress(self, value: ThresholdTerms | None) -> list[Any]:
        """Return what the three inputs show."""
        if value is None:
            return [None, ThresholdBasis.ACTUAL, Severity.MEDIUM]
        return [value.ratio * HUNDRED, value.basis, value.severity]


class ThresholdField(forms.MultiValueField):
    """One threshold; without a percentage there is none."""

    def __init__(self, title: str, **options: Any) -> None:
        percent = forms.DecimalField(min_value=Decimal("0.01"), max_value=1000, decimal_places=2, required=False)
        fields = (
            percent,
            forms.ChoiceField(choices=BASES, required=False),
            forms.ChoiceField(choices=Severity.choices, required=False),
        )
        super().__init__(
            fields, widget=ThresholdInput(title), label=title, required=False, require_all_fields=False, **options
        )

    def compress(self, data_list: list[Any]) -> ThresholdTerms | None:
        """Return the threshold, or None where the percentage was left empty."""
        if not data_list or data_list[0] is None:
            return None
        percent, basis, severity = data_list
        return ThresholdTerms(percent / HUNDRED, basis or ThresholdBasis.ACTUAL, severity or Severity.MEDIUM)


class ThresholdsForm(ReasonForm):
    """All thresholds of a budget as they are to be."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rows = BudgetThreshold.objects.filter(budget=self.object_id) if self.object_id else ()
        known = [ThresholdTerms(row.ratio, row.basis, row.severity) for row in rows]
        shown: list[ThresholdTerms | None] = [*known, *[None] * SPARE][: max(MOST_THRESHOLDS, len(known))]
        reason = self.fields.pop("reason")
        for number, terms in enumerate(shown):
            help_text = "" if terms else "Empty: none."
            self.fields[_name(number)] = ThresholdField(f"Threshold {number + 1}", initial=terms, help_text=help_text)
        self.fields["reason"] = reason

    def terms(self) -> list[ThresholdTerms]:
        """Return the thresholds that were filled in."""
        given = (value for name, value in self.cleaned_data.items() if name.startswith("threshold_"))
        return [value for value in given if value is not None]

    def clean(self) -> dict[str, Any]:
        """Say of a threshold that is there twice that it is."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        seen = set()
        for name, terms in list(cleaned.items()):
            if isinstance(terms, ThresholdTerms):
                if (terms.basis, terms.ratio) in seen:
                    self.add_error(name, "This threshold is there twice.")
                seen.add((terms.basis, terms.ratio))
        return cleaned


def _name(number: int) -> str:
    return f"threshold_{number}"
