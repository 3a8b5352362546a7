"""What metrics said in the past, read once: totals of small buckets that are put together to any window."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate

from alerts.kinds.base import Fact, Span, fact
from alerts.reading import NOTHING, Plan, Result
from core.errors import Invalid
from core.ports.metrics import Metric, metrics
from core.windows import Window

STEPS = (3600, 1800, 900, 600, 300, 60)


class Totals:
    """The totals of one label set: instants of its buckets, and what had come together by the end of each."""

    def __init__(self, buckets: Sequence[tuple[datetime, Decimal]]) -> None:
        self.starts = [at for at, _ in buckets]
        self.sums = [Decimal(0), *accumulate(value for _, value in buckets)]

    def over(self, window: Window) -> Decimal | None:
        """Return the total over a window of whole buckets; None when none of them has a value."""
        first, last = bisect_left(self.starts, window.start), bisect_left(self.starts, window.end)
        return None if first == last else self.sums[last] - self.sums[first]


class Past:
    """Answers the questions of a plan as of any slot of a period.

    A metric whose buckets add up is read once for each set of label names; another one is read at every slot. Raises
    Invalid for a metric that keeps no past, or that nobody offers.
    """

    def __init__(self, plan: Plan, period: Window, resolution_seconds: int) -> None:
        self._plan = plan
        self._kept: dict[int, dict[Fact, Totals]] = {}
        self.reads_per_slot = 0
        for index, group in enumerate(plan.groups):
            metric = _with_past(group.metric)
            if metric.kind == "sum":
                wanted = None if group.names is None else group.wanted
                self._kept[index] = _totals(metric, group.span, period, wanted, resolution_seconds)
            else:
                self.reads_per_slot += 1

    @property
    def label_sets(self) -> int:
        """The greatest number of label sets that any question has had."""
        return max((len(totals) for totals in self._kept.values()), default=1)

    def answer(self, slot: datetime) -> list[Result]:
        """Return the answers in the order of the plan's questions."""
        results: list[Result] = [NOTHING] * len(self._plan.asks)
        for index, group in enumerate(self._plan.groups):
            window = group.span.window(slot)
            if index not in self._kept:
                group.answer(window, results)
                continue
            totals = ((labels, total.over(window)) for labels, total in self._kept[index].items())
            group.share({labels: total for labels, total in totals if total is not None}, results)
        return results


def needs_reads(plan: Plan) -> int:
    """Return how many reads every slot takes, because the buckets of a metric do not add up."""
    return sum(_with_past(group.metric).kind != "sum" for group in plan.groups)


def _with_past(name: str) -> Metric:
    if name not in metrics:
        raise Invalid(f"The rule waits for the metric {name}, which nobody offers here yet.", code="waiting")
    metric = metrics.get(name)
    if metric.kind == "state":
        raise Invalid(
            f"{name} is a state of the moment: its past is not kept, so the rule can be tested now but not on history.",
            code="no_past",
        )
    return metric


def _totals(
    metric: Metric, span: Span, period: Window, wanted: Sequence[object] | None, resolution: int
) -> dict[Fact, Totals]:
    step = _step(span, resolution)
    reach = timedelta(seconds=span.seconds + span.back) + timedelta(weeks=span.weeks, hours=2 if span.weeks else 0)
    read = Window(_floored(period.start - reach, step), period.end)
    try:
        samples = metric.read(read, wanted, step)  # type: ignore[arg-type]  # label sets of the plan's group
    except Exception as error:
        raise Invalid(f"{metric.name} cannot be read: {type(error).__name__}: {error}", code="unreadable") from error
    buckets: dict[Fact, list[tuple[datetime, Decimal]]] = {}
    for sample in samples:
        if sample.at is not None and sample.value is not None:
            buckets.setdefault(fact(sample.labels), []).append((sample.at, sample.value))
    return {labels: Totals(sorted(found)) for labels, found in buckets.items()}


def _step(span: Span, resolution: int) -> int:
    """Return the longest bucket of which the window, the distance to the slot and the slots are whole multiples."""
    lengths = (span.seconds, span.back, resolution)
    return next((step for step in STEPS if all(length % step == 0 for length in lengths)), STEPS[-1])


def _floored(instant: datetime, step: int) -> datetime:
    seconds = int(instant.timestamp())
    return datetime.fromtimestamp(seconds - seconds % step, tz=instant.tzinfo)
