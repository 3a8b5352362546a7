"""What a status page says: only what people put on it, and the state and bars of what it names.

A constant number of queries, whatever is on the page. What has no data is said to have none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q

from core.windows import Window, calendar_period
from slas.buckets import EMPTY, Counts, counts
from slas.buckets.exclusions import spans
from slas.choices import Impact, IncidentStage
from slas.credits import shown
from slas.models import SloSnapshot, StatusComponent, StatusIncident, StatusMaintenance, StatusPage
from slas.periods import floored

DAYS = 90
RECENT = timedelta(minutes=10)
INCIDENT_DAYS = timedelta(days=14)
AHEAD = timedelta(days=30)
ORDER = {value: rank for rank, value in enumerate(Impact.values)}
OVERALL = {
    Impact.NO_DATA: "There is no recent data",
    Impact.OPERATIONAL: "All systems are operational",
    Impact.MAINTENANCE: "Maintenance is under way",
    Impact.DEGRADED: "Some systems are degraded",
    Impact.PARTIAL: "Some systems are down",
    Impact.MAJOR: "There is a major outage",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of a component: `tone` is none, good, fair or bad; none is a day without data, never a good one."""

    day: date
    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownComponent:
    """A component as the public sees it."""

    slug: str
    name: str
    description: str
    section: str
    state: str
    label: str
    uptime: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class ShownUpdate:
    """One update of an incident."""

    stage: str
    label: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ShownIncident:
    """An incident as the public sees it."""

    key: str
    title: str
    impact: str
    label: str
    stage: str
    started_at: datetime
    resolved_at: datetime | None
    components: Sequence[str]
    updates: Sequence[ShownUpdate]


@dataclass(frozen=True, slots=True)
class ShownMaintenance:
    """One time of a scheduled maintenance."""

    title: str
    text: str
    start: datetime
    end: datetime
    components: Sequence[str]
    running: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A whole page, as of a whole minute."""

    slug: str
    title: str
    description: str
    time_zone: str
    as_of: datetime
    state: str
    summary: str
    components: Sequence[ShownComponent]
    open_incidents: Sequence[ShownIncident]
    past_incidents: Sequence[ShownIncident]
    maintenance: Sequence[ShownMaintenance]

    @property
    def sections(self) -> list[tuple[str, list[ShownComponent]]]:
        """The components under their headings, in order."""
        found: dict[str, list[ShownComponent]] = {}
        for component in self.components:
            found.setdefault(component.section, []).append(component)
        return list(found.items())


@dataclass(slots=True)
class _Facts:
    """What was read for a page."""

    now: datetime
    today: Mapping[UUID, tuple[date, Window]] = field(default_factory=dict)
    measured: Mapping[tuple[UUID, Window], Counts] = field(default_factory=dict)
    days: Mapping[UUID, Mapping[date, SloSnapshot]] = field(default_factory=dict)
    incidents: Sequence[StatusIncident] = ()
    maintenance: Sequence[ShownMaintenance] = ()

    @property
    def recent(self) -> Window:
        """The minutes that say how it stands now; the one under way is not over and not asked."""
        end = floored(self.now)
        return Window(end - RECENT, end)


def build(page: StatusPage, *, now: datetime) -> Shown:
    """Return a page as the public sees it at an instant."""
    components = list(page.components.select_related("slo__sli").order_by("position", "pk"))
    facts = _read(page, components, now)
    lines = [_component(component, facts) for component in components]
    known = [line.state for line in lines if line.state != Impact.NO_DATA]
    impacts = [*known, *(row.impact for row in facts.incidents if row.resolved_at is None)]
    state = max(impacts, key=ORDER.__getitem__, default=Impact.NO_DATA.value)
    incidents = [_incident(row) for row in facts.incidents]
    return Shown(
        slug=page.slug,
        title=page.title,
        description=page.description,
        time_zone=page.time_zone,
        as_of=floored(now),
        state=state,
        summary=OVERALL[Impact(state)],
        components=lines,
        open_incidents=[row for row in incidents if row.resolved_at is None],
        past_incidents=[row for row in incidents if row.resolved_at is not None],
        maintenance=facts.maintenance,
    )


def _read(page: StatusPage, components: Sequence[StatusComponent], now: datetime) -> _Facts:
    facts = _Facts(now)
    slos = {row.slo.pk: row.slo for row in components if row.slo is not None}
    facts.today = {key: _today(slo.time_zone, now) for key, slo in slos.items()}
    slis = {slo.sli_id for slo in slos.values() if slo.sli_id is not None}
    windows = {facts.recent, *(window for _, window in facts.today.values())}
    facts.measured = counts(sorted(slis), sorted(windows, key=lambda item: item.start))
    facts.days = _days(list(slos), now)
    since = Q(resolved_at=None) | Q(resolved_at__gte=now - INCIDENT_DAYS)
    told = page.incidents.filter(since, published_at__isnull=False, dismissed_at=None)
    facts.incidents = list(told.prefetch_related("components", "updates").order_by("-started_at", "-pk"))
    facts.maintenance = list(_maintenance(page, now))
    return facts


def _today(zone: str, now: datetime) -> tuple[date, Window]:
    local = ZoneInfo(zone)
    day = calendar_period("daily", now, local)
    return now.astimezone(local).date(), Window(day.start, max(day.start, floored(now)))


def _days(slos: Sequence[UUID], now: datetime) -> dict[UUID, dict[date, SloSnapshot]]:
    found: dict[UUID, dict[date, SloSnapshot]] = defaultdict(dict)
    since = (now - timedelta(days=DAYS + 1)).date()
    for row in SloSnapshot.objects.filter(slo__in=slos, day__gte=since):
        found[row.slo_id][row.day] = row
    return found


def _component(component: StatusComponent, facts: _Facts) -> ShownComponent:
    state = _state(component, facts)
    bars, uptime = _bars(component, facts)
    return ShownComponent(
        slug=component.slug,
        name=component.name,
        description=component.description,
        section=component.section,
        state=state,
        label=Impact(state).label,
        uptime=uptime,
        bars=bars,
    )


def _state(component: StatusComponent, facts: _Facts) -> str:
    """Return how it does: what people say goes before what is measured, the worse before the better."""
    if component.forced:
        return component.forced
    if any(component.slug in item.components for item in facts.maintenance if item.running):
        return Impact.MAINTENANCE
    told = [
        row.impact
        for row in facts.incidents
        if row.resolved_at is None and component.pk in {item.pk for item in row.components.all()}
    ]
    return max([_measured(component, facts), *told], key=ORDER.__getitem__)


def _measured(component: StatusComponent, facts: _Facts) -> str:
    slo = component.slo
    if slo is None:
        # Only people speak of it: it does well until they say otherwise.
        return Impact.OPERATIONAL
    if slo.sli_id is None:
        return Impact.NO_DATA
    found = facts.measured.get((slo.sli_id, facts.recent), EMPTY)
    if not found.adjusted_total:
        return Impact.NO_DATA
    percent = Fraction(100 * found.adjusted_good, found.adjusted_total)
    if percent < Fraction(component.outage_below):
        return Impact.MAJOR
    return Impact.DEGRADED if percent < Fraction(component.degraded_below) else Impact.OPERATIONAL


def _bars(component: StatusComponent, facts: _Facts) -> tuple[list[Bar], str]:
    """Return ninety days, the oldest first, and the share of good events over those that have data."""
    slo = component.slo
    if slo is None or slo.pk not in facts.today:
        return [], ""
    today, window = facts.today[slo.pk]
    known = facts.days.get(slo.pk, {})
    bars, good, total = [], 0, 0
    for back in range(DAYS - 1, -1, -1):
        day = today - timedelta(days=back)
        counted = _counted(
            known.get(day), facts.measured.get((slo.sli_id, window)) if not back and slo.sli_id else None
        )
        good, total = good + counted[0], total + counted[1]
        bars.append(_bar(day, component, Fraction(slo.target), counted, known.get(day)))
    return bars, f"{shown(Fraction(100 * good, total), 3)} over {DAYS} days" if total else "no data yet"


def _counted(row: SloSnapshot | None, now: Counts | None) -> tuple[int, int]:
    if now is not None:
        return now.adjusted_good, now.adjusted_total
    return (row.good or 0, row.total or 0) if row is not None else (0, 0)


def _bar(
    day: date, component: StatusComponent, target: Fraction, counted: tuple[int, int], row: SloSnapshot | None
) -> Bar:
    good, total = counted
    share = Fraction(good, total) if total else None
    if share is None and row is not None and row.total is None and row.sli is not None:
        # A composite has no events of its own.
        share = Fraction(row.sli)
    if share is None:
        return Bar(day, "none", "no data")
    bad = share * 100 < Fraction(component.outage_below)
    tone = "bad" if bad else "good" if share >= target else "fair"
    return Bar(day, tone, shown(share * 100, 3))


def _incident(row: StatusIncident) -> ShownIncident:
    return ShownIncident(
        key=row.pk.hex,
        title=row.title,
        impact=row.impact,
        label=Impact(row.impact).label,
        stage=row.stage,
        started_at=row.started_at,
        resolved_at=row.resolved_at,
        components=[component.name for component in row.components.all()],
        updates=[
            ShownUpdate(item.stage, IncidentStage(item.stage).label, item.text, item.at) for item in row.updates.all()
        ],
    )


def _maintenance(page: StatusPage, now: datetime) -> Iterable[ShownMaintenance]:
    """Return what is under way and what comes within thirty days, in order of time."""
    ahead = Window(now, now + AHEAD)
    rows = StatusMaintenance.objects.filter(page=page, exclusion__withdrawn_at=None)
    found = []
    for row in rows.select_related("exclusion").prefetch_related("components"):
        begun = Window(min(row.exclusion.starts_at, now), ahead.end)
        for span in spans(row.exclusion, begun):
            if span.end > now:
                slugs = [component.slug for component in row.components.all()]
                found.append(ShownMaintenance(row.title, row.text, span.start, span.end, slugs, now in span))
    return sorted(found, key=lambda item: item.start)
