"""The webhook action through a real receiver on loopback: signed, with one id over all attempts, never off the path."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.channels.webhook import new_secret
from alerts.models import AutomationRun
from alerts.services import automation
from alerts.tests import services_of_others as services
from alerts.tests.delivering import channel
from alerts.tests.test_automation import alert, rule
from core.encryption import encrypt
from core.tests.listeners import Reply

pytestmark = pytest.mark.django_db(transaction=True)


def _set_up(now: datetime, url: str, secret: str) -> None:
    config, secrets = {"url": url}, encrypt(json.dumps({"secrets": [secret]}))
    channel(now, "webhook", "hook", config=config, secret=secrets)
    rule(now, action="alerts.webhook", arguments={"channel": "hook", "event": "spend.{{ labels.team }}"})
    alert(now, team="research")


def test_webhook__busy_and_then_there__gets_the_alert_signed_with_one_id(settings: Any) -> None:
    now, secret = datetime.now(UTC), new_secret()
    sink = services.Sink(secret)
    with services.serving(settings, sink):
        sink.queued = [Reply(503)]
        _set_up(now, sink.url, secret)
        automation.run(now)
        first = AutomationRun.objects.get()
        automation.run(now + timedelta(seconds=10))

    run = AutomationRun.objects.get()
    assert (first.outcome, first.detail) == ("pending", "it answered 503")
    assert (run.outcome, run.attempt, run.detail) == ("done", 2, "called “hook”, which answered 200")
    assert sink.refused == []
    (accepted,) = sink.accepted
    assert (accepted["id"], accepted["event"]) == (str(run.pk), "spend.research")
    assert accepted["labels"] == {"alertname": "KeySpend", "team": "research"}


@pytest.mark.parametrize(
    ("url", "reason"), [("http://169.254.169.254/latest", "may not be called"), ("http://127.0.0.1:80/", "may not be")]
)
def test_webhook__to_a_private_address__is_refused_for_good(url: str, reason: str) -> None:
    now = datetime.now(UTC)
    _set_up(now, url, new_secret())

    automation.run(now)

    run = AutomationRun.objects.get()
    assert run.outcome == "failed"
    assert reason in run.detail


def test_webhook__final_refusal__fails_without_another_try(settings: Any) -> None:
    now, sink = datetime.now(UTC), services.Sink(new_secret())
    with services.serving(settings, sink):
        sink.queued = [Reply(404)]
        _set_up(now, sink.url, new_secret())
        automation.run(now)

    assert (AutomationRun.objects.get().outcome, AutomationRun.objects.get().detail) == ("failed", "it answered 404")
