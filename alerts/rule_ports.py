"""What rules and their passes offer: schedules, metrics, gauges, a health check, jobs; and what they keep in place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils import timezone

from core.ports.gauges import gauges
from core.ports.health import HealthCheck, HealthResult, health_checks
from core.ports.jobs import JobContext, JobKind, JobResult, job_kinds
from core.ports.metrics import metrics
from core.ports.schedules import Schedule, schedules

NIGHTLY = "20 4 * * *"


def register_rules(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
    from alerts.metrics import GAUGES, METRICS

    for schedule in _schedules():
        schedules.register(schedule)
    for metric in METRICS:
        metrics.register(metric)
    for gauge in GAUGES:
        gauges.register(gauge)
    job_kinds.register(JobKind("alerts.backtest", "Back-test a rule", backtest, "alerts.view_alertrule"))
    health_checks.register(HealthCheck("alert_sweeps", "Every pass of the alerts is on time.", check_sweeps))
    post_migrate.connect(keep_in_place, sender=app, dispatch_uid="alerts.rules")


def backtest(context: JobContext, *, rule: str, days: int) -> JobResult:
    """Replay a rule over its past and keep what came of it as a file; safe to start over, it changes nothing."""
    import json

    from django.urls import reverse

    from alerts.models import AlertRule
    from alerts.services.rule_terms import metrics_of
    from alerts.services.rules import terms_of_rule
    from alerts.services.trials import backtest as replay
    from alerts.services.trials.telling import as_json, sentence

    found = AlertRule.objects.select_related("runbook").get(pk=rule)
    result = replay(
        terms_of_rule(found),
        now=timezone.now(),
        days=days,
        known_metrics=metrics_of(found.kind, found.parameters),
        progress=context.progress,
    )
    context.file("backtest.json").write_text(json.dumps(as_json(result), indent=1), encoding="utf-8")
    link = reverse("admin:alerts_alertrule_change", args=[found.pk])
    return JobResult(f"{found.name}: {sentence(result)}", "backtest.json", link)


def check_sweeps() -> HealthResult:
    """Say which passes have stopped."""
    from alerts.services import watching

    return watching.check_sweeps()


def keep_in_place(*, using: str, **_: Any) -> None:
    """After every migration and flush: the default rules, and a row for every pass."""
    from alerts.models import AlertRule
    from alerts.services import rule_defaults, watching

    if AlertRule._meta.db_table not in connections[using].introspection.table_names():
        return
    now = timezone.now()
    rule_defaults.keep_defaults(now=now)
    watching.keep_states(now=now)


def _schedules() -> list[Schedule]:
    """Return one schedule for each pass; in the embedded mode one for all, because there a message is a file."""
    from alerts.sweeps import SWEEPS

    if not settings.REDIS_URL:
        often = min(sweep.every for sweep in SWEEPS.values())
        return [Schedule("alerts.sweep", "alerts.tasks.sweep", "Runs the passes of the alerts.", every=often)]
    return [
        Schedule(
            f"alerts.{sweep.name}",
            f"alerts.tasks.{sweep.name}",
            sweep.description,
            every=None if sweep.every >= timedelta(days=1) else sweep.every,
            crontab=NIGHTLY if sweep.every >= timedelta(days=1) else "",
        )
        for sweep in SWEEPS.values()
    ]
