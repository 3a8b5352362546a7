"""Forms of on-call schedules: rotations with their people in order, restrictions, overrides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.utils import timezone

from alerts.admin.incident_forms import INPUT, people
from alerts.models import OnCallSchedule, Rotation, RotationMember
from alerts.services.oncall_editing import restriction_mistakes
from core.adminkit import DialogForm, Select, Textarea, TextInput

GONE = " (deleted)"


class LocalDateTimeField(forms.DateTimeField):
    """An instant typed and shown in the schedule's time zone, whatever the organisation's is."""

    zone: ZoneInfo = ZoneInfo("UTC")

    def __init__(self, **options: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local", "class": "af-input"}, format=INPUT)
        super().__init__(widget=widget, input_formats=[INPUT, f"{INPUT}:%S"], **options)

    def to_python(self, value: Any) -> Any:
        """Read what was typed."""
        with timezone.override(self.zone):
            return super().to_python(value)

    def prepare_value(self, value: Any) -> Any:
        """Show an instant."""
        with timezone.override(self.zone):
            return super().prepare_value(value)


def zone_of(schedule: OnCallSchedule | None) -> ZoneInfo:
    """Return a schedule's time zone; the organisation's for one that has none yet or a wrong one."""
    name = schedule.time_zone if schedule is not None else ""
    return ZoneInfo(name) if name in available_timezones() else settings.ORGANISATION_ZONE


class ScheduleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A schedule's name and time zone."""

    time_zone = forms.CharField(
        max_length=64, widget=TextInput, help_text="Such as Europe/Berlin. Hand-overs keep their local time of day."
    )

    class Meta:
        model = OnCallSchedule
        fields = ("name", "slug", "time_zone")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.setdefault("time_zone", settings.ORGANISATION_TIME_ZONE)

    def clean_time_zone(self) -> str:
        """Refuse what is no time zone."""
        name = str(self.cleaned_data["time_zone"]).strip()
        if name not in available_timezones():
            raise forms.ValidationError("Not a time zone such as Europe/Berlin.")
        return name


class RotationForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """One layer, with its people one to a line in the order of their turns."""

    starts_at = LocalDateTimeField(
        label="First turn begins", help_text="Later turns begin at the same time of day, in the schedule's time zone."
    )
    ends_at = LocalDateTimeField(required=False, help_text="Empty: goes on.")
    people = forms.CharField(
        widget=Textarea(attrs={"rows": 4}), help_text="One login name to a line, in the order of their turns."
    )
    hours = forms.CharField(
        required=False, widget=Textarea(attrs={"rows": 2}), label="Only at",
        help_text="Empty: always. One span of the week to a line, such as “Mon 09:00 - Fri 17:00”.",
    )  # fmt: skip

    class Meta:
        model = Rotation
        fields = ("name", "layer", "kind", "turn_length", "starts_at", "ends_at", "people", "hours")

    def __init__(self, *args: Any, schedule: OnCallSchedule | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.schedule = schedule
        zone = zone_of(schedule)
        _localise(self, zone)
        self.places: list[RotationMember] = []
        if self.instance.pk:
            self.places = list(self.instance.members.select_related("user"))
            self.initial["people"] = "\n".join(_line(place) for place in self.places)
            self.initial["hours"] = "\n".join(f"{span['from']} - {span['to']}" for span in self.instance.restrictions)
        else:
            self.initial.setdefault("starts_at", timezone.now().astimezone(zone).replace(hour=9, minute=0))

    def full_clean(self) -> None:
        """Read times in the zone that the schedule is being given in the same request."""
        _localise(self, zone_of(self.schedule))
        super().full_clean()

    def clean_people(self) -> list[User | RotationMember]:
        """Return the people named, in order; a place of a deleted account may stay where it is."""
        lines = [line.strip() for line in self.cleaned_data["people"].splitlines() if line.strip()]
        gone = {_line(place): place for place in self.places if place.user is None}
        known = {user.username: user for user in User.objects.filter(username__in=lines)}
        unknown = [line for line in lines if line not in known and line not in gone]
        if unknown:
            raise forms.ValidationError(f"There is nobody called {', '.join(unknown)}.")
        return [gone[line] if line in gone else known[line] for line in lines]

    def clean_hours(self) -> list[dict[str, str]]:
        """Return the spans of the week."""
        lines = [line for line in self.cleaned_data["hours"].splitlines() if line.strip()]
        spans = []
        for line in lines:
            begins, _, ends = line.replace("–", "-").partition("-")
            spans.append({"from": begins.strip(), "to": ends.strip()})
        mistakes = restriction_mistakes(spans, "")
        if mistakes:
            raise forms.ValidationError(mistakes[0].detail)
        return spans

    def clean(self) -> dict[str, Any]:
        """Refuse an end before the beginning."""
        cleaned = super().clean() or self.cleaned_data
        begins, ends = cleaned.get("starts_at"), cleaned.get("ends_at")
        if begins and ends and ends <= begins:
            self.add_error("ends_at", "It ends before it begins.")
        return cleaned

    def save(self, commit: bool = True) -> Rotation:
        """Keep the spans; the people are set by the page once the rotation has its row."""
        self.instance.restrictions = self.cleaned_data["hours"]
        rotation: Rotation = super().save(commit)
        return rotation


class RotationFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # generic only in the stubs
    """Rotations whose times are those of their schedule's time zone, also of one that is being changed."""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        """Give each form the schedule."""
        return {**super().get_form_kwargs(index), "schedule": self.instance}


def _localise(form: forms.BaseForm, zone: ZoneInfo) -> None:
    for field in form.fields.values():
        if isinstance(field, LocalDateTimeField):
            field.zone = zone


def _line(place: RotationMember) -> str:
    return place.user.get_username() if place.user else f"{place.name}{GONE}"


class OverrideForm(DialogForm):
    """Somebody takes over a span."""

    user = forms.ModelChoiceField(User.objects.none(), widget=Select, label="Who")
    starts_at = LocalDateTimeField(label="From", help_text="In the schedule's time zone.")
    ends_at = LocalDateTimeField(label="Until")
    reason = forms.CharField(max_length=300, required=False, widget=TextInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user"].queryset = people()
        zone = zone_of(OnCallSchedule.objects.filter(pk=self.object_id).first() if self.object_id else None)
        _localise(self, zone)
        now = timezone.now().astimezone(zone).replace(second=0, microsecond=0)
        self.fields["starts_at"].initial = now
        self.fields["ends_at"].initial = now + timedelta(hours=8)
