"""What the costs app measures for alert rules, objectives, experiments and the home page: many label sets, one read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Count

from core.money import MoneySum
from core.ports.metrics import Labels, Metric, Sample, is_wanted
from core.windows import Window, midnight
from costs import reader
from costs.choices import QueueStatus
from costs.models import CostEvent, FoldState, IngestReject, UnpricedModel
from costs.reader_plan import Filters, Group, Measures, Question

DAY_SECONDS = 86_400
# Labels in the order of their dimensions; an entity is named by two labels and is one dimension.
TAG_LABELS = {"experiment": "tag:experiment", "variant": "tag:variant"}
LABELS = ("entity_type", "entity_id", "cost_type", "provider", "model", *TAG_LABELS)
DEFAULT_LABELS = ("entity_type", "entity_id", "cost_type")
Value = Callable[[Measures], Decimal | int | None]
State = Callable[[datetime], Iterable[Sample]]


def _metric(name: str, unit: str, description: str, value: Value, *, tokens: bool = False) -> Metric:
    def read(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> Sequence[Sample]:
        return list(_samples(window, wanted, step_seconds, value, tokens=tokens))

    return Metric(name=name, unit=unit, description=description, labels=LABELS, read=read, kind="sum")


def _samples(
    window: Window, wanted: Sequence[Labels] | None, step: int | None, value: Value, *, tokens: bool
) -> Iterator[Sample]:
    """Answer with one question per combination of label names, however many label sets are wanted."""
    shapes: dict[tuple[str, ...], list[Labels]] = defaultdict(list)
    for labels in [dict.fromkeys(DEFAULT_LABELS, "")] if wanted is None else wanted:
        shapes[_shape(labels)].append(labels)
    for shape, asked in shapes.items():
        answer = reader.ask(_question(window, shape, [] if wanted is None else asked, step, tokens=tokens))
        keep = None if wanted is None else {tuple(str(labels[name]) for name in shape) for labels in asked}
        yield from _read(answer.groups, shape, keep, step, value)


def _shape(labels: Labels) -> tuple[str, ...]:
    """Return the names of the labels in their fixed order; raises ValueError for one that costs do not have."""
    unknown = set(labels) - set(LABELS)
    if unknown:
        raise ValueError(f"costs are not labelled by {', '.join(sorted(unknown))} (known: {', '.join(LABELS)})")
    return tuple(name for name in LABELS if name in labels)


def _question(
    window: Window, shape: tuple[str, ...], asked: Sequence[Labels], step: int | None, *, tokens: bool
) -> Question:
    """Return the question for one shape; labels on which all agree become filters, so that an index can be used."""
    dimensions = [] if step is None else [_grain(step)]
    dimensions += ["entity" if "entity_id" in shape else "entity_type"] if _names_entities(shape) else []
    dimensions += [TAG_LABELS.get(name, name) for name in shape if name not in {"entity_type", "entity_id"}]
    common = {name: str(asked[0][name]) for name in shape if len({str(labels[name]) for labels in asked}) == 1}
    filters = Filters(
        entity=(common["entity_type"], common["entity_id"]) if {"entity_type", "entity_id"} <= set(common) else None,
        entity_type=common.get("entity_type"),
        cost_types=(common["cost_type"],) if "cost_type" in common else (),
        provider=common.get("provider"),
        model=common.get("model"),
        tags={name: common[name] for name in TAG_LABELS if name in common},
    )
    return Question(window=window, filters=filters, group_by=tuple(dimensions), tokens=tokens, original=False)


def _names_entities(shape: tuple[str, ...]) -> bool:
    return "entity_type" in shape or "entity_id" in shape


def _grain(step: int) -> str:
    if step == DAY_SECONDS:
        return "day"
    if step <= 0 or step % 60:
        raise ValueError("costs are bucketed by whole minutes")
    return "minute" if step % 3600 else "hour"


def _read(
    groups: Iterable[Group], shape: tuple[str, ...], keep: set[tuple[str, ...]] | None, step: int | None, value: Value
) -> Iterator[Sample]:
    """Put hours and minutes together to the buckets asked for; a group that was not wanted is left out."""
    found: dict[tuple[datetime | None, tuple[str, ...]], Measures] = {}
    for group in groups:
        cells = [key.value for key in group.keys]
        at = None if step is None else _bucket(cells.pop(0), step)
        values = _label_values(cells, shape)
        if keep is None or values in keep:
            found[at, values] = found.get((at, values), Measures()) + group.measures
    for (at, values), measures in found.items():
        number = value(measures)
        if number is not None:
            yield Sample(labels=dict(zip(shape, values, strict=True)), value=Decimal(number), at=at)


def _label_values(cells: list[str], shape: tuple[str, ...]) -> tuple[str, ...]:
    if "entity_id" not in shape:
        return tuple(cells)
    entity_type, _, entity_id = cells[0].partition(":")
    names = (entity_type, entity_id) if "entity_type" in shape else (entity_id,)
    return (*names, *cells[1:])


def _bucket(key: str, step: int) -> datetime:
    if step == DAY_SECONDS:
        return midnight(date.fromisoformat(key), reader.organisation_zone())
    seconds = int(datetime.fromisoformat(key).timestamp())
    return datetime.fromtimestamp(seconds - seconds % step, UTC)


def _gauge(
    name: str, unit: str, description: str, read: Callable[[datetime], Iterable[Sample]], *labels: str
) -> Metric:
    """Return a metric that is a state at the end of the window; it has no buckets and no past."""

    def at_end(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> Sequence[Sample]:
        return [sample for sample in read(window.end) if is_wanted(sample.labels, wanted)]

    return Metric(name=name, unit=unit, description=description, labels=labels, read=at_end, kind="state")


def _fold_lag(at: datetime) -> list[Sample]:
    """Return how long the oldest event that no rollup holds has waited; zero when all are in."""
    oldest = CostEvent.objects.unfolded().order_by("recorded_at").values_list("recorded_at", flat=True).first()
    lag = timedelta() if oldest is None else max(at - oldest, timedelta())
    return [Sample(labels={}, value=Decimal(str(lag.total_seconds())))]


def _folded_age(at: datetime) -> list[Sample]:
    folded = FoldState.objects.exclude(folded_at=None).values_list("folded_at", flat=True).first()
    return [] if folded is None else [Sample(labels={}, value=Decimal(str(max(0.0, (at - folded).total_seconds()))))]


def _open_rejects(at: datetime) -> list[Sample]:
    kinds = IngestReject.objects.filter(status=QueueStatus.OPEN).order_by().values_list("kind").annotate(Count("id"))
    return [Sample(labels={"kind": kind}, value=Decimal(count)) for kind, count in kinds]


def _open_unpriced(at: datetime) -> list[Sample]:
    return [Sample(labels={}, value=Decimal(UnpricedModel.objects.filter(status=QueueStatus.OPEN).count()))]


def _spend_by_sender(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> Sequence[Sample]:
    """Return what each sender recorded in the window, in the base currency: by when it was recorded, in one bucket."""
    # Ids begin with the instant of recording: the primary key answers.
    rows = CostEvent.objects.filter(id__gte=_id_at(window.start), id__lt=_id_at(window.end))
    if wanted is not None:
        rows = rows.filter(source__in=[labels["sender"] for labels in wanted])
    sums = rows.order_by().values_list("source").annotate(MoneySum("base_amount"))
    return [Sample(labels={"sender": sender}, value=spent) for sender, spent in sums if spent is not None]


def _id_at(at: datetime) -> UUID:
    """Return the lowest id that an event recorded at this instant can have (RFC 9562, 5.7)."""
    return UUID(int=int(at.timestamp() * 1000) << 80)


METRICS = (
    Metric(
        name="costs.spend_by_sender",
        unit="base currency",
        description="What was recorded by each sender: an API key's family, an import.",
        labels=("sender",),
        read=_spend_by_sender,
    ),
    _metric("costs.spend", "base currency", "What was spent.", lambda sums: sums.base_amount),
    _metric("costs.event_count", "events", "Cost events.", lambda sums: sums.event_count),
    _metric("costs.unpriced_count", "events", "Cost events without a price.", lambda sums: sums.unpriced_count),
    _metric(
        "costs.unconverted_count", "events", "Amounts without an exchange rate.", lambda sums: sums.unconverted_count
    ),
    _metric("costs.input_tokens", "tokens", "Tokens read by models.", lambda sums: sums.input_tokens, tokens=True),
    _metric("costs.output_tokens", "tokens", "Tokens written by models.", lambda sums: sums.output_tokens, tokens=True),
    _gauge("costs.fold_lag_seconds", "seconds", "Age of the oldest event that no rollup holds.", _fold_lag),
    _gauge("costs.fold_age_seconds", "seconds", "Time since the rollups were folded.", _folded_age),
    _gauge("costs.rejects_open", "items", "Items that were refused and wait for a person.", _open_rejects, "kind"),
    _gauge("costs.unpriced_models_open", "models", "Models in use that have no price.", _open_unpriced),
)
