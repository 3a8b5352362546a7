"""Capacity: resources are described, measured each hour, and forecast each day; a limit in sight is a condition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.urls import reverse

from core import audit
from core.errors import Conflict, FieldError, Invalid, Missing
from core.ports.conditions import Condition, Severity, clear_condition, raise_condition
from core.ports.metrics import Sample, metrics
from core.windows import Window
from slas import demand
from slas.capacity import Exhaustion, exhaustion
from slas.choices import DailyStatistic
from slas.models import CapacityForecast, CapacityResource, CapacitySample
from slas.periods import HOUR, floored

SOURCE = "slas.capacity"
# How far back a metric that keeps buckets is read when a resource is new, and what is kept for its demand.
BACKFILL = timedelta(days=90)
HISTORY_DAYS = 400

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ResourceTerms:
    """What a resource is to be; `limit` is in the metric's unit, `headroom_ratio` a share of it."""

    slug: str
    name: str
    metric: str
    limit: Decimal
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    statistic: str = DailyStatistic.P95
    headroom_ratio: Decimal = Decimal("0.2")
    lead_days: int = 30
    enabled: bool = True


def check_terms(*, metric: str, labels: Mapping[str, str], limit: Decimal, headroom_ratio: Decimal) -> None:
    """Raise Invalid when the metric or a label of it is not known here, or a number makes no sense."""
    errors = []
    if metric not in metrics:
        known = ", ".join(sorted(offer.name for offer in metrics))
        errors.append(FieldError("/metric", "unknown_metric", f"There is no metric {metric!r}. Known: {known}."))
    elif unknown := sorted(set(labels) - set(metrics.get(metric).labels)):
        known = ", ".join(metrics.get(metric).labels) or "none"
        detail = f"{metric} has no label {', '.join(unknown)}. Known: {known}."
        errors.append(FieldError("/labels", "unknown_label", detail))
    if not limit > 0:
        errors.append(FieldError("/limit", "min_value", "The limit is more than 0."))
    if not 0 <= headroom_ratio < 1:
        errors.append(FieldError("/headroom_ratio", "out_of_range", "The headroom is a share from 0 to below 1."))
    if errors:
        raise Invalid("the resource cannot be measured like this", errors=errors)


@transaction.atomic
def create_resource(terms: ResourceTerms, *, now: datetime) -> CapacityResource:
    """Make a resource; raises Invalid for terms that make no sense and Conflict for a slug that is taken."""
    _check(terms, None)
    resource = CapacityResource.objects.create(created_at=now, **asdict(terms))
    audit.record("capacity_resource.added", resource, now=now, after=asdict(terms))
    return resource


@transaction.atomic
def change_resource(resource_id: UUID, changes: Mapping[str, object], *, now: datetime) -> CapacityResource:
    """Change what is named; another metric or label forgets what was measured of the former one."""
    resource = _locked(resource_id)
    before = {name: getattr(resource, name) for name in ResourceTerms.__dataclass_fields__}
    terms = ResourceTerms(**{**before, **changes})
    _check(terms, resource)
    for name, value in asdict(terms).items():
        setattr(resource, name, value)
    if (before["metric"], before["labels"]) != (terms.metric, dict(terms.labels)):
        forget_measurements(resource)
    resource.save()
    audit.record("capacity_resource.changed", resource, now=now, before=before, after=asdict(terms))
    if not resource.enabled:
        clear_condition(_condition(resource, "info", ""), now=now)
    return resource


@transaction.atomic
def delete_resource(resource_id: UUID, *, now: datetime) -> None:
    """Delete a resource with what was measured of it; its condition is cleared."""
    resource = _locked(resource_id)
    audit.record("capacity_resource.deleted", resource, now=now, before={"name": resource.name})
    clear_condition(_condition(resource, "info", ""), now=now)
    resource.delete()


def forget_measurements(resource: CapacityResource) -> None:
    """Delete samples and forecasts of a resource whose metric became another; the caller saves the resource."""
    resource.samples.all().delete()
    resource.forecasts.all().delete()
    resource.measured_until = None
    resource.last_error = ""


def measure_all(*, now: datetime) -> int:
    """Read the metric of every enabled resource up to the last whole hour; returns how many got new readings.

    One whose metric fails keeps the reason and does not hold up the others.
    """
    return sum(measure_one(resource, now=now) for resource in CapacityResource.objects.filter(enabled=True))


def measure_one(resource: CapacityResource, *, now: datetime) -> bool:
    """Read a resource's metric up to the last whole hour; False when nothing new came of it."""
    until = floored(now, HOUR)
    since = resource.measured_until or until - BACKFILL
    if since >= until:
        return False
    try:
        samples = metrics.get(resource.metric).read(Window(since, until), [dict(resource.labels)], 3600)
        readings = _readings(samples, until)
    except Exception as error:  # noqa: BLE001  # whatever a metric raises is kept for the page
        log.warning("capacity_not_measured", resource=resource.slug, reason=str(error))
        CapacityResource.objects.filter(pk=resource.pk).update(last_error=f"{type(error).__name__}: {error}"[:500])
        return False
    return _keep(resource, readings, until)


def forecast_all(*, now: datetime) -> int:
    """Write today's forecast of every enabled resource and raise or clear its condition; returns how many have one."""
    return sum(forecast_one(resource, now=now) for resource in CapacityResource.objects.filter(enabled=True))


def forecast_one(resource: CapacityResource, *, now: datetime) -> bool:
    """Write today's forecast of one resource from its complete days; False with fewer than seven of them.

    Safe to run twice and at once: the day's row is one, and written with what the samples say.
    """
    today = now.astimezone(settings.ORGANISATION_ZONE).date()
    daily = daily_values(resource, today)
    ahead = exhaustion(daily, limit=float(resource.limit), headroom=float(resource.headroom_ratio))
    with transaction.atomic():
        if ahead is None:
            clear_condition(_condition(resource, "info", ""), now=now)
            return False
        _write(resource, today, ahead, demand.forecast(daily))
        _tell(resource, ahead, today, now=now)
    return True


def daily_values(resource: CapacityResource, today: date) -> dict[date, float]:
    """Return the chosen statistic of each complete day that was measured; for sums, a day between without any is 0."""
    since = today - timedelta(days=HISTORY_DAYS)
    rows = resource.samples.filter(day__gte=since, day__lt=today).order_by("day")
    found: dict[date, float] = dict(rows.values_list("day", resource.statistic))
    if resource.statistic != DailyStatistic.TOTAL or not found:
        return found
    first, last = min(found), today - timedelta(days=1)
    every = (first + timedelta(days=step) for step in range((last - first).days + 1))
    return {day: found.get(day, 0.0) for day in every}


def _check(terms: ResourceTerms, resource: CapacityResource | None) -> None:
    check_terms(metric=terms.metric, labels=terms.labels, limit=terms.limit, headroom_ratio=terms.headroom_ratio)
    taken = CapacityResource.objects.filter(slug=terms.slug)
    if (taken if resource is None else taken.exclude(pk=resource.pk)).exists():
        raise Conflict(f"there is a resource {terms.slug!r} already")


def _locked(resource_id: UUID) -> CapacityResource:
    found = CapacityResource.objects.select_for_update().filter(pk=resource_id).first()
    if found is None:
        raise Missing("there is no such resource")
    return found


def _readings(samples: Sequence[Sample], until: datetime) -> dict[datetime, float]:
    """Return the value of each hour; a metric without buckets has one, that of the hour that ended."""
    found: dict[datetime, float] = {}
    for sample in samples:
        hour = floored(sample.at, HOUR) if sample.at else until - HOUR
        if sample.value is None:
            continue
        if hour in found:
            raise ValueError("the metric gives several series; name more labels, so that one remains")
        found[hour] = float(sample.value)
    return found


def _keep(resource: CapacityResource, readings: Mapping[datetime, float], until: datetime) -> bool:
    """Write the readings unless another worker has done so: the hour measured up to decides."""
    by_day: dict[date, dict[str, float]] = {}
    for hour, value in sorted(readings.items()):
        day = hour.astimezone(settings.ORGANISATION_ZONE).date()
        by_day.setdefault(day, {})[hour.astimezone(UTC).strftime("%Y-%m-%dT%H")] = value
    with transaction.atomic():
        mine = CapacityResource.objects.filter(pk=resource.pk, measured_until=resource.measured_until).update(
            measured_until=until, last_error=""
        )
        if not mine:
            return False
        for day, hours in by_day.items():
            _add(resource, day, hours)
    return bool(by_day)


def _add(resource: CapacityResource, day: date, hours: Mapping[str, float]) -> None:
    known = CapacitySample.objects.filter(resource=resource, day=day).values_list("readings", flat=True).first() or {}
    whole = {**known, **hours}
    CapacitySample.objects.update_or_create(
        resource=resource, day=day, defaults={"readings": whole, **_statistics(whole.values())}
    )


def _statistics(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "p50": _quantile(ordered, 0.5),
        "p95": _quantile(ordered, 0.95),
        "maximum": ordered[-1],
        "total": sum(ordered),
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Interpolate between the neighbours (Hyndman and Fan, 1996, definition 7)."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _write(resource: CapacityResource, today: date, ahead: Exhaustion, coming: demand.Demand | None) -> None:
    line = ahead.trend
    CapacityForecast.objects.update_or_create(
        resource=resource,
        day=today,
        defaults={
            "level": line.level,
            "slope": line.slope,
            "slope_low": line.slope_low,
            "slope_high": line.slope_high,
            "days_earliest": ahead.earliest,
            "days_expected": ahead.expected,
            "days_latest": ahead.latest,
            "history_days": line.days,
            "demand": _plain(coming) if coming else {},
        },
    )


def _plain(coming: demand.Demand) -> dict[str, object]:
    days = [{**asdict(day), "day": day.day.isoformat()} for day in coming.days]
    return {"method": coming.method, "days": days, "back_tests": [asdict(test) for test in coming.back_tests]}


def _tell(resource: CapacityResource, ahead: Exhaustion, today: date, *, now: datetime) -> None:
    if ahead.earliest is None or ahead.earliest > resource.lead_days:
        clear_condition(_condition(resource, "info", ""), now=now)
        return
    severity: Severity = "medium"
    when = f"may be reached as soon as {_day(today, ahead.earliest)}"
    if ahead.trend.level >= float(resource.limit):
        severity, when = "critical", "is reached"
    elif ahead.expected is not None and ahead.expected <= resource.lead_days:
        severity = "high"
        when = "is used up" if not ahead.expected else f"is expected to be reached on {_day(today, ahead.expected)}"
    usable = "The limit" if severity == "critical" else "The limit less its headroom"
    raise_condition(_condition(resource, severity, f"{resource.name}: {usable.lower()} {when}"), now=now)


def _day(today: date, days: float) -> str:
    return (today + timedelta(days=int(days))).isoformat()


def _condition(resource: CapacityResource, severity: Severity, summary: str) -> Condition:
    return Condition(
        source=SOURCE,
        key=str(resource.pk),
        severity=severity,
        summary=summary or f"{resource.name}: capacity is in order",
        labels={"resource": resource.slug, "metric": resource.metric},
        link=reverse("admin:slas_capacityresource_change", args=[resource.pk]),
    )
