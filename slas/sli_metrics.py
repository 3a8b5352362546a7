"""What indicators offer on the metrics port over any window: error rates, availability and latency, in few queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from django.db.models import Max, Q, QuerySet

from core.money import CONTEXT
from core.ports.metrics import Labels, Metric, Sample, is_wanted
from core.windows import Window
from slas.buckets import Counts, counts
from slas.choices import Series, SliKind, SliSource
from slas.histogram import Histogram, added, quantile, unpacked
from slas.models import Sli, SliBucket

LABELS = ("service", "sli")
# What is promised for less than this, such as that no person has to take over, fails as a rule and not as an error.
LEAST_TARGET = Decimal("0.95")
SECONDS_IN = {"ms": Decimal("0.001"), "milliseconds": Decimal("0.001"), "s": Decimal(1), "seconds": Decimal(1)}
MOST_MINUTES = timedelta(hours=6)
P95 = Fraction(95, 100)


def _errors() -> QuerySet[Sli]:
    rows = Sli.objects.filter(kind=SliKind.RATIO).annotate(highest=Max("slos__target"))
    return rows.filter(Q(highest=None) | Q(highest__gte=LEAST_TARGET))


def _checked() -> QuerySet[Sli]:
    return Sli.objects.filter(source=SliSource.HEALTH)


def _timed() -> QuerySet[Sli]:
    return Sli.objects.filter(kind=SliKind.LATENCY, unit__in=SECONDS_IN)


def _known(rows: QuerySet[Sli], wanted: Sequence[Labels] | None) -> list[tuple[Sli, dict[str, str]]]:
    found = [(row, {"service": row.service.slug, "sli": row.slug}) for row in rows.select_related("service")]
    return [(row, labels) for row, labels in found if is_wanted(labels, wanted)]


def _parts(window: Window, step_seconds: int | None) -> list[Window]:
    """Return the window itself, or the buckets it is made of."""
    if step_seconds is None:
        return [window]
    step, start, found = timedelta(seconds=step_seconds), window.start, []
    while start < window.end:
        found.append(Window(start, min(start + step, window.end)))
        start += step
    return found


def _counted(
    rows: Callable[[], QuerySet[Sli]], value: Callable[[Counts], Fraction]
) -> Callable[[Window, Sequence[Labels] | None, int | None], Sequence[Sample]]:
    def read(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> Sequence[Sample]:
        slis, parts = _known(rows(), wanted), _parts(window, step_seconds)
        found = counts([sli for sli, _ in slis], parts) if slis else {}
        return [
            Sample(labels, _decimal(value(number)), part.start if step_seconds else None)
            for sli, labels in slis
            for part in parts
            if (number := found[sli.pk, part]).adjusted_total
        ]

    return read


def _latencies(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> Sequence[Sample]:
    slis = _known(_timed(), wanted)
    resolution = 60 if window.length <= MOST_MINUTES else 3600
    buckets: dict[object, list[tuple[int, Histogram]]] = {}
    rows = SliBucket.objects.filter(
        sli__in=[sli for sli, _ in slis], series=Series.EVENTS, resolution=resolution,
        start__gte=int(window.start.timestamp()), start__lt=int(window.end.timestamp()),
    )  # fmt: skip
    for sli_id, start, text in rows.values_list("sli_id", "start", "histogram"):
        buckets.setdefault(sli_id, []).append((start, unpacked(text)))
    return [
        Sample(labels, value * SECONDS_IN[sli.unit], part.start if step_seconds else None)
        for sli, labels in slis
        for part, value in _quantiles(buckets.get(sli.pk, []), _parts(window, step_seconds))
    ]


def _quantiles(buckets: Sequence[tuple[int, Histogram]], parts: Sequence[Window]) -> Iterator[tuple[Window, Decimal]]:
    for part in parts:
        whole: Histogram = {}
        for start, histogram in buckets:
            if part.start.timestamp() <= start < part.end.timestamp():
                whole = added(whole, histogram)
        value = quantile(whole, P95) if whole else None
        if value is not None:
            yield part, value


def _good(number: Counts) -> Fraction:
    return Fraction(number.adjusted_good, number.adjusted_total)


def _bad(number: Counts) -> Fraction:
    return 1 - _good(number)


def _decimal(value: Fraction) -> Decimal:
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


METRICS = (
    Metric("slas.error_ratio", "ratio", "Share of an indicator's events that were not good.", LABELS,
           _counted(_errors, _bad)),
    Metric("slas.availability_ratio", "ratio", "Share of a service's health checks that passed.", LABELS,
           _counted(_checked, _good)),
    Metric("slas.latency_p95_seconds", "seconds",
           "What 95 of 100 durations took at most, up to the next boundary of the histogram.", LABELS, _latencies),
)  # fmt: skip
