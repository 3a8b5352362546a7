"""What objectives offer on the metrics port: how they stand, for alert rules, the home page and Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal

from core.ports.metrics import Labels, Metric, Sample, is_wanted
from core.windows import Window
from slas.announcing import words
from slas.models import SloStatus

LABELS = ("service", "slo", "window")


def _statuses(wanted: Sequence[Labels] | None) -> Iterable[SloStatus]:
    rows = SloStatus.objects.filter(slo__enabled=True).select_related("slo__service").order_by("slo__service", "slo")
    if wanted is not None:
        for name, path in (("service", "slo__service__slug"), ("slo", "slo__slug")):
            if all(name in labels for labels in wanted):
                rows = rows.filter(**{f"{path}__in": [labels[name] for labels in wanted]})
    return rows


def _reader(
    values: Callable[[SloStatus], Iterator[tuple[str, Decimal | None]]],
) -> Callable[[Window, Sequence[Labels] | None, int | None], Sequence[Sample]]:
    def read(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> Sequence[Sample]:
        found = []
        for status in _statuses(wanted):
            for length, value in values(status):
                labels = {"service": status.slo.service.slug, "slo": status.slo.slug, "window": length}
                if value is not None and is_wanted(labels, wanted):
                    found.append(Sample(labels, value))
        return found

    return read


def _window(status: SloStatus) -> str:
    slo = status.slo
    return f"{slo.window_days} d" if slo.window_days else slo.calendar_unit


def _ratio(status: SloStatus) -> Iterator[tuple[str, Decimal | None]]:
    yield _window(status), status.sli


def _remaining(status: SloStatus) -> Iterator[tuple[str, Decimal | None]]:
    yield _window(status), None if status.consumed is None else 1 - status.consumed


def _burn(status: SloStatus) -> Iterator[tuple[str, Decimal | None]]:
    for seconds, rate in status.burn.items():
        yield words(int(seconds)), None if rate is None else Decimal(rate)


METRICS = (
    Metric("slas.sli_ratio", "ratio", "Share of good events over the window.", LABELS, _reader(_ratio), "state"),
    Metric(
        "slas.budget_remaining_ratio", "ratio", "What is left of the error budget; negative when exhausted.", LABELS,
        _reader(_remaining), "state",
    ),
    Metric(
        "slas.burn_rate", "ratio", "How many times too fast the error budget burns over a window.", LABELS,
        _reader(_burn), "state",
    ),
)  # fmt: skip
