"""What the alerts app measures: states that rules look at, how the alerting itself goes, and how people keep up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Count, Max, Q

from alerts.choices import ACTIVE_STATES, NotificationStatus
from alerts.kinds.states import EXTERNAL_METRIC, HEALTH_METRIC, HEARTBEAT_METRIC
from alerts.models import Alert, AlertEvent, EvaluationClock, Heartbeat, Incident, Notification
from alerts.services.conditions import SOURCE as CONDITION
from alerts.services.findings import SOURCE as RULE
from alerts.services.watching import SOURCE as WATCH
from core.health import findings
from core.ports.gauges import Gauge
from core.ports.metrics import Labels, Metric, Sample
from core.windows import Window

HEALTH_VALUES = {"ok": Decimal(0), "warning": Decimal(1), "failed": Decimal(2)}
EXTERNAL_SINCE = timedelta(days=30)


def health_status(at: datetime) -> Iterable[Sample]:
    """Run every health check: 0 is well, 1 a warning, 2 failed."""
    return [Sample({"check": finding.name}, HEALTH_VALUES[finding.status]) for finding in findings()]


def heartbeat_silence(at: datetime) -> Iterable[Sample]:
    """Return how long every heartbeat that ever beat has been silent."""
    rows = Heartbeat.objects.order_by("name").values_list("name", "last_beat_at")
    return [Sample({"heartbeat": name}, _seconds(last, at)) for name, last in rows if last is not None]


def external_silence(at: datetime) -> Iterable[Sample]:
    """Return how long alerts that other systems send have not been heard of, by name; a month at most."""
    rows = (
        Alert.objects.exclude(source__in=(RULE, CONDITION, WATCH))
        .filter(Q(resolved_at=None) | Q(resolved_at__gt=at - EXTERNAL_SINCE))
        .order_by()
        .values_list("name")
        .annotate(Max("last_seen_at"))
    )
    return [Sample({"external": name}, _seconds(last, at)) for name, last in rows]


def firing(at: datetime) -> Iterable[Sample]:
    """Return how many alerts fire now, by severity and whether somebody has taken them on."""
    rows = Alert.objects.filter(state__in=ACTIVE_STATES).order_by().values_list("severity", "state")
    return [
        Sample({"severity": severity, "state": state}, Decimal(count))
        for severity, state, count in rows.annotate(Count("pk"))
    ]


def evaluation_lag(at: datetime) -> Iterable[Sample]:
    """Return how far the evaluation of rules is behind, in seconds, for the interval that is furthest behind."""
    rows = EvaluationClock.objects.values_list("interval_seconds", "last_slot")
    lags = [max(timedelta(), at - last - timedelta(seconds=every)) for every, last in rows if last is not None]
    return [Sample({}, Decimal(str(max(lags).total_seconds())))] if lags else []


def notifications(at: datetime) -> Iterable[Sample]:
    """Return how many messages wait, and how many were given up."""
    counted = (NotificationStatus.PENDING, NotificationStatus.DEAD)
    rows = Notification.objects.filter(status__in=counted).order_by().values_list("status").annotate(Count("pk"))
    found = dict(rows)
    return [Sample({"status": str(status)}, Decimal(found.get(status, 0))) for status in counted]


def time_to_acknowledge(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> list[Sample]:
    """Return the mean time from opening to acknowledging, in seconds, of incidents acknowledged in the window."""
    return _mean_times(window, wanted, step_seconds, "acknowledged_at")


def time_to_resolve(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> list[Sample]:
    """Return the mean time from opening to resolving, in seconds, of incidents resolved in the window."""
    return _mean_times(window, wanted, step_seconds, "resolved_at")


def fired(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> list[Sample]:
    """Return how many alerts began to fire in the window, by severity."""
    rows = (
        AlertEvent.objects.filter(kind="firing", at__gte=window.start, at__lt=window.end)
        .order_by()
        .values_list("alert__severity", "at")
    )
    counts: dict[tuple[str, datetime | None], int] = {}
    for severity, at in rows.iterator(2000):
        bucket = _bucket(window, at, step_seconds)
        counts[severity, bucket] = counts.get((severity, bucket), 0) + 1
    found = [
        Sample({"severity": severity}, Decimal(count), at) for (severity, at), count in sorted(counts.items(), key=str)
    ]
    return [sample for sample in found if _is_wanted(sample.labels, wanted)]


def _mean_times(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None, column: str) -> list[Sample]:
    rows = Incident.objects.filter(**{f"{column}__gte": window.start, f"{column}__lt": window.end})
    spent: dict[tuple[str, datetime | None], list[timedelta]] = {}
    for severity, opened, ended in rows.order_by().values_list("severity", "opened_at", column).iterator(2000):
        spent.setdefault((severity, _bucket(window, ended, step_seconds)), []).append(ended - opened)
    found = [
        Sample({"severity": severity}, _mean(times), at) for (severity, at), times in sorted(spent.items(), key=str)
    ]
    return [sample for sample in found if _is_wanted(sample.labels, wanted)]


def _mean(times: Sequence[timedelta]) -> Decimal:
    total = sum(times, timedelta())
    return Decimal(str(total.total_seconds())) / len(times)


def _bucket(window: Window, at: datetime, step_seconds: int | None) -> datetime | None:
    if step_seconds is None:
        return None
    step = timedelta(seconds=step_seconds)
    return window.start + (at - window.start) // step * step


def _is_wanted(labels: Labels, wanted: Sequence[Labels] | None) -> bool:
    return wanted is None or any(all(labels.get(name) == text for name, text in one.items()) for one in wanted)


def _seconds(since: datetime, at: datetime) -> Decimal:
    return Decimal(str(max(timedelta(), at - since).total_seconds()))


def _state(
    name: str, unit: str, description: str, labels: tuple[str, ...], read: Callable[[datetime], Iterable[Sample]]
) -> Metric:
    """Return a metric that is a state as of the end of the window."""

    def at_end(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> Sequence[Sample]:
        return [sample for sample in read(window.end) if _is_wanted(sample.labels, wanted)]

    return Metric(name=name, unit=unit, description=description, labels=labels, read=at_end, kind="state")


METRICS = (
    _state(HEALTH_METRIC, "0 to 2", "Health checks: 0 well, 1 warning, 2 failed.", ("check",), health_status),
    _state(HEARTBEAT_METRIC, "seconds", "Time since each heartbeat beat.", ("heartbeat",), heartbeat_silence),
    _state(EXTERNAL_METRIC, "seconds", "Time since outside alerts were heard of.", ("external",), external_silence),
    _state("alerts.firing", "alerts", "Alerts that fire.", ("severity", "state"), firing),
    _state("alerts.evaluation_lag_seconds", "seconds", "How far rules are behind.", (), evaluation_lag),
    _state("alerts.notifications", "messages", "Messages that wait or were given up.", ("status",), notifications),
    Metric("alerts.fired", "alerts", "Alerts that began to fire.", ("severity",), fired, "sum"),
    Metric(
        "alerts.time_to_acknowledge_seconds", "seconds", "Mean time until incidents are acknowledged.", ("severity",),
        time_to_acknowledge,
    ),
    Metric(
        "alerts.time_to_resolve_seconds", "seconds", "Mean time until incidents are resolved.", ("severity",),
        time_to_resolve,
    ),
)  # fmt: skip

GAUGES = (
    Gauge("agent_factory_alerts_firing", "Alerts that fire.", ("severity", "state"), firing),
    Gauge("agent_factory_alert_evaluation_lag_seconds", "How far rules are behind.", (), evaluation_lag),
    Gauge("agent_factory_notifications", "Messages that wait or were given up.", ("status",), notifications),
)
