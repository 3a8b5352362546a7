"""Burn rate: the error budget of an objective is used up too fast, over a long and a short window at once.

Multi-window, multi-burn-rate alerts as in Google's SRE workbook, chapter "Alerting on SLOs". With the allowed share of
bad events E = 1 − objective, a window burns more than f when bad > f · E · total: decided so, without a division.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import Meta

from alerts.kinds.base import Answer, Ask, Fact, Kind, MetricUse, Name, Seconds, Selection, Span, Verdict
from core.errors import FieldError

_Counts = Callable[[int], tuple[Answer, Answer]]
ONE = Decimal(1)
ZERO = Decimal(0)


class Pair(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A long and a short window that must both burn faster than `factor`; the short one ends the alert early."""

    long_seconds: Seconds
    short_seconds: Seconds
    factor: Annotated[Decimal, Meta(extra={"gt": 0})]


USUAL = (
    Pair(long_seconds=3600, short_seconds=300, factor=Decimal("14.4")),
    Pair(long_seconds=21_600, short_seconds=1800, factor=Decimal(6)),
)


class BurnRateParameters(Selection, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """`bad` and `total` count events; `objective` is the share that has to be good.

    With fewer than `min_bad` bad events in the long window nothing is wrong: one failure of ten is no trend.
    """

    bad: Name
    total: Name
    objective: Annotated[Decimal, Meta(extra={"gt": 0, "lt": 1})]
    pairs: Annotated[list[Pair], Meta(min_length=1, max_length=4)] = msgspec.field(default_factory=lambda: [*USUAL])
    min_bad: Annotated[int, Meta(ge=0)] = 3


def asks(parameters: BurnRateParameters) -> Sequence[Ask]:
    """Ask for bad and total events over every window."""
    seconds = {length for pair in parameters.pairs for length in (pair.long_seconds, pair.short_seconds)}
    return tuple(
        parameters.ask(metric, Span(length))
        for length in sorted(seconds)
        for metric in (parameters.bad, parameters.total)
    )


def judge(parameters: BurnRateParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Find it wrong when any pair burns; the value is the burn of the first pair's long window."""
    found = {
        (ask.metric, ask.span.seconds): parameters.pick(answer)
        for ask, answer in zip(asks(parameters), answers, strict=True)
    }

    def counts(seconds: int) -> tuple[Answer, Answer]:
        return found[parameters.bad, seconds], found[parameters.total, seconds]

    first = parameters.pairs[0]
    for labels, total in counts(first.long_seconds)[1].items():
        bad = counts(first.long_seconds)[0].get(labels, ZERO)
        if total <= 0:
            yield Verdict(labels, None, None, "no events")
            continue
        burn = bad / ((ONE - parameters.objective) * total)
        active = any(_burns(parameters, pair, labels, counts) for pair in parameters.pairs)
        yield Verdict(labels, active, burn)


def _burns(parameters: BurnRateParameters, pair: Pair, labels: Fact, counts: _Counts) -> bool:
    allowed = pair.factor * (ONE - parameters.objective)
    long_bad, long_total = (side.get(labels, ZERO) for side in counts(pair.long_seconds))
    short_bad, short_total = (side.get(labels, ZERO) for side in counts(pair.short_seconds))
    enough = long_bad >= parameters.min_bad
    return enough and long_bad > allowed * long_total and short_bad > allowed * short_total


def uses(parameters: BurnRateParameters) -> Iterator[MetricUse]:
    """Name both metrics."""
    for name in ("bad", "total"):
        yield MetricUse(f"/{name}", getattr(parameters, name), parameters.named())


def mistakes(parameters: BurnRateParameters) -> Iterator[FieldError]:
    """Refuse a pair that can never fire: all events bad burns 1 / (1 − objective), and no faster."""
    fastest = ONE / (ONE - parameters.objective)
    for index, pair in enumerate(parameters.pairs):
        if pair.factor >= fastest:
            detail = f"This can never fire: with every event bad the burn rate is {fastest.normalize():f}."
            yield FieldError(f"/pairs/{index}/factor", "max_value", detail)
        if pair.short_seconds >= pair.long_seconds:
            detail = "The short window is shorter than the long one."
            yield FieldError(f"/pairs/{index}/short_seconds", "max_value", detail)


BURN_RATE = Kind(
    name="burn_rate",
    purpose="The error budget of an objective is used up too fast.",
    parameters=BurnRateParameters,
    asks=asks,
    judge=judge,
    uses=uses,
    mistakes=mistakes,
    example={
        "bad": "agent.failures",
        "total": "agent.runs",
        "objective": "0.999",
        "pairs": [{"long_seconds": 3600, "short_seconds": 300, "factor": "14.4"}],
    },
)
