"""What the alerts app measures of itself, and the default rules evaluated for real."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from alerts.models import Alert, AlertRule, EvaluationClock, Incident
from alerts.reports import Report
from alerts.services import evaluation, heartbeats, intake
from alerts.tests.ruling import Told, alone, offered, rule
from core.ports.gauges import gauges
from core.ports.metrics import metrics
from core.windows import Window

HOUR = timedelta(hours=1)


def _read(name: str, end: datetime, *, step: int | None = None) -> dict[tuple[str, ...], Decimal | None]:
    samples = metrics.get(name).read(Window(end - HOUR, end), None, step)
    return {tuple(sample.labels.values()): sample.value for sample in samples}


def _report(now: datetime, severity: str, *, active: bool = True, name: str = "Disk") -> None:
    labels = {"alertname": name, "severity": severity}
    intake.record([Report(labels=labels, severity=severity, source="key:x", active=active, starts_at=now)], now=now)


@pytest.mark.django_db
def test_metrics__alerts_fire__are_counted_by_severity_and_state(now: datetime) -> None:
    for severity in ("high", "low"):
        _report(now, severity)

    expected = {("high", "firing"): Decimal(1), ("low", "firing"): Decimal(1)}
    assert _read("alerts.firing", now) == expected
    gauge = gauges.get("agent_factory_alerts_firing")
    assert {tuple(sample.labels.values()): sample.value for sample in gauge.read(now)} == expected


@pytest.mark.django_db
def test_metrics__alerts_that_began__are_counted_by_bucket(now: datetime) -> None:
    _report(now - timedelta(minutes=50), "high")
    _report(now - timedelta(minutes=50), "high", name="Other")
    _report(now - timedelta(minutes=10), "high", name="Third")

    samples = metrics.get("alerts.fired").read(Window(now - HOUR, now), None, 1800)

    assert [(sample.at, sample.value) for sample in samples] == [
        (now - HOUR, Decimal(2)),
        (now - timedelta(minutes=30), Decimal(1)),
    ]


@pytest.mark.django_db
def test_metrics__evaluation_is_behind__says_by_how_much(now: datetime) -> None:
    EvaluationClock.objects.filter(interval_seconds=60).update(last_slot=now - timedelta(minutes=5))

    assert _read("alerts.evaluation_lag_seconds", now) == {(): Decimal("240.0")}


@pytest.mark.django_db
def test_metrics__incidents__have_mean_times(now: datetime) -> None:
    for number, minutes in enumerate((10, 20)):
        opened = now - timedelta(minutes=30)
        acknowledged = opened + timedelta(minutes=minutes)
        Incident.objects.create(
            number=number + 1, title="Pump", severity="high", started_at=opened, opened_at=opened,
            acknowledged_at=acknowledged,
        )  # fmt: skip

    assert _read("alerts.time_to_acknowledge_seconds", now) == {("high",): Decimal(900)}
    assert _read("alerts.time_to_resolve_seconds", now) == {}


@pytest.mark.django_db
def test_metrics__alert_from_outside_falls_silent__is_missed_by_a_rule(now: datetime) -> None:
    alone()
    rule(now, {"alertname": "Disk", "silent_seconds": 300}, name="Prometheus is silent", kind="external")
    _report(now, "info")
    evaluation.run(now + timedelta(minutes=4))
    assert not Alert.objects.filter(source="rule").exists()

    evaluation.run(now + timedelta(minutes=6))

    assert Alert.objects.get(source="rule").labels["external"] == "Disk"


@pytest.mark.django_db
def test_heartbeat__beats_that_overtake_one_another__keep_the_latest(now: datetime) -> None:
    heartbeats.create_heartbeat("nightly", now=now)
    heartbeats.beat("nightly", now=now + HOUR)

    found = heartbeats.beat("nightly", now=now)

    assert (found.last_beat_at, found.beats) == (now + HOUR, 2)


@pytest.mark.django_db(transaction=True)
def test_default_rules__evaluated_for_real__only_the_watchdog_fires_and_none_fails(now: datetime) -> None:
    assert evaluation.run(now) == AlertRule.objects.exclude(kind="condition").count()

    assert list(AlertRule.objects.exclude(last_error="").values_list("slug", "last_error")) == []
    firing = set(Alert.objects.filter(state="firing").values_list("name", flat=True))
    assert firing == {"Watchdog"}


@pytest.mark.django_db
def test_rule__many_agents_and_one_metric__is_one_read(now: datetime) -> None:
    alone()
    with offered(Told()) as told:
        told.say(**{f"agent{number}": 20 for number in range(500)})
        rule(now)

        evaluation.run(now)

    assert (Alert.objects.count(), len(told.reads)) == (500, 1)
