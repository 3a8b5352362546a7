"""Seasonal anomaly: the value over the window against the same hour of the week in the weeks before.

The robust z-score of Iglewicz and Hoaglin (1993), 0.6745 · (x − median) / MAD; where more than half of the weeks are
equal and the MAD is 0, the mean absolute deviation about the median takes its place: (x − median) / (1.253314 · it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from statistics import fmean, median
from typing import Annotated, Literal
from zoneinfo import available_timezones

from msgspec import Meta

from alerts.kinds.base import Answer, Ask, Fact, Kind, MetricUse, Name, Seconds, Selection, Span, Verdict
from core.errors import FieldError

MAD_SCALE = 0.6745
MEAN_SCALE = 1.253314


class AnomalyParameters(Selection, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """How far `metric` over `window_seconds` is from what it was at this time of the last `weeks` weeks.

    Wrong when the robust z-score passes `z` in the `direction`, and the distance from the median is at least
    `minimum`. With fewer than `min_weeks` weeks that have a value it cannot be told. Weeks are counted in `time_zone`,
    so that nine o'clock stays nine o'clock when the clocks change.
    """

    metric: Name
    z: Annotated[Decimal, Meta(extra={"gt": 0, "le": 1000})] = Decimal("3.5")
    direction: Literal["up", "down", "both"] = "both"
    window_seconds: Seconds = 3600
    weeks: Annotated[int, Meta(ge=3, le=26)] = 6
    min_weeks: Annotated[int, Meta(ge=3, le=26)] = 4
    minimum: Decimal = Decimal(0)
    time_zone: str = "UTC"


def asks(parameters: AnomalyParameters) -> Sequence[Ask]:
    """Ask for the window that ends at the slot, and for the same hours of the weeks before."""
    seconds, zone = parameters.window_seconds, parameters.time_zone
    spans = (Span(seconds), *(Span(seconds, 0, week, zone) for week in range(1, parameters.weeks + 1)))
    return tuple(parameters.ask(parameters.metric, span) for span in spans)


def judge(parameters: AnomalyParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Judge each label set that has a value now."""
    latest, *weeks = (parameters.pick(answer) for answer in answers)
    for labels, value in latest.items():
        past = [week[labels] for week in weeks if labels in week]
        if len(past) < parameters.min_weeks:
            note = f"only {len(past)} of {parameters.min_weeks} weeks have a value"
            yield Verdict(labels, None, value, note)
        else:
            yield _verdict(parameters, labels, value, past)


def _verdict(parameters: AnomalyParameters, labels: Fact, value: Decimal, past: Sequence[Decimal]) -> Verdict:
    usual = median(past)
    score = robust_z(float(value), [float(one) for one in past])
    far = abs(value - usual) >= parameters.minimum and value != usual
    passed = {"up": score, "down": -score, "both": abs(score)}[parameters.direction] > float(parameters.z)
    return Verdict(labels, far and passed, value, f"usually {usual.normalize():f}, z {score:.1f}")


def robust_z(value: float, past: Sequence[float]) -> float:
    """Return how many robust standard deviations a value is from the median of the past ones.

    Where all past values are equal, an equal value is at 0 and every other one infinitely far.
    """
    middle = median(past)
    distances = [abs(one - middle) for one in past]
    mad, mean = median(distances), fmean(distances)
    if mad:
        return MAD_SCALE * (value - middle) / mad
    if mean:
        return (value - middle) / (MEAN_SCALE * mean)
    return 0.0 if value == middle else float("inf") if value > middle else float("-inf")


def uses(parameters: AnomalyParameters) -> Iterator[MetricUse]:
    """Name the one metric, whose past is needed."""
    yield MetricUse("/metric", parameters.metric, parameters.named(), past=True)


def mistakes(parameters: AnomalyParameters) -> Iterator[FieldError]:
    """Refuse what could never be told apart."""
    if parameters.min_weeks > parameters.weeks:
        yield FieldError("/min_weeks", "max_value", "It asks for more weeks than it looks at.")
    if parameters.window_seconds > 7 * 86_400:
        yield FieldError("/window_seconds", "max_value", "A window longer than a week overlaps the week before.")
    if parameters.minimum < 0:
        yield FieldError("/minimum", "min_value", "A minimum is not below zero.")
    if parameters.time_zone not in available_timezones():
        yield FieldError("/time_zone", "not_a_choice", f"There is no time zone {parameters.time_zone!r}.")


ANOMALY = Kind(
    name="anomaly",
    purpose="A value is unusual for this hour of the week.",
    parameters=AnomalyParameters,
    asks=asks,
    judge=judge,
    uses=uses,
    mistakes=mistakes,
    example={"metric": "costs.spend", "z": "3.5", "direction": "up", "weeks": 6, "time_zone": "UTC"},
)
