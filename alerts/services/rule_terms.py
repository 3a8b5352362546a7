"""What a rule may be: every mistake is named before anything is written, at the value it is in."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import msgspec

from alerts.choices import NoData, RuleKind
from alerts.kinds import KINDS, Kind, MetricUse
from alerts.models import Runbook
from alerts.services.findings import RESERVED_LABELS
from core.api.decoding import Mistakes, decode_bytes
from core.choices import Severity
from core.errors import FieldError, Invalid
from core.ports.metrics import metrics

DAY = 86_400
SHORTEST_INTERVAL, LONGEST_INTERVAL = 10, DAY
LONGEST_WAIT = 30 * DAY
MOST_LABELS, LONGEST_LABEL = 30, 1000
MOST_ANNOTATIONS, LONGEST_ANNOTATION = 30, 4000
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTerms:
    """Everything that a person decides about a rule. `runbook` is the slug of one, `slug` is made unless given."""

    name: str
    kind: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    slug: str = ""
    description: str = ""
    severity: str = Severity.MEDIUM
    for_seconds: int = 0
    keep_firing_seconds: int = 0
    interval_seconds: int = 60
    cooldown_seconds: int = 0
    no_data: str = NoData.RESOLVE
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    runbook: str = ""
    enabled: bool = True


def check_terms(terms: RuleTerms, *, known_metrics: Collection[str] = ()) -> dict[str, Any]:
    """Return the parameters as they are stored, complete and typed; raises Invalid with every mistake.

    A metric that nobody offers is refused, unless the rule waits for it already (`known_metrics`).
    """
    mistakes = [*_plain(terms), *_labels(terms.labels), *_annotations(terms.annotations)]
    parameters: dict[str, Any] = {}
    if terms.kind in KINDS:
        parameters, wrong = _parameters(KINDS[terms.kind], terms, known_metrics)
        mistakes += [FieldError(f"/parameters{error.pointer}", error.code, error.detail) for error in wrong]
    if mistakes:
        detail = mistakes[0].detail if len(mistakes) == 1 else f"{len(mistakes)} values are wrong."
        raise Invalid(detail, errors=mistakes)
    return parameters


def metrics_of(kind: str, parameters: Mapping[str, object]) -> list[str]:
    """Return the names of the metrics that a stored rule reads; none for parameters of another version."""
    try:
        checked = msgspec.convert(parameters, KINDS[kind].parameters)
    except (msgspec.ValidationError, KeyError):
        return []
    return [use.name for use in KINDS[kind].uses(checked)]


def waits_for(kind: str, parameters: Mapping[str, object]) -> list[str]:
    """Return the metrics of a stored rule that nobody offers, in this installation or yet."""
    return [name for name in metrics_of(kind, parameters) if name not in metrics]


def _plain(terms: RuleTerms) -> Iterator[FieldError]:
    if not 0 < len(terms.name.strip()) <= 200:
        yield FieldError("/name", "length", "A name has 1 to 200 characters.")
    for pointer, value, choices in (
        ("/kind", terms.kind, RuleKind.values),
        ("/severity", terms.severity, Severity.values),
        ("/no_data", terms.no_data, NoData.values),
    ):
        if value not in choices:
            yield FieldError(pointer, "not_a_choice", f"One of {', '.join(choices)}.")
    yield from _durations(terms)
    if terms.runbook and not Runbook.objects.filter(slug=terms.runbook).exists():
        yield FieldError("/runbook", "not_found", f"There is no runbook {terms.runbook!r}.")


def _durations(terms: RuleTerms) -> Iterator[FieldError]:
    if not SHORTEST_INTERVAL <= terms.interval_seconds <= LONGEST_INTERVAL:
        detail = f"A rule is evaluated every {SHORTEST_INTERVAL} to {LONGEST_INTERVAL} seconds."
        yield FieldError("/interval_seconds", "out_of_range", detail)
    for name in ("for_seconds", "keep_firing_seconds", "cooldown_seconds"):
        if not 0 <= getattr(terms, name) <= LONGEST_WAIT:
            yield FieldError(f"/{name}", "out_of_range", f"From 0 to {LONGEST_WAIT} seconds (30 days).")


def _labels(labels: Mapping[str, str]) -> Iterator[FieldError]:
    if len(labels) > MOST_LABELS:
        yield FieldError("/labels", "max_length", f"A rule has at most {MOST_LABELS} labels.")
    for name, value in labels.items():
        pointer = f"/labels/{name}"
        if not LABEL_NAME.fullmatch(name):
            yield FieldError(pointer, "pattern", f"{name!r} is no label name: letters, digits and _, no digit first.")
        elif name in RESERVED_LABELS:
            yield FieldError(pointer, "reserved", f"The label {name} is given by the rule itself.")
        if not isinstance(value, str) or not value or len(value) > LONGEST_LABEL or "\x00" in value:
            yield FieldError(pointer, "invalid", f"The value of a label is a text of 1 to {LONGEST_LABEL} characters.")


def _annotations(annotations: Mapping[str, str]) -> Iterator[FieldError]:
    if len(annotations) > MOST_ANNOTATIONS:
        yield FieldError("/annotations", "max_length", f"A rule has at most {MOST_ANNOTATIONS} annotations.")
    for name, value in annotations.items():
        if not LABEL_NAME.fullmatch(name):
            yield FieldError(f"/annotations/{name}", "pattern", f"{name!r} is no name: letters, digits and _.")
        if not isinstance(value, str) or len(value) > LONGEST_ANNOTATION or "\x00" in value:
            detail = f"An annotation is a text of at most {LONGEST_ANNOTATION} characters."
            yield FieldError(f"/annotations/{name}", "invalid", detail)


def _parameters(
    kind: Kind, terms: RuleTerms, known_metrics: Collection[str]
) -> tuple[dict[str, Any], list[FieldError]]:
    try:
        checked = decode_bytes(json.dumps(dict(terms.parameters), default=str).encode(), kind.parameters)
    except Mistakes as mistakes:
        return {}, list(mistakes.errors)
    wrong = list(kind.mistakes(checked))
    for use in kind.uses(checked):
        wrong += _metric_mistakes(use, terms, known_metrics)
    stored: dict[str, Any] = msgspec.to_builtins(checked)
    return stored, wrong


def _metric_mistakes(use: MetricUse, terms: RuleTerms, known_metrics: Collection[str]) -> Iterator[FieldError]:
    if use.name not in metrics:
        if use.name not in known_metrics:
            yield FieldError(use.pointer, "not_found", _unknown(use.name))
        return
    metric = metrics.get(use.name)
    for pointer, label in use.labels:
        if label not in metric.labels:
            known = ", ".join(metric.labels) or "none"
            yield FieldError(pointer, "not_a_choice", f"{use.name} has no label {label} (it has: {known}).")
    if use.past and metric.kind == "state":
        detail = f"{use.name} is a state of the moment: its past is not kept, so it cannot be compared with."
        yield FieldError(use.pointer, "invalid", detail)
    for label in sorted(set(terms.labels) & set(metric.labels)):
        detail = f"{use.name} has a label {label} of its own, by which its alerts are told apart."
        yield FieldError("/labels", "conflict", detail)


def _unknown(name: str) -> str:
    known = [metric.name for metric in metrics]
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(near)}?" if near else f" Known: {', '.join(sorted(known)[:20])}."
    return f"There is no metric {name}.{hint}"
