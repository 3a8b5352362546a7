"""The forms of services, indicators, objectives, exclusions and policies; services decide what is sound."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from core.adminkit import CheckboxSelectMultiple, ReasonForm, Textarea, TextInput
from core.errors import FieldError
from slas.choices import SliKind
from slas.models import BudgetPolicyStep, Exclusion, Service, Sli, Slo
from slas.objective_rules import sli_mistakes, slo_mistakes
from slas.sli_templates import TEMPLATES

MOMENT = "%Y-%m-%dT%H:%M"
KIND_FIELDS: dict[str, tuple[str, ...]] = {
    SliKind.RATIO: (),
    SliKind.THRESHOLD: ("operator", "threshold", "unit"),
    SliKind.LATENCY: ("operator", "threshold", "unit"),
    SliKind.TIMESLICE: ("slice_seconds", "slice_target", "no_data"),
    SliKind.EXTERNAL: (),
}
KIND_HELP: dict[str, str] = {
    SliKind.RATIO: "Each event says whether it was good.",
    SliKind.THRESHOLD: "Each event carries a value, which is good within the threshold.",
    SliKind.LATENCY: "Each event carries a duration; a histogram is kept, so a new threshold can be asked of the past.",
    SliKind.TIMESLICE: "Time is cut into slices; a slice is good when enough of its events were.",
    SliKind.EXTERNAL: "Another system counts and sends ready sums.",
}
OPERATORS = (("", "–"), ("lte", "at most"), ("lt", "less than"), ("gte", "at least"), ("gt", "more than"))


class MomentField(forms.DateTimeField):
    """An instant to the minute, in the organisation's time zone."""

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local", "class": "af-input"}, format=MOMENT)
        super().__init__(widget=widget, input_formats=[MOMENT, "%Y-%m-%dT%H:%M:%S"], **options)


class SliForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """An indicator, by its kind: what the kind does not need is not asked."""

    operator = forms.ChoiceField(choices=OPERATORS, required=False, label="Good is")

    class Meta:
        model = Sli
        fields = (
            "service", "slug", "name", "description", "kind", "source", "config", "operator", "threshold", "unit",
            "slice_seconds", "slice_target", "no_data", "lateness_seconds",
        )  # fmt: skip
        widgets = {"description": Textarea(attrs={"rows": 2}), "slug": TextInput}
        help_texts = {
            "config": 'For a health check {"check": "database"}; for a metric {"metric": "costs.spend", "labels": {}}; '
            'for Prometheus {"url": "https://…", "total": "sum(increase(requests_total[$window]))", "good": "…"}.',
            "slice_seconds": "Whole minutes that divide a day: 60, 300, 3600.",
            "slice_target": "The share of good events that makes a slice good: 0.99.",
            "lateness_seconds": "How late an event may come and still count: two days are 172800.",
        }

    def clean(self) -> dict[str, Any]:
        """Ask the rules what is wrong, and say it at the fields."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            for name, value in cleaned.items():
                setattr(self.instance, name, value)
            _say(self, sli_mistakes(self.instance))
        return cleaned


class SloForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """An objective on one indicator; composites are made over the API."""

    reason = forms.CharField(
        required=False, max_length=500, widget=TextInput, help_text="Why it changes; kept with the new revision."
    )

    class Meta:
        model = Slo
        fields = (
            "service", "sli", "slug", "name", "description", "target", "window", "window_days", "calendar_unit",
            "time_zone", "budgeting", "policy", "alerting",
        )  # fmt: skip
        widgets = {"description": Textarea(attrs={"rows": 2}), "slug": TextInput, "time_zone": TextInput}
        help_texts = {
            "target": "A share: 0.999 is 99.9 %.",
            "window_days": "Of a rolling window; empty for a calendar one.",
            "alerting": "Empty {}: the usual four pairs of windows. Otherwise pairs, guard, min_bad, alpha.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("time_zone", settings.ORGANISATION_TIME_ZONE)

    def clean(self) -> dict[str, Any]:
        """Ask the rules what is wrong, and say it at the fields."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            for name in self.Meta.fields:
                if name in cleaned:
                    setattr(self.instance, name, cleaned[name])
            _say(self, slo_mistakes(self.instance))
        return cleaned

    def _post_clean(self) -> None:
        # The rules have spoken; the constraints of the table would only repeat them in its own words.
        self._validate_unique = False


class ExclusionForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A span that is not to count."""

    starts_at = MomentField(label="From")
    ends_at = MomentField(label="Until, not included")
    announced_at = MomentField(label="Announced to customers", required=False)

    class Meta:
        model = Exclusion
        fields = (
            "service", "sli", "starts_at", "ends_at", "recurrence", "time_zone", "category", "applies_to",
            "announced_at", "reason",
        )  # fmt: skip
        widgets = {"reason": Textarea(attrs={"rows": 2}), "time_zone": TextInput, "recurrence": TextInput}
        help_texts = {
            "service": "Empty: every service.",
            "sli": "Empty: every indicator of the service.",
            "recurrence": "An RRULE with COUNT or UNTIL: FREQ=WEEKLY;BYDAY=SU;COUNT=8. Empty: once.",
            "time_zone": "In which it recurs, such as Europe/Paris.",
        }


class MoveForm(ReasonForm):
    """Another span for an exclusion."""

    starts_at = MomentField(label="From")
    ends_at = MomentField(label="Until, not included")
    field_order = ("starts_at", "ends_at", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = Exclusion.objects.filter(pk=self.object_id).first() if self.object_id else None
        if found is not None:
            self.fields["starts_at"].initial, self.fields["ends_at"].initial = found.starts_at, found.ends_at


class ThresholdForm(ReasonForm):
    """A threshold by which everything kept is judged anew."""

    threshold = forms.DecimalField(max_digits=24, decimal_places=9, widget=TextInput)
    field_order = ("threshold", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = Sli.objects.filter(pk=self.object_id).first() if self.object_id else None
        if found is not None and found.threshold is not None:
            self.fields["threshold"].initial = found.threshold.normalize()


class TemplatesForm(ReasonForm):
    """Which ready objectives are made for a service."""

    templates = forms.MultipleChoiceField(
        choices=[(item.key, f"{item.title}: {item.description}") for item in TEMPLATES],
        initial=[item.key for item in TEMPLATES[:4]],
        widget=CheckboxSelectMultiple,
    )
    field_order = ("templates",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["reason"]


class LiftForm(ReasonForm):
    """For how many hours changes are to pass in spite of a freeze."""

    hours = forms.IntegerField(min_value=1, max_value=168, initial=4, widget=TextInput)
    field_order = ("hours", "reason")


class ServiceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A service."""

    class Meta:
        model = Service
        fields = ("slug", "name", "description", "owner", "tier", "entity_type", "entity_id", "labels")
        widgets = {"description": Textarea(attrs={"rows": 2}), "slug": TextInput}
        help_texts = {
            "tier": "0 for what everything depends on; 2 for the rest.",
            "entity_type": "What it stands for elsewhere on the platform: agent, workflow, tenant, …",
        }


class StepFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # generic only in the stubs
    """The steps of a policy, saved with it by its service."""

    def steps(self) -> list[dict[str, Any]]:
        """Return the steps that are left."""
        return [
            {name: form.cleaned_data[name] for name in ("consumed_from", "action", "message")}
            for form in self.forms
            if form.cleaned_data and not form.cleaned_data.get("DELETE")
        ]

    def save(self, commit: bool = True) -> list[BudgetPolicyStep]:
        """Leave the writing to the service."""
        self.new_objects: list[Any] = []
        self.changed_objects: list[Any] = []
        self.deleted_objects: list[Any] = []
        return []


def _say(form: forms.BaseForm, mistakes: list[FieldError]) -> None:
    for mistake in mistakes:
        name = mistake.pointer.strip("/").split("/")[0]
        form.add_error(name if name in form.fields else None, mistake.detail)


__all__ = [
    "KIND_FIELDS",
    "KIND_HELP",
    "ExclusionForm",
    "LiftForm",
    "MoveForm",
    "ServiceForm",
    "SliForm",
    "SloForm",
    "StepFormSet",
    "TemplatesForm",
    "ThresholdForm",
]
