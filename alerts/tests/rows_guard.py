"""Rows of threat detection and automation for the tests that open every list."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from alerts.models import Alert, AutomationRule, AutomationRun, DetectionRule
from alerts.reports import Report
from alerts.services import intake
from alerts.tests.guarding import told

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)


def _events(count: int) -> None:
    for number in range(count):
        told("login", NOW + timedelta(seconds=number), who=f"user{number}", outcome=("success", "failure")[number % 2])


def _detections(count: int) -> None:
    for _ in range(count):
        word = uuid.uuid4().hex[:12]
        parameters = {"steps": [{"kinds": ["login"]}], "group_by": ["user"]}
        DetectionRule.objects.create(slug=word, name=word, kind="event_count", parameters=parameters)


def _automation() -> AutomationRule:
    return AutomationRule.objects.create(
        name=uuid.uuid4().hex[:12],
        matchers=[{"name": "alertname", "op": "=", "value": "x"}],
        action="core.suspend_key",
        arguments={"key": "{{ labels.api_key }}"},
        created_at=NOW,
    )


def _automations(count: int) -> None:
    for _ in range(count):
        _automation()


def _runs(count: int) -> None:
    for number in range(count):
        labels = {"alertname": uuid.uuid4().hex[:12]}
        intake.record([Report(labels, "high", "test", True, NOW)], now=NOW)
        AutomationRun.objects.create(
            rule=_automation(),
            alert=Alert.objects.get(name=labels["alertname"]),
            outcome=("done", "failed", "dry_run")[number % 3],
            at=NOW,
            due_at=NOW,
        )


ROWS = {
    "alerts.securityevent": _events,
    "alerts.detectionrule": _detections,
    "alerts.automationrule": _automations,
    "alerts.automationrun": _runs,
}
