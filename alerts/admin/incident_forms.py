"""Forms of incidents: opening and changing one, and what its buttons ask."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.utils import timezone

from alerts.choices import ACTIVE_STATES, OPEN_INCIDENTS, IncidentRole
from alerts.models import Alert, Incident
from core.adminkit import DialogForm, Select, Textarea, TextInput

MOST_LINKED = 100
INPUT = "%Y-%m-%dT%H:%M"
LENGTHS = ((30, "30 minutes"), (60, "1 hour"), (240, "4 hours"), (480, "8 hours"), (1440, "1 day"), (10_080, "7 days"))


def date_time_field(**options: Any) -> forms.DateTimeField:
    """Return a field for an instant in the organisation's time zone."""
    widget = forms.DateTimeInput(attrs={"type": "datetime-local", "class": "af-input"}, format=INPUT)
    return forms.DateTimeField(widget=widget, input_formats=[INPUT, f"{INPUT}:%S"], **options)


def people() -> Any:
    """Return everybody who can be named: active accounts."""
    return User.objects.filter(is_active=True).order_by("username")


class NewIncidentForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """An incident opened by hand."""

    started_at = date_time_field(help_text="Since when it is wrong, as far as you know.")

    class Meta:
        model = Incident
        fields = ("title", "severity", "summary", "started_at", "runbook", "policy")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("started_at", timezone.localtime())
        if "policy" in self.fields:
            self.fields["policy"].help_text = "Empty: the default policy."

    def clean_started_at(self) -> Any:
        """Refuse a start in the future, and forgive the minute that the field cut off."""
        given = self.cleaned_data["started_at"]
        if given > timezone.now() + timedelta(minutes=1):
            raise forms.ValidationError("It cannot have started in the future.")
        return min(given, timezone.now())


class IncidentForm(NewIncidentForm):
    """What an incident says of itself."""

    class Meta:
        model = Incident
        fields = ("title", "severity", "summary", "started_at", "runbook", "policy", "resolves_itself")


class OptionalReasonForm(DialogForm):
    """A dialog that may be confirmed at once: at night nobody has to invent a reason."""

    reason = forms.CharField(
        max_length=500, required=False, widget=Textarea(attrs={"rows": 2}), help_text="Shown in the timeline."
    )


class AcknowledgeForm(OptionalReasonForm):
    """For how long somebody takes an incident."""

    minutes = forms.TypedChoiceField(
        choices=LENGTHS, coerce=int, initial=240, label="For", widget=Select,
        help_text="After that it opens again and escalates, unless it is resolved or taken again.",
    )  # fmt: skip
    field_order = ("minutes", "reason")


class RoleForm(DialogForm):
    """Who does what."""

    user = forms.ModelChoiceField(User.objects.none(), widget=Select)
    role = forms.ChoiceField(choices=IncidentRole.choices, widget=Select)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user"].queryset = people()


class MergeForm(OptionalReasonForm):
    """Into which other open incident."""

    into = forms.ModelChoiceField(Incident.objects.none(), widget=Select, label="Into")
    field_order = ("into", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = Incident.objects.filter(status__in=OPEN_INCIDENTS).exclude(pk=self.object_id).order_by("-number")
        self.fields["into"].queryset = others


class LinkForm(DialogForm):
    """Active alerts that the incident does not have yet."""

    alerts = forms.ModelMultipleChoiceField(
        Alert.objects.none(), widget=forms.SelectMultiple(attrs={"class": "af-input", "size": 8}),
        help_text="The hundred newest that fire.",
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        firing = Alert.objects.filter(state__in=ACTIVE_STATES).exclude(incident_links__incident=self.object_id)
        newest = list(firing.order_by("-pk").values_list("pk", flat=True)[:MOST_LINKED])
        self.fields["alerts"].queryset = Alert.objects.filter(pk__in=newest).order_by("-pk")


class ActionItemForm(DialogForm):
    """Something to be done."""

    title = forms.CharField(max_length=300, widget=TextInput)
    owner = forms.ModelChoiceField(User.objects.none(), widget=Select, required=False)
    due_date = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date", "class": "af-input"}))
    link = forms.URLField(max_length=500, required=False, widget=TextInput, assume_scheme="https")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].queryset = people()


class PostmortemForm(forms.Form):
    """The review of an incident, in Markdown."""

    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)
    summary = forms.CharField(
        required=False, widget=Textarea(attrs={"rows": 4}), help_text="What happened, in a paragraph for everybody."
    )
    impact = forms.CharField(
        required=False, widget=Textarea(attrs={"rows": 4}), help_text="Who noticed what, for how long, at what cost."
    )
    root_causes = forms.CharField(
        required=False, widget=Textarea(attrs={"rows": 6}), help_text="What made it possible; causes, not culprits."
    )
    lessons = forms.CharField(
        required=False, widget=Textarea(attrs={"rows": 6}), help_text="What went well, what did not, where it was luck."
    )
