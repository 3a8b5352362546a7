"""Security events for tests of detection: told as the platform tells them, at a time of the test's choosing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from alerts.models import Alert, SecurityEvent
from alerts.services import detection
from core.context import Actor, Context, acting
from core.security import record_security_event

HOME, ABROAD = "198.51.100.7", "203.0.113.9"


def told(
    kind: str,
    at: datetime,
    *,
    who: str = "maria",
    address: str = HOME,
    outcome: Any = "success",
    key: str = "",
    count: int = 1,
    **data: Any,
) -> SecurityEvent:
    """Return one event as it is kept."""
    actor = Actor("api_key", f"id-{key}", key) if key else Actor("user", f"id-{who}", who)
    with acting(Context(actor=actor, channel="api" if key else "admin", address=address, request_id="req-1")):
        assert record_security_event(kind, now=at, outcome=outcome, api_key=key, count=count, data=data)
    return SecurityEvent.objects.latest("pk")


def failures(count: int, at: datetime, *, every: timedelta = timedelta(seconds=20), **more: Any) -> None:
    """Tell of failed sign-ins, the last of them at `at`."""
    for number in range(count):
        told("login", at - every * (count - 1 - number), outcome="failure", **more)


def fired(now: datetime) -> dict[str, dict[str, str]]:
    """Look once, and return the labels of the alerts that are open, by rule."""
    detection.run(now)
    rows = Alert.objects.filter(source="alerts.detection", resolved_at=None)
    return {row.name: {k: v for k, v in row.labels.items() if k not in ("alertname", "detection")} for row in rows}
