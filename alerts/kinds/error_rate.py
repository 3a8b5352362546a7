"""Error rate: the share of bad events over a window, from two counts or from a metric that is a share already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from alerts.kinds.base import Answer, Ask, Kind, MetricUse, Name, Seconds, Selection, Span, Verdict
from core.errors import FieldError

ZERO = Decimal(0)


class ErrorRateParameters(Selection, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """`errors` out of `total` over `window_seconds`, or the metric `ratio`; wrong above `threshold`.

    With fewer than `min_total` events nothing is wrong (not used with `ratio`, which has lost the count).
    """

    errors: str = ""
    total: str = ""
    ratio: str = ""
    threshold: Annotated[Decimal, Meta(extra={"ge": 0, "lt": 1})] = Decimal("0.05")
    window_seconds: Seconds = 300
    min_total: Annotated[int, Meta(ge=0)] = 20


def asks(parameters: ErrorRateParameters) -> Sequence[Ask]:
    """Ask for the ratio, or for both counts."""
    names: tuple[Name, ...] = (parameters.ratio,) if parameters.ratio else (parameters.errors, parameters.total)
    return tuple(parameters.ask(name, Span(parameters.window_seconds)) for name in names)


def judge(parameters: ErrorRateParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Compare exactly: errors > threshold × total."""
    picked = [parameters.pick(answer) for answer in answers]
    if parameters.ratio:
        for labels, share in picked[0].items():
            yield Verdict(labels, share > parameters.threshold, share)
        return
    errors, totals = picked
    for labels, total in totals.items():
        bad = errors.get(labels, ZERO)
        if total <= 0:
            yield Verdict(labels, None, None, "no events")
            continue
        active = total >= parameters.min_total and bad > parameters.threshold * total
        yield Verdict(labels, active, bad / total)


def uses(parameters: ErrorRateParameters) -> Iterator[MetricUse]:
    """Name the metrics that are given."""
    for name in ("errors", "total", "ratio"):
        if getattr(parameters, name):
            yield MetricUse(f"/{name}", getattr(parameters, name), parameters.named())


def mistakes(parameters: ErrorRateParameters) -> Iterator[FieldError]:
    """Want either the ratio or both counts."""
    if parameters.ratio and (parameters.errors or parameters.total):
        yield FieldError("/ratio", "conflict", "Give either a ratio, or errors and total.")
    elif not parameters.ratio:
        for name in ("errors", "total"):
            if not getattr(parameters, name):
                yield FieldError(f"/{name}", "required", "Give either a ratio, or errors and total.")


ERROR_RATE = Kind(
    name="error_rate",
    purpose="Too large a share of events is bad.",
    parameters=ErrorRateParameters,
    asks=asks,
    judge=judge,
    uses=uses,
    mistakes=mistakes,
    example={"errors": "agent.failures", "total": "agent.runs", "threshold": "0.05", "window_seconds": 300},
)
