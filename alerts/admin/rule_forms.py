"""The form of a rule: the same for every kind around the parameters of its own."""

from __future__ import annotations

from typing import Any

from django import forms

from alerts.admin.rule_fields import PREFIX, Pairs, fields_of
from alerts.kinds import KINDS
from alerts.models import AlertRule
from alerts.services.rule_terms import RuleTerms, check_terms, metrics_of
from core.adminkit import DialogForm, ReasonForm, TextInput
from core.errors import Invalid

PLAIN = (
    "name", "description", "severity", "for_seconds", "keep_firing_seconds", "interval_seconds", "cooldown_seconds",
    "no_data", "enabled",
)  # fmt: skip
UNIT = "Seconds."


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A rule of one kind; what is wrong with it is said by the service and shown at its field."""

    kind_name = ""
    rule_labels = Pairs(label="Labels", required=False, help_text="One per line: name = value. Every alert has them.")
    rule_annotations = Pairs(
        label="Annotations", required=False,
        help_text="One per line: name = text. {{ value }} and {{ labels.name }} are filled in.",
    )  # fmt: skip
    seen_revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = AlertRule
        fields = (*PLAIN, "runbook")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rule = self.instance
        if rule.pk and not rule._state.adding:
            self.initial.update({PREFIX + name: value for name, value in rule.parameters.items()})
            self.initial.update(rule_labels=rule.labels, rule_annotations=rule.annotations, seen_revision=rule.revision)
        else:
            self.initial["enabled"] = False
            self._say("enabled", "Test it on its page first, and see what it would have done; then switch it on.")
        self._say("keep_firing_seconds", "How long an alert goes on firing after its value is right again.")
        self._say("interval_seconds", "How often it is evaluated, 10 to 86400 seconds.")
        self._say("no_data", "What to do about label sets that have no value any more.")

    def _say(self, name: str, text: str) -> None:
        if name in self.fields:
            self.fields[name].help_text = text

    def clean(self) -> dict[str, Any]:
        """Ask the service what is wrong, and say it at the fields."""
        cleaned = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        rule = self.instance
        known = metrics_of(rule.kind, rule.parameters) if rule.pk else ()
        try:
            check_terms(self.terms(), known_metrics=known)
        except Invalid as error:
            for mistake in error.errors:
                name = self._field_of(mistake.pointer)
                self.add_error(name if name in self.fields else None, mistake.detail)
        return cleaned

    def _post_clean(self) -> None:
        """Leave the row to the service: nothing is put on the instance here."""

    def _field_of(self, pointer: str) -> str:
        first, *rest = pointer.strip("/").split("/")
        if first == "parameters" and rest:
            return PREFIX + rest[0]
        return {"labels": "rule_labels", "annotations": "rule_annotations"}.get(first, first)

    def terms(self) -> RuleTerms:
        """Return what was filled in, as the service wants it."""
        given = self.cleaned_data
        parameters = {
            name.removeprefix(PREFIX): value
            for name, value in given.items()
            if name.startswith(PREFIX) and value not in (None, "")
        }
        return RuleTerms(
            **{name: given[name] for name in PLAIN},
            kind=self.kind_name,
            parameters=parameters,
            labels=given["rule_labels"],
            annotations=given["rule_annotations"],
            runbook=given["runbook"].slug if given["runbook"] else "",
        )


def form_for(kind: str) -> type[RuleForm]:
    """Return the form for rules of a kind."""
    fields = fields_of(KINDS[kind])
    return type("KindRuleForm", (RuleForm,), {**fields, "kind_name": kind})


def fieldsets_for(kind: str) -> Any:
    """Return the fields of a rule's form in groups."""
    parameters = tuple(fields_of(KINDS[kind]))
    watched = (
        ((f"Wrong when: {KINDS[kind].purpose.lower().rstrip('.')}", {"fields": parameters}),) if parameters else ()
    )
    return (
        (None, {"fields": ("name", "description", ("severity", "enabled"), "seen_revision")}),
        *watched,
        ("When it fires", {"fields": (("for_seconds", "keep_firing_seconds"), ("interval_seconds", "no_data"))}),
        ("What its alerts carry", {"fields": ("runbook", "rule_labels", "rule_annotations", "cooldown_seconds")}),
    )


class DaysForm(DialogForm):
    """How far back."""

    days = forms.IntegerField(min_value=1, max_value=90, initial=30, widget=TextInput(attrs={"inputmode": "numeric"}))


__all__ = ["DaysForm", "ReasonForm", "RuleForm", "fieldsets_for", "form_for"]
