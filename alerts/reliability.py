"""How quickly incidents are answered and ended: figures by severity and by month, and of one incident."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from alerts.choices import SEVERITY_ORDER
from alerts.models import Incident
from core.windows import Window


@dataclass(frozen=True, slots=True)
class Figures:
    """Times of a set of incidents; a mean over none of them is None, never zero.

    MTTD (to detect): opened_at - started_at, over all. MTTA (to acknowledge): acknowledged_at - opened_at, over those
    that somebody answered; who mitigates or resolves without acknowledging answers by that, and the first answer
    counts. MTTR (to resolve): resolved_at - opened_at, over those resolved; after a reopening the last resolution.
    """

    incident_count: int
    open_count: int
    answered_count: int
    mttd: timedelta | None
    mtta: timedelta | None
    mttr: timedelta | None
    median_to_acknowledge: timedelta | None
    median_to_resolve: timedelta | None


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one month and severity; "" stands for all severities."""

    month: str
    severity: str
    figures: Figures


def incidents_in(window: Window, *, severity: str = "") -> QuerySet[Incident]:
    """Return the incidents that count: opened within the window, not merged into another."""
    found = Incident.objects.filter(opened_at__gte=window.start, opened_at__lt=window.end, merged_into=None)
    return found.filter(severity=severity) if severity else found


def figures(incidents: Iterable[Incident]) -> Figures:
    """Return the figures of these incidents."""
    rows = list(incidents)
    detect = [row.opened_at - row.started_at for row in rows]
    answer = [row.acknowledged_at - row.opened_at for row in rows if row.acknowledged_at is not None]
    resolve = [row.resolved_at - row.opened_at for row in rows if row.resolved_at is not None]
    return Figures(
        incident_count=len(rows),
        open_count=sum(row.resolved_at is None for row in rows),
        answered_count=len(answer),
        mttd=_mean(detect),
        mtta=_mean(answer),
        mttr=_mean(resolve),
        median_to_acknowledge=_median(answer),
        median_to_resolve=_median(resolve),
    )


def by_month(window: Window, zone: ZoneInfo, *, severity: str = "") -> list[Row]:
    """Return the figures of each calendar month in `zone` in which incidents were opened, then of its severities."""
    columns = ("opened_at", "started_at", "acknowledged_at", "resolved_at", "severity")
    months: dict[str, list[Incident]] = defaultdict(list)
    for incident in incidents_in(window, severity=severity).only("id", *columns).order_by("opened_at", "pk"):
        months[f"{incident.opened_at.astimezone(zone):%Y-%m}"].append(incident)
    rows = []
    for month, found in sorted(months.items()):
        rows.append(Row(month, "", figures(found)))
        present = [word for word in SEVERITY_ORDER if any(row.severity == word for row in found)]
        rows += [Row(month, word, figures(row for row in found if row.severity == word)) for word in present]
    return rows


def words(length: timedelta | None) -> str:
    """Return a length of time as people say it: 45 s, 12 min, 3 h 05 min, 2 d 4 h; a dash for none."""
    if length is None:
        return "–"
    seconds = int(length.total_seconds())
    if seconds < 60:
        return f"{max(0, seconds)} s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02} min"
    return f"{hours // 24} d {hours % 24} h"


def age(incident: Incident, now: datetime) -> timedelta:
    """Return how long an incident lasts, or lasted, since it was opened."""
    return (incident.resolved_at or now) - incident.opened_at


def _mean(lengths: Sequence[timedelta]) -> timedelta | None:
    return sum(lengths, timedelta()) / len(lengths) if lengths else None


def _median(lengths: Sequence[timedelta]) -> timedelta | None:
    return timedelta(seconds=median(length.total_seconds() for length in lengths)) if lengths else None
