"""The message about a group: what is new, what is over, and no more of it than a person reads."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from alerts.choices import AlertState
from alerts.lifecycle import is_flapping, rank, worst
from alerts.messages import Message, MessageAlert, Status
from alerts.models import Alert, AlertGroup
from alerts.notices import Decision
from alerts.services.flushing.standing import GroupStanding
from alerts.services.routetree import labels_of
from alerts.tree import Branch

# Of a storm, the worst and newest are listed and the rest is counted.
MOST_LISTED = 50
LINES = 10


def message_of(standing: GroupStanding, branch: Branch, decision: Decision) -> Message:
    """Return what a channel is told of a group by this decision."""
    firing = [alert for name, alert in standing.firing.items() if name in decision.told]
    over = [standing.over[name] for name in decision.over if name in standing.over]
    firing.sort(key=lambda alert: (rank(alert.severity), -alert.starts_at.timestamp()))
    wrong = [_wrong(alert) for alert in firing[:MOST_LISTED]]
    listed = [*wrong, *(_over(*item) for item in over[: MOST_LISTED - len(wrong)])]
    severity = worst([alert.severity for alert in firing or [alert for alert, _ in over]] or [standing.group.severity])
    return Message(
        title=_title(standing.group, firing, len(decision.over), severity),
        status="firing" if firing else "resolved",
        severity=severity,
        text=_text(firing, [alert for alert, _ in over], decision),
        group_labels=standing.group.labels,
        common_annotations=_common([alert.annotations for alert in firing or [alert for alert, _ in over]]),
        alerts=tuple(listed),
        link=settings.PUBLIC_URL + reverse("admin:alerts_alertgroup_change", args=[standing.group.pk]),
        runbook=next((alert.annotations["runbook_url"] for alert in firing if "runbook_url" in alert.annotations), ""),
        alert_count=len(firing) + len(decision.over),
    )


def _title(group: AlertGroup, firing: list[Alert], over_count: int, severity: str) -> str:
    name = group.labels.get("alertname") or (firing[0].name if len(firing) == 1 else str(group))
    if not firing:
        return f"Resolved: {name}"
    counts = f"{len(firing):,} firing" + (f", {over_count:,} resolved" if over_count else "")
    return f"{severity.capitalize()}: {name} ({counts})"


def _text(firing: list[Alert], over: list[Alert], decision: Decision) -> str:
    lines = ["Still firing; nobody has acknowledged all of it."] if decision.repeated else []
    lines += _flapping(firing)
    lines += [f"{alert.severity.capitalize()}: {_sentence(alert)}" for alert in firing[:LINES]]
    if len(firing) > LINES:
        lines.append(f"… and {len(firing) - LINES:,} more.")
    if over:
        lines += [f"Resolved: {_sentence(alert)}" for alert in over[:LINES]]
    if len(over) > LINES:
        lines.append(f"… and {len(over) - LINES:,} more are resolved.")
    return "\n".join(lines)


def _flapping(firing: list[Alert]) -> list[str]:
    count = sum(is_flapping(alert.flaps, settings.ALERTS_FLAP_CHANGES) for alert in firing)
    if not count:
        return []
    what = "This alert changes" if len(firing) == 1 else f"{count:,} of these alerts change"
    return [f"{what} back and forth; you hear of it again once it is quiet for {settings.ALERTS_FLAP_MINUTES} minutes."]


def _sentence(alert: Alert) -> str:
    text = str(alert.annotations.get("summary") or alert.annotations.get("description") or alert.name)
    return text if len(text) <= 300 else text[:299] + "…"


def _common(annotations: list[Mapping[str, str]]) -> dict[str, str]:
    """Return the annotations that all alerts agree in."""
    if not annotations:
        return {}
    first, rest = annotations[0], annotations[1:]
    return {name: value for name, value in first.items() if all(item.get(name) == value for item in rest)}


def _wrong(alert: Alert) -> MessageAlert:
    return _shown(alert, "acknowledged" if alert.state == AlertState.ACKNOWLEDGED else "firing", None)


def _over(alert: Alert, at: datetime) -> MessageAlert:
    return _shown(alert, "resolved", at)


def _shown(alert: Alert, status: Status, ends_at: datetime | None) -> MessageAlert:
    return MessageAlert(
        labels=labels_of(alert),
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=ends_at,
        fingerprint=alert.fingerprint,
        generator_url=alert.generator_url,
        status=status,
    )
