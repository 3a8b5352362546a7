"""What the explorer's page is made of: figures, chart, table, and where the numbers come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from django.conf import settings
from django.urls import reverse

from core.ports.panels import Chart, Figure, Series
from core.windows import Window
from costs import explorer, reader
from costs.amounts import amount, change, count
from costs.choices import CostType, PriceStatus
from costs.models import CostCenter, CostEvent, ModelHourRollup
from costs.reader_links import Selection
from costs.reader_plan import TAG, Key, Measures

Tone = Literal["neutral", "good", "warning", "bad"]
ROWS_SHOWN = 200
# The tag keys offered for grouping are those of the newest events.
EVENTS_SAMPLED = 200
SOURCES = {
    "model_hour": "the hourly totals per model",
    "entity_day": "the daily totals per entity",
    "events": "the events themselves",
}
BESIDE = {
    False: "events not yet in these totals, and parts of a day or hour, are added from their rows.",
    True: "no totals are kept for this question, so the shorter the period, the sooner the answer.",
}


def events_link(selection: Selection) -> str:
    """Return the address of the list of exactly these events."""
    return f"{reverse('admin:costs_costevent_changelist')}?{selection.query()}"


def tag_keys() -> list[str]:
    """Return the keys of tags in use, for grouping by them."""
    newest = CostEvent.objects.order_by("-id").values_list("tags", flat=True)[:EVENTS_SAMPLED]
    return sorted({key for tags in newest for key in tags})


def dimension_choices(chosen: str) -> list[tuple[str, str]]:
    """Return the dimensions to group by, tags included; one that is chosen is always there."""
    tags = {f"{TAG}{key}": f"Tag {key}" for key in tag_keys()}
    chosen_tag = {chosen: _dimension(chosen)} if chosen.startswith(TAG) else {}
    return list({**explorer.GROUPS, **tags, **chosen_tag}.items())


def form(asked: explorer.View) -> dict[str, Any]:
    """Return the choices of the form; providers and models are those of the period's hourly totals."""
    rollups = ModelHourRollup.objects.filter(hour__gte=asked.window.start, hour__lt=asked.window.end).order_by()
    seen = list(rollups.values_list("provider", "model").distinct())
    filters = asked.filters
    return {
        "periods": explorer.PERIODS,
        "groups": dimension_choices(asked.group),
        "splits": [pair for pair in dimension_choices(asked.split) if pair[0]],
        "grains": explorer.GRAINS,
        "measures": explorer.MEASURES | {"base": f"Cost in {settings.BASE_CURRENCY}"},
        "cost_types": CostType.choices,
        "price_statuses": PriceStatus.choices,
        "providers": sorted({provider for provider, _ in seen if provider}),
        "models": sorted({model for _, model in seen if model}),
        "centers": CostCenter.objects.values_list("code", "name"),
        "entity": ":".join(filters.entity) if filters.entity else "",
        "tags": [f"{key}={value}" for key, value in filters.tags.items()],
        "first_day": _local_date(asked.window.start),
        "last_day": _last_date(asked.window),
    }


def _local_date(at: datetime) -> str:
    return at.astimezone(reader.organisation_zone()).date().isoformat()


def _last_date(window: Window) -> str:
    return _local_date(window.end - timedelta(microseconds=1))


def _unit(found: explorer.Exploration) -> str:
    units = {"events": "events", "tokens": "tokens", "original": found.chart_currency}
    return units.get(found.view.measure, found.answer.base_currency)


def _shown(found: explorer.Exploration, measures: Measures) -> str:
    value = found.value(measures)
    if found.view.measure in {"events", "tokens"}:
        return count(int(value))
    return amount(value, _unit(found))


def figures(found: explorer.Exploration) -> list[Figure]:
    """Return the totals of the period and of the one before."""
    total, previous = found.total, found.previous
    tone: Tone = "warning" if total.unpriced_count else "neutral"
    unpriced = replace(found.view.selection, filters=replace(found.view.filters, price_status="unpriced"))
    return [
        Figure("Total", _shown(found, total), link=events_link(found.view.selection)),
        Figure(
            "Period before", _shown(found, previous), change(found.value(total), found.value(previous)),
        ),
        Figure("Events", count(total.event_count), link=events_link(found.view.selection)),
        Figure(
            "Without a price", count(total.unpriced_count), "not in any amount" if total.unpriced_count else "",
            events_link(unpriced) if total.unpriced_count else "", tone,
        ),
    ]  # fmt: skip


def chart(found: explorer.Exploration) -> Chart:
    """Return the bars over time; a click on one leads to its events."""
    drill = f"{reverse('admin:costs_explorer_rows')}?{found.view.query()}&bar={{label}}&series={{series}}"
    titles = {"events": "Events", "tokens": "Tokens"}
    by = f" by {_dimension(found.view.group).lower()}" if found.view.group else ""
    return Chart(
        title=f"{titles.get(found.view.measure, 'Cost')} per {found.view.grain}{by}",
        kind="stacked",
        labels=found.bars.labels,
        series=[Series(label, [round(float(value), 6) for value in values]) for label, _, values in found.bars.series],
        unit=_unit(found),
        drill=drill,
    )


def _dimension(name: str) -> str:
    if name.startswith(TAG):
        return f"Tag {name.removeprefix(TAG)}"
    return explorer.GROUPS[name] if name else "Everything"


def key_label(key: Key) -> str:
    """Return the words for one value of a dimension."""
    return key.label if key.value else "(none)"


def headings(found: explorer.Exploration) -> list[str]:
    """Return the headings of the exported table."""
    names = [_dimension(name) for name in found.view.table_dimensions] or ["Costs"]
    if "entity" in found.view.table_dimensions:
        names.insert(found.view.table_dimensions.index("entity") + 1, "Entity id")
    columns = {"tokens": ["Input tokens", "Output tokens"], "original": list(found.currencies)}
    return [
        *names, *columns.get(found.view.measure, []), found.answer.base_currency, "Events", "Without a price",
        "Without a rate",
    ]  # fmt: skip


def _values(found: explorer.Exploration, measures: Measures) -> list[Decimal | int]:
    """Return the numbers of a row, in the order of the headings."""
    values: list[Decimal | int] = []
    if found.view.measure == "tokens":
        values += [measures.input_tokens or 0, measures.output_tokens or 0]
    if found.view.measure == "original":
        values += [measures.amounts.get(code, Decimal(0)) for code in found.currencies]
    return [*values, measures.base_amount, measures.event_count, measures.unpriced_count, measures.unconverted_count]


def export_rows(found: explorer.Exploration) -> Iterator[Sequence[object]]:
    """Yield every row of the table with all digits."""
    for row in found.rows:
        cells: list[object] = []
        for name, key in zip(found.view.table_dimensions, row.keys, strict=True):
            cells += [key_label(key)] + ([key.value] if name == "entity" else [])
        yield [*(cells or ["Total"]), *_values(found, row.measures)]


def table(found: explorer.Exploration) -> dict[str, Any]:
    """Return the table as its template reads it; what does not fit is summed in one line, so the total is whole."""
    dimensions = found.view.table_dimensions
    shown, rest = found.rows[:ROWS_SHOWN], found.rows[ROWS_SHOWN:]
    names = [_dimension(name) for name in dimensions] or ["Costs"]
    return {
        "headings": names,
        "number_headings": headings(found)[len(names) + (1 if "entity" in dimensions else 0) :],
        "table_rows": [
            {
                "labels": _labels(dimensions, row.keys),
                "link": events_link(row.selection),
                "numbers": _cells(found, row.measures),
                "share": None if row.share is None else f"{row.share:.1%}",
                "width": "0" if row.share is None else f"{max(min(row.share, Decimal(1)), Decimal(0)) * 100:.1f}",
            }
            for row in shown
        ],
        "more_rows": len(rest),
        "more_numbers": _cells(found, reader.sum_of(row.measures for row in rest)) if rest else [],
        "total_numbers": _cells(found, found.total),
    }


def _labels(dimensions: Sequence[str], keys: Sequence[Key]) -> list[tuple[str, str]]:
    """Return (words, note) per cell; an entity's note is the name its senders use."""
    pairs = zip(dimensions, keys, strict=True)
    found = [(key_label(key), key.value if name == "entity" and key.label != key.value else "") for name, key in pairs]
    return found or [("All costs", "")]


def _cells(found: explorer.Exploration, measures: Measures) -> list[str]:
    return [amount(value) if isinstance(value, Decimal) else count(value) for value in _values(found, measures)]


def why(found: explorer.Exploration) -> list[str]:
    """Say in sentences where the figures come from and what is not in them."""
    answer, total, zone = found.answer, found.total, reader.organisation_zone()
    window = found.view.window
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)
    sentences = [
        f"From {start:%Y-%m-%d %H:%M} up to, not including, {end:%Y-%m-%d %H:%M} ({zone.key}).",
        f"Added up exactly, to twelve decimals, from {SOURCES[answer.source]}; {BESIDE[answer.source == 'events']}",
    ]
    if answer.folded_at is not None:
        sentences.append(
            f"The totals were last brought up to date at {answer.folded_at.astimezone(zone):%Y-%m-%d %H:%M:%S}."
        )
    if total.unpriced_count:
        sentences.append(f"{count(total.unpriced_count)} event(s) have no price yet and are in no amount.")
    if total.unconverted_count:
        sentences.append(
            f"{count(total.unconverted_count)} amount(s) have no exchange rate to {answer.base_currency} yet and are"
            f" not in {answer.base_currency}."
        )
    sentences.append("Each amount was converted once, with the rate of the day it occurred, and is never restated.")
    return sentences
