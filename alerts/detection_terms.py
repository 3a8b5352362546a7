"""What the parameters of a detection rule may say, and the correlation they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from alerts.correlation import FINDERS, Correlation, Selector
from core.errors import FieldError, Invalid

DAY = 86_400
MOST_WINDOW_SECONDS = 366 * DAY
# What is counted event by event is read event by event.
MOST_COUNTED_SECONDS = 7 * DAY

Word = Annotated[str, Meta(min_length=1, max_length=100)]
Seconds = Annotated[int, Meta(ge=1, le=MOST_WINDOW_SECONDS)]


class Step(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which events make a step: kinds of security events, or actions of the audit log."""

    kinds: Annotated[list[Word], Meta(min_length=1, max_length=50)]
    where: dict[str, str] = {}
    at_least: Annotated[int, Meta(ge=1, le=100_000)] = 1


class Parameters(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A correlation as it is stored. `keep_seconds` is how long an alert stays after the last event."""

    source: Literal["security", "audit"] = "security"
    steps: Annotated[list[Step], Meta(min_length=1, max_length=10)]
    group_by: Annotated[list[Word], Meta(max_length=5)] = []
    window_seconds: Seconds = 600
    threshold: Annotated[int, Meta(ge=1, le=10_000_000)] = 1
    field: str = ""
    factor: Annotated[float, Meta(gt=1, le=1000)] = 5.0
    least_hours: Annotated[int, Meta(ge=1, le=2000)] = 24
    keep_seconds: Annotated[int, Meta(ge=60, le=30 * DAY)] = 3600


@dataclass(frozen=True, slots=True)
class Terms:
    """A rule that can be looked at: where the events are, what is looked for, how long it holds."""

    source: str
    correlation: Correlation
    keep: timedelta


def terms_of(kind: str, parameters: Mapping[str, Any]) -> Terms:
    """Return the terms of a rule; raises Invalid that points at what is wrong with them."""
    if kind not in FINDERS:
        raise _wrong("/kind", f"{kind!r} is not a kind of correlation; known: {', '.join(FINDERS)}")
    try:
        given = msgspec.convert(dict(parameters), Parameters)
    except msgspec.ValidationError as error:
        raise _wrong("/parameters", str(error)) from error
    _require_sense(kind, given)
    correlation = Correlation(
        kind=kind,
        steps=tuple(Selector(tuple(step.kinds), dict(step.where), step.at_least) for step in given.steps),
        group_by=tuple(given.group_by),
        window=timedelta(seconds=given.window_seconds),
        threshold=given.threshold,
        field=given.field,
        factor=given.factor,
        least_hours=given.least_hours,
    )
    return Terms(given.source, correlation, timedelta(seconds=given.keep_seconds))


def stored(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters in full, defaults included."""
    plain: dict[str, Any] = msgspec.to_builtins(msgspec.convert(dict(parameters), Parameters))
    return plain


def _require_sense(kind: str, given: Parameters) -> None:
    if kind in {"value_count", "new_value"} and not given.field:
        raise _wrong("/parameters/field", f"{kind} needs the field whose values count")
    if kind in {"temporal", "temporal_ordered"} and len(given.steps) < 2:
        raise _wrong("/parameters/steps", f"{kind} needs two steps or more")
    if kind not in {"temporal", "temporal_ordered"} and len(given.steps) > 1:
        raise _wrong("/parameters/steps", f"{kind} has one step")
    if kind not in {"new_value", "baseline"} and given.window_seconds > MOST_COUNTED_SECONDS:
        raise _wrong("/parameters/window_seconds", f"{kind} looks back a week at most")
    if kind in {"new_value", "baseline"} and not given.group_by:
        raise _wrong("/parameters/group_by", f"{kind} needs whose usual it is")


def _wrong(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(pointer, "invalid", detail)])
