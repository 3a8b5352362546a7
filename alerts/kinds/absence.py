"""Absence rules: nothing was reported over the window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from alerts.kinds.base import Answer, Ask, Kind, LabelName, MetricUse, Name, Seconds, Span, Verdict, fact


class AbsenceParameters(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """`metric` has no value over the last `window_seconds` for the label set `labels`, or, without, for any."""

    metric: Name
    labels: dict[LabelName, str] = {}
    window_seconds: Seconds = 3600


def asks(parameters: AbsenceParameters) -> Sequence[Ask]:
    """Ask for the window that ends at the slot."""
    labels = fact(parameters.labels) if parameters.labels else None
    return (Ask(parameters.metric, Span(parameters.window_seconds), labels),)


def judge(parameters: AbsenceParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Find it wrong when there is no value at all."""
    yield Verdict(fact(parameters.labels), not answers[0])


def uses(parameters: AbsenceParameters) -> Iterator[MetricUse]:
    """Name the one metric."""
    yield MetricUse("/metric", parameters.metric, tuple((f"/labels/{name}", name) for name in parameters.labels))


ABSENCE = Kind(
    name="absence",
    purpose="Nothing was reported over a window.",
    parameters=AbsenceParameters,
    asks=asks,
    judge=judge,
    uses=uses,
    example={"metric": "costs.event_count", "window_seconds": 3600},
    needs_data=False,
)
