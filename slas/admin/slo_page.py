"""What the pages of objectives and indicators show above their forms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from core.ports.panels import Chart, Figure, Series, Table
from core.windows import Window
from slas import buckets, histogram
from slas.admin.words import TONES, explanation, percent, rate_text, window_text
from slas.announcing import words
from slas.buckets import Counts
from slas.buckets.exclusions import spans
from slas.evaluation import allowed_share
from slas.models import Exclusion, Sli, Slo, SloSnapshot, SourceReading
from slas.periods import floored
from slas.standing import SERIES, Standing, standings

POINTS = 60
ROWS = 12
SNIPPET = """curl -X POST {url}/api/v1/slas/slis/{sli}/events \\
  -H "Authorization: Bearer $AGENT_FACTORY_KEY" -H "Content-Type: application/json" \\
  -d '[{"at": "{at}", {event}}]'"""


def slo_page(slo: Slo, now: datetime) -> dict[str, Any]:
    """Return the explanation, figures, burn chart and tables of an objective."""
    item = standings([slo], now)[0]
    return {
        "slo_explanation": explanation(item),
        "slo_figures": _figures(item),
        "slo_chart": _burn_down(item),
        "slo_tables": [
            _pairs(item), *_parts(slo), _exclusions(item), _steps(slo), _revisions(slo), _days(slo),
        ],
        "slo_snippet": "" if item.level.total > 0 or slo.sli is None else snippet(slo.sli, now),
    }  # fmt: skip


def sli_page(sli: Sli, now: datetime) -> dict[str, Any]:
    """Return the live value of an indicator, its last day, and how to send events."""
    end = floored(now)
    lengths = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1), timedelta(days=7))
    windows = [Window(end - length, end) for length in lengths]
    hours = [Window(end - timedelta(hours=n + 1), end - timedelta(hours=n)) for n in range(24)][::-1]
    found = buckets.counts([sli], [*windows, *hours])
    figures = [
        Figure(f"Last {words(int(length.total_seconds()))}", _share(found[sli.pk, window]),
               f"{found[sli.pk, window].adjusted_total:,} events", rows_link(sli, window))
        for length, window in zip(lengths, windows, strict=True)
    ]  # fmt: skip
    figures += _quantiles(sli, windows[2])
    figures.append(
        Figure(
            "Came too late", f"{sli.late_dropped:,}", "not counted", tone="warning" if sli.late_dropped else "neutral"
        )
    )
    values = [_float(found[sli.pk, window]) for window in hours]
    labels = [f"{timezone.localtime(window.start):%d %H:%M}" for window in hours]
    return {
        "sli_figures": figures,
        "sli_chart": Chart("Good events by hour", "line", labels, [Series("Good", values)], unit="%"),  # type: ignore[arg-type]  # gaps where there is nothing
        "sli_snippet": snippet(sli, now) if sli.source == "push" else "",
        "sli_note": _reading(sli),
    }


def rows_link(sli: Sli, window: Window) -> str:
    """Return the address of the buckets of a window."""
    address = reverse("admin:slas_sli_rows", args=[sli.pk])
    return f"{address}?from={int(window.start.timestamp())}&to={int(window.end.timestamp())}"


def snippet(sli: Sli, now: datetime) -> str:
    """Return the command that sends an event; {url} is this installation's address."""
    event = '"good": true' if sli.threshold is None else f'"value": {sli.threshold.normalize():f}'
    found = SNIPPET.replace("{sli}", str(sli.pk)).replace("{event}", event)
    return found.replace("{at}", f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")


def _figures(item: Standing) -> list[Figure]:
    used = item.consumed
    left = None if used is None else 1 - used
    tone = TONES[item.state]
    link = rows_link(item.slo.sli, Window(item.period.start, item.as_of)) if item.slo.sli else ""
    burns = {int(pair.long.total_seconds()): pair for pair in item.terms.pairs}
    return [
        Figure("State", item.state.label.capitalize(), f"as of {timezone.localtime(item.as_of):%H:%M}", tone=tone),
        Figure("Good", percent(item.level.sli, 4), f"target {percent(item.terms.target, 6)}", link, tone),
        Figure("Error budget left", percent(left), window_text(item.slo), tone=tone),
        *(
            Figure(f"Burn over {words(length)}", rate_text(item.burns[length]), f"told from {rate_text(pair.factor)}",
                   tone="warning" if pair == item.firing else "neutral")
            for length, pair in sorted(burns.items())[:3]
        ),
    ]  # fmt: skip


def _burn_down(item: Standing) -> Chart | None:
    """Return the error budget that was left over the window, from all of it at the beginning."""
    sli, start, end = item.slo.sli, item.period.start, min(item.period.end, item.as_of)
    if sli is None or item.level.total <= 0 or end <= start:
        return None
    step = (end - start) / POINTS
    instants = [floored(start + step * n) for n in range(1, POINTS)] + [end]
    spans_seconds = [(int(start.timestamp()), int(instant.timestamp())) for instant in instants]
    found = buckets.sums({sli.pk: spans_seconds}, series=SERIES[item.terms.budgeting])[sli.pk]  # type: ignore[index]  # one of its words
    whole = allowed_share(item.terms.target) * item.level.total
    values = []
    for numbers in found:
        bad = (numbers.total - numbers.excluded_total) - (numbers.good - numbers.excluded_good)
        values.append(round(float(1 - bad * item.elapsed / whole) * 100, 3))
    day = end - start > timedelta(days=3)
    labels = [f"{timezone.localtime(instant):{'%m-%d %H:%M' if day else '%d %H:%M'}}" for instant in instants]
    series = [Series("Left", [100.0, *values]), Series("Nothing left", [0.0] * (len(values) + 1))]
    first = f"{timezone.localtime(start):%m-%d %H:%M}"
    return Chart("Error budget left over the window", "line", [first, *labels], series, unit="%")


def _pairs(item: Standing) -> Table:
    rows = [
        (
            (
                f"{words(int(pair.long.total_seconds()))} and {words(int(pair.short.total_seconds()))}",
                rate_text(pair.factor),
                rate_text(item.burns[int(pair.long.total_seconds())]),
                rate_text(item.burns[int(pair.short.total_seconds())]),
                pair.severity,
                "firing" if pair == item.firing else "quiet",
            ),
            "",
        )
        for pair in item.terms.pairs
    ]
    return Table("When somebody is told", ("Windows", "Factor", "Long", "Short", "Severity", "Now"), rows)


def _parts(slo: Slo) -> list[Table]:
    if not slo.composite:
        return []
    parts = slo.components.select_related("child__service", "child__status").order_by("pk")
    rows = [
        (
            (str(part.child), f"{part.weight.normalize():f}", percent(getattr(_status(part.child), "sli", None), 4)),
            reverse("admin:slas_slo_change", args=[part.child_id]),
        )
        for part in parts
    ]
    return [Table(f"Parts ({slo.get_composite_display()})", ("Objective", "Weight", "Good"), rows)]


def _status(slo: Slo) -> Any:
    return getattr(slo, "status", None)


def _exclusions(item: Standing) -> Table:
    sli = item.slo.sli
    window = Window(item.period.start, max(item.as_of, item.period.start))
    headings = ("When", "Why", "Approved by", "Good of measured", "State")
    if sli is None:
        return Table("Excluded time", headings, [])
    scope = (Q(service=None) | Q(service=sli.service_id)) & (Q(sli=None) | Q(sli=sli.pk))
    near = Q(starts_at__lt=window.end) & (Q(ends_at__gt=window.start) | ~Q(recurrence=""))
    rows = []
    for row in Exclusion.objects.filter(scope & near).exclude(applies_to="sla").order_by("-starts_at", "-pk")[:ROWS]:
        taken = spans(row, window)
        counted = buckets.counts([sli], taken).values()
        good, total = sum(found.good for found in counted), sum(found.total for found in counted)
        state = "withdrawn" if row.withdrawn_at else "in force" if row.approved_by else "waits for approval"
        cells = (f"{timezone.localtime(row.starts_at):%Y-%m-%d %H:%M}", row.reason, row.approved_by or "–",
                 f"{good:,} of {total:,}", state)  # fmt: skip
        rows.append((cells, reverse("admin:slas_exclusion_change", args=[row.pk])))
    return Table("Excluded time in this window", headings, rows, reverse("admin:slas_exclusion_add"))


def _steps(slo: Slo) -> Table:
    rows = [
        (
            (
                f"{firing.consumed_from:.0%}", firing.get_action_display(),
                f"{timezone.localtime(firing.started_at):%Y-%m-%d %H:%M}",
                f"{timezone.localtime(firing.ended_at):%Y-%m-%d %H:%M}" if firing.ended_at else "in effect",
            ),
            reverse("admin:slas_policystepfiring_change", args=[firing.pk]),
        )
        for firing in slo.step_firings.order_by("-started_at", "-pk")[:ROWS]
    ]  # fmt: skip
    return Table("What its budget policy did", ("Used from", "Action", "Since", "Until"), rows)


def _revisions(slo: Slo) -> Table:
    rows = [
        ((str(row.number), f"{timezone.localtime(row.effective_from):%Y-%m-%d %H:%M}",
          percent(Fraction(row.terms["target"]), 6), row.created_by or "–", row.reason or "–"), "")
        for row in slo.revisions.order_by("-number")[:ROWS]
    ]  # fmt: skip
    return Table("Revisions", ("No.", "From", "Target", "By", "Why"), rows)


def _days(slo: Slo) -> Table:
    rows = [
        ((row.day.isoformat(), percent(row.sli, 4), _raw(row),
          "–" if row.consumed is None else percent(1 - row.consumed),
          row.get_state_display(), "frozen" if row.frozen_at else "open"),
         reverse("admin:slas_slosnapshot_change", args=[row.pk]))
        for row in slo.snapshots.order_by("-day")[:ROWS]
    ]  # fmt: skip
    more = f"{reverse('admin:slas_slosnapshot_changelist')}?slo__id__exact={slo.pk}"
    return Table("Days", ("Day", "Good", "As measured", "Budget left", "State", ""), rows, more)


def _raw(row: SloSnapshot) -> str:
    return percent(Fraction(row.raw_good, row.raw_total), 4) if row.raw_total and row.raw_good is not None else "–"


def _share(found: Counts) -> str:
    return percent(Fraction(found.adjusted_good, found.adjusted_total), 3) if found.adjusted_total > 0 else "no data"


def _float(found: Counts) -> float | None:
    return round(found.adjusted_good / found.adjusted_total * 100, 4) if found.adjusted_total > 0 else None


def _quantiles(sli: Sli, window: Window) -> list[Figure]:
    if sli.kind != "latency":
        return []
    values: histogram.Histogram = {}
    for row in buckets.rows(sli, window, 60):
        values = histogram.added(values, histogram.unpacked(row.histogram))
    found = []
    for share, name in ((Fraction(1, 2), "Median"), (Fraction(95, 100), "95th percentile")):
        value = histogram.quantile(values, share)
        text = "–" if value is None else f"≤ {value.normalize():f} {sli.unit}".strip()
        found.append(Figure(f"{name}, 1 d", text, "upper end of its bucket"))
    return found


def _reading(sli: Sli) -> str:
    row = SourceReading.objects.filter(sli=sli).first()
    if row is None:
        return ""
    if row.error:
        return f"The source could not be read, {row.failures} times in a row: {row.error}"
    return f"Last read {timezone.localtime(row.read_at):%Y-%m-%d %H:%M}." if row.read_at else "Not read yet."
