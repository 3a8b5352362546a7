"""What the pages of alerts and of routing ask: matchers as text, spans of time, and why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from alerts.admin.incident_forms import LENGTHS, date_time_field
from alerts.intervals import check_intervals
from alerts.matching import Matcher, as_json, as_text, parse_matchers, stored_matchers
from alerts.models import InhibitRule, Receiver, Route, Silence, TimeInterval
from core.adminkit import ReasonForm, Select, Textarea, TextInput
from core.errors import Invalid

HELP = 'As in Alertmanager, separated by commas: alertname="DiskFull", host=~"db-.*", severity!="info"'
REMINDERS = (("", "no reminder"), (3600, "1 hour before"), (86_400, "1 day before"), (7 * 86_400, "1 week before"))
SECONDS_HELP = "Empty: as the route above."
OFFICE_HOURS = [{"weekdays": ["monday:friday"], "times": [{"start_time": "09:00", "end_time": "17:00"}]}]


class MatchersField(forms.CharField):
    """Matchers as one text; its value is what a model stores of them."""

    def __init__(self, **options: Any) -> None:
        widget = Textarea(attrs={"rows": 2, "spellcheck": "false", "autocomplete": "off"})
        super().__init__(**{"widget": widget, "help_text": HELP, "max_length": 10_000, **options})

    def prepare_value(self, value: Any) -> Any:
        """Show what is stored as text."""
        return as_text(stored_matchers(value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the matchers as they are stored; raises ValidationError with the reason."""
        try:
            return as_json(parse_matchers(super().to_python(value) or ""))
        except Invalid as invalid:
            raise ValidationError(invalid.detail) from invalid

    def validate(self, value: Any) -> None:
        """Ask for at least one where the field is required."""
        if self.required and not value:
            raise ValidationError("Give at least one matcher.")

    def run_validators(self, value: Any) -> None:
        """Do nothing: the matchers were checked when they were read."""


class WordsField(forms.CharField):
    """Names separated by commas; its value is a list, or None when nothing was given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"widget": TextInput(attrs={"autocomplete": "off"}), "required": False, **options})

    def prepare_value(self, value: Any) -> Any:
        """Show a list as text."""
        return ", ".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the names."""
        text = super().to_python(value) or ""
        return [part.strip() for part in text.split(",") if part.strip()] or None


class AcknowledgeForm(ReasonForm):
    """For how long somebody takes an alert on, and why."""

    minutes = forms.TypedChoiceField(choices=LENGTHS, coerce=int, initial=240, label="For", widget=Select)
    field_order = ("minutes", "reason")


class QuickSilenceForm(ReasonForm):
    """For how long alerts are silenced, and why."""

    minutes = forms.TypedChoiceField(choices=LENGTHS, coerce=int, initial=60, label="For", widget=Select)
    field_order = ("minutes", "reason")


class SilenceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A silence: what it hides, when, and why."""

    matchers = MatchersField(label="What it hides")
    starts_at = date_time_field(label="From")
    ends_at = date_time_field(label="Up to")
    recurs_until = date_time_field(required=False, label="Comes back until", help_text="Unless the rule ends itself.")
    time_zone = forms.ChoiceField(
        choices=[(name, name) for name in sorted(available_timezones())],
        widget=Select,
        help_text="A silence that comes back does so at the same local time, in summer and in winter.",
    )
    remind_before_seconds = forms.TypedChoiceField(
        choices=REMINDERS, coerce=int, empty_value=None, required=False, label="Remind me", widget=Select
    )

    class Meta:
        model = Silence
        fields = (
            "matchers", "starts_at", "ends_at", "comment", "recurrence", "recurs_until", "time_zone",
            "remind_before_seconds",
        )  # fmt: skip
        widgets = {
            "comment": Textarea(attrs={"rows": 2}),
            "recurrence": TextInput(attrs={"placeholder": "FREQ=WEEKLY;BYDAY=SU", "autocomplete": "off"}),
        }
        labels = {"comment": "Why", "recurrence": "Comes back"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        now = timezone.localtime()
        self.initial.setdefault("starts_at", now)
        self.initial.setdefault("ends_at", now + timedelta(hours=2))
        self.initial.setdefault("time_zone", timezone.get_current_timezone_name())


class RouteForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """One branch of the routing tree."""

    matchers = MatchersField(required=False, label="Takes alerts that match", help_text=f"{HELP}. Empty: all.")
    group_by = WordsField(
        label="Groups by", help_text='Names of labels, separated by commas; "..." for all. Empty: as the route above.'
    )

    class Meta:
        model = Route
        fields = (
            "name", "parent", "position", "matchers", "receiver", "continues", "group_by", "group_wait_seconds",
            "group_interval_seconds", "repeat_interval_seconds", "mute_intervals", "active_intervals",
        )  # fmt: skip
        help_texts = {
            "position": "Routes of one parent are tried in this order; the first that matches takes the alert.",
            "receiver": "Empty: as the route above.",
            "group_wait_seconds": SECONDS_HELP,
            "group_interval_seconds": SECONDS_HELP,
            "repeat_interval_seconds": SECONDS_HELP,
        }


class ReceiverForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """Who gets what a route matches."""

    class Meta:
        model = Receiver
        fields = ("name", "channels", "send_resolved", "opens_incident", "escalation_policy")
        help_texts = {"escalation_policy": "For incidents that this receiver opens. Empty: the default policy."}


class InhibitRuleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """What hides what."""

    source_matchers = MatchersField(label="While one of these fires")
    target_matchers = MatchersField(label="these are not told of")
    equal = WordsField(label="if they agree in", help_text="Names of labels, separated by commas.")

    class Meta:
        model = InhibitRule
        fields = ("name", "source_matchers", "target_matchers", "equal", "enabled")


class TimeIntervalForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """Times of the week and the year."""

    time_zone = forms.ChoiceField(choices=[(name, name) for name in sorted(available_timezones())], widget=Select)
    intervals = forms.JSONField(
        widget=Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text=(
            'In Alertmanager\'s form: [{"weekdays": ["monday:friday"], "times": [{"start_time": "09:00", "end_time":'
            ' "17:00"}]}]. Parts: times, weekdays, days_of_month, months, years.'
        ),
    )

    class Meta:
        model = TimeInterval
        fields = ("name", "time_zone", "intervals")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("time_zone", timezone.get_current_timezone_name())
        self.initial["intervals"] = self.initial.get("intervals") or OFFICE_HOURS

    def clean_intervals(self) -> Any:
        """Refuse intervals that are none, with the reason."""
        try:
            return check_intervals(self.cleaned_data["intervals"])
        except Invalid as invalid:
            raise ValidationError(invalid.detail) from invalid


def matchers_for(labels: dict[str, str]) -> list[Matcher]:
    """Return the matchers that only alerts with exactly these values meet."""
    return [Matcher(name, "=", value) for name, value in sorted(labels.items())]
