"""Change rules: the value over the window compared with that over an earlier one, as a difference or in percent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Literal

from alerts.kinds.base import HOLDS, Answer, Ask, Comparison, Kind, MetricUse, Name, Seconds, Selection, Span, Verdict
from core.errors import FieldError

HUNDRED = Decimal(100)


class ChangeParameters(Selection, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How `metric` over `window_seconds` differs from itself `offset_seconds` earlier.

    `measure` delta is now − then, percent is 100 × (now − then) / |then|. Where both values are smaller than `minimum`
    (without sign), nothing is wrong: small numbers double easily.
    """

    metric: Name
    measure: Literal["delta", "percent"] = "percent"
    comparison: Comparison = ">"
    threshold: Decimal
    window_seconds: Seconds = 3600
    offset_seconds: Seconds = 86_400
    minimum: Decimal = Decimal(0)


def asks(parameters: ChangeParameters) -> Sequence[Ask]:
    """Ask for the window that ends at the slot, and for the earlier one."""
    spans = (Span(parameters.window_seconds), Span(parameters.window_seconds, parameters.offset_seconds))
    return tuple(parameters.ask(parameters.metric, span) for span in spans)


def judge(parameters: ChangeParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Compare the change of each label set; where one side has no value, or percent has no base, it cannot be told."""
    latest, earlier = (parameters.pick(answer) for answer in answers)
    holds = HOLDS[parameters.comparison]
    for labels in latest.keys() | earlier.keys():
        change, note = _change(parameters, latest.get(labels), earlier.get(labels))
        if change is None:
            yield Verdict(labels, None, None, note)
        else:
            yield Verdict(labels, note != SMALL and holds(change, parameters.threshold), change, note)


SMALL = "both values are below the minimum"


def _change(
    parameters: ChangeParameters, latest: Decimal | None, earlier: Decimal | None
) -> tuple[Decimal | None, str]:
    if latest is None or earlier is None:
        return None, "no value now" if latest is None else "no value then"
    delta = latest - earlier
    note = SMALL if max(abs(latest), abs(earlier)) < parameters.minimum else ""
    if parameters.measure == "delta":
        return delta, note
    if not earlier:
        return None, "the earlier value is zero: there is no percentage of it"
    return HUNDRED * delta / abs(earlier), note


def uses(parameters: ChangeParameters) -> Iterator[MetricUse]:
    """Name the one metric, whose past is needed."""
    yield MetricUse("/metric", parameters.metric, parameters.named(), past=True)


def mistakes(parameters: ChangeParameters) -> Iterator[FieldError]:
    """Refuse a minimum below zero."""
    if parameters.minimum < 0:
        yield FieldError("/minimum", "min_value", "A minimum is not below zero.")


CHANGE = Kind(
    name="change",
    purpose="A value differs from what it was earlier.",
    parameters=ChangeParameters,
    asks=asks,
    judge=judge,
    uses=uses,
    mistakes=mistakes,
    example={"metric": "costs.spend", "measure": "percent", "threshold": "50", "offset_seconds": 604800},
)
