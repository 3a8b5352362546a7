"""Form fields for the parameters of each kind of rule, made from the kind's own types."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
from django import forms
from django.core.exceptions import ValidationError

from alerts.kinds import Kind
from core.adminkit import MoneyInput, Select, Textarea, TextInput
from core.ports.metrics import metrics

PREFIX = "p_"
METRIC_FIELDS = frozenset({"metric", "errors", "total", "ratio", "bad"})
HELP = {
    "labels": "One per line: name = value. Only this label set; or, with “by”, only those that carry these labels.",
    "by": "Names of labels, separated by commas: one alert for each set of their values.",
    "aggregate": "How values are combined that share the labels of “by”.",
    "window_seconds": "How far back it looks.",
    "offset_seconds": "How much earlier the value is that it is compared with: 86400 is a day, 604800 a week.",
    "minimum": "Smaller values, or distances, are never wrong.",
    "comparison": "Wrong when the value is … the threshold.",
    "z": "How many robust standard deviations from the usual value.",
    "weeks": "How many weeks back the usual value is taken from.",
    "min_weeks": "With values of fewer weeks it cannot be told.",
    "time_zone": "In which the hours of the week are counted.",
    "objective": "The share that has to be good, such as 0.999.",
    "pairs": "JSON: long and short window and the burn rate that both have to pass.",
    "min_bad": "With fewer bad events in the long window nothing is wrong.",
    "min_total": "With fewer events nothing is wrong.",
    "ratio": "A metric that is a share of bad events already; or give errors and total.",
    "source": "Which app and check, such as costs.budget; * and ? may stand for anything.",
    "key": "Which of them; * and ? may stand for anything.",
    "severities": "One per line: as reported = as told, such as low = medium.",
    "silent_seconds": "Wrong when it was silent for longer.",
    "budgets": "Ids, one per line; empty: every budget.",
    "checks": "Names, one per line; empty: every check.",
    "heartbeats": "Names, one per line; empty: every heartbeat.",
}


class Lines(forms.CharField):
    """Texts, one per line or separated by commas."""

    widget = Textarea(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        text = super().clean(value) or ""
        return [part.strip() for line in text.splitlines() for part in line.split(",") if part.strip()]


class Pairs(forms.CharField):
    """Names and texts: one `name = value` per line."""

    widget = Textarea(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return "\n".join(f"{name} = {text}" for name, text in value.items())
        return value

    def clean(self, value: Any) -> Any:
        found: dict[str, str] = {}
        for line in (super().clean(value) or "").splitlines():
            name, sign, text = line.partition("=")
            if not line.strip():
                continue
            if not sign or not name.strip():
                raise ValidationError(f"Write name = value, not {line.strip()!r}.")
            if name.strip() in found:
                raise ValidationError(f"{name.strip()} is given twice.")
            found[name.strip()] = text.strip()
        return found


class Json(forms.CharField):
    """A value that has parts, as JSON."""

    widget = Textarea(attrs={"rows": 5})

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) or value is None else json.dumps(value, indent=1)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return json.loads(text, parse_float=Decimal) if text else None
        except ValueError as error:
            raise ValidationError(f"This is not JSON: {error}") from error


def fields_of(kind: Kind) -> dict[str, forms.Field]:
    """Return a form field for each parameter of a kind, under its name with a prefix."""
    found = {}
    for field in msgspec.structs.fields(kind.parameters):
        made = _field(field.name, field.type)
        made.required = field.required
        made.label = field.name.replace("_", " ").capitalize()
        made.help_text = HELP.get(field.name, "")
        if not field.required:
            made.initial = _default(field)
        found[PREFIX + field.name] = made
    return found


def _default(field: msgspec.structs.FieldInfo) -> Any:
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return msgspec.to_builtins(value)


def _field(name: str, kind: Any) -> forms.Field:
    if name in METRIC_FIELDS:
        choices = [("", "---------"), *((one.name, f"{one.name} ({one.unit})") for one in _sorted_metrics())]
        return _MetricField(choices=choices, widget=Select)
    bare = _bare(kind)
    if typing.get_origin(bare) is Literal:
        return forms.ChoiceField(choices=[(one, str(one)) for one in typing.get_args(bare)], widget=Select)
    for wanted, make in _BY_TYPE:
        if bare is wanted or typing.get_origin(bare) is wanted:
            return make(bare)
    return forms.CharField(widget=TextInput, max_length=200)


class _MetricField(forms.ChoiceField):
    """A metric that is offered, or the one a rule waits for."""

    def valid_value(self, value: Any) -> bool:
        # The service decides: it knows for which metric the rule may wait.
        return bool(value)


def _sorted_metrics() -> list[Any]:
    return sorted(metrics, key=lambda metric: metric.name)


def _list(bare: Any) -> forms.Field:
    (inner,) = typing.get_args(bare)
    return Json() if isinstance(_bare(inner), type) and issubclass(_bare(inner), msgspec.Struct) else Lines()


def _bare(kind: Any) -> Any:
    return typing.get_args(kind)[0] if typing.get_origin(kind) is Annotated else kind


_BY_TYPE: tuple[tuple[Any, Callable[[Any], forms.Field]], ...] = (
    (int, lambda _: forms.IntegerField(widget=TextInput(attrs={"inputmode": "numeric"}))),
    (Decimal, lambda _: forms.DecimalField(widget=MoneyInput)),
    (list, _list),
    (dict, lambda _: Pairs()),
)
