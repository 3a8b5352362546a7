"""What alerts show on the home page and on the page of what is going on now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from django.db.models import Count
from django.urls import reverse
from django.utils import timezone

from alerts.choices import ACTIVE_STATES, SEVERITY_ORDER, AlertState
from alerts.lifecycle import rank
from alerts.matching import as_text
from alerts.models import Alert
from alerts.presentation import labels_text
from alerts.services.silences import current_silences
from core.choices import Severity
from core.ports.panels import Chart, Figure, Panel, Table

SHOWN = 10
URGENT = (Severity.CRITICAL, Severity.HIGH)
Tone = Literal["neutral", "good", "warning", "bad"]


def alerts(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return how many alerts fire by severity, how many nobody has, and the worst of them."""
    counts: dict[tuple[str, str], int] = {
        (row["severity"], row["state"]): row["count"]
        for row in Alert.objects.filter(state__in=ACTIVE_STATES)
        .values("severity", "state")
        .annotate(count=Count("pk"))
        .order_by()
    }
    firing = {severity: counts.get((severity, AlertState.FIRING), 0) for severity in SEVERITY_ORDER}
    taken = sum(count for (_, state), count in counts.items() if state == AlertState.ACKNOWLEDGED)
    figures = [
        Figure(
            "Alerts firing",
            f"{sum(firing.values()):,}",
            _by_severity(firing),
            f"{_list()}?state=firing",
            _tone(firing),
        ),
        Figure("Acknowledged", f"{taken:,}", "somebody has them" if taken else "", f"{_list()}?state=acknowledged"),
    ]
    return [*figures, _worst(now)] if counts else figures


def silences(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return what is silenced now, and until when."""
    held = current_silences(now)
    link = reverse("admin:alerts_silence_changelist")
    figure = Figure("Silences in force", str(len(held)), "" if held else "nothing is hidden", link)
    rows = [
        (
            [as_text(item.matchers), f"{timezone.localtime(item.window.end):%Y-%m-%d %H:%M}"],
            reverse("admin:alerts_silence_change", args=[item.id]),
        )
        for item in sorted(held, key=lambda item: item.window.end)[:SHOWN]
    ]
    return [figure, Table("Silenced", ["What", "Until"], rows, link=link)] if rows else [figure]


def _by_severity(firing: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {severity}" for severity, count in firing.items() if count) or "nothing is wrong"


def _tone(firing: dict[str, int]) -> Tone:
    if any(firing[severity] for severity in URGENT):
        return "bad"
    return "warning" if firing[Severity.MEDIUM] or firing[Severity.LOW] else "good"


def _worst(now: datetime) -> Table:
    """Return the most urgent alerts that nobody has, the newest first of each severity."""
    found: list[Alert] = []
    for severity in SEVERITY_ORDER:
        rows = Alert.objects.filter(state=AlertState.FIRING, severity=severity)
        found += rows.defer("annotations").order_by("-pk")[: SHOWN - len(found)]
        if len(found) >= SHOWN:
            break
    listed = [
        (
            [
                alert.name,
                alert.get_severity_display(),
                labels_text(alert.labels),
                f"{timezone.localtime(alert.starts_at):%Y-%m-%d %H:%M}",
            ],
            reverse("admin:alerts_alert_change", args=[alert.pk]),
        )
        for alert in sorted(found, key=lambda alert: rank(alert.severity))
    ]
    return Table("Firing", ["Alert", "Severity", "Labels", "Since"], listed, link=f"{_list()}?state=firing")


def _list() -> str:
    return reverse("admin:alerts_alert_changelist")


PANELS = (
    Panel("alerts.firing", "Alerts", "alerts.view_alert", alerts, order=30),
    Panel("alerts.silences", "Silences", "alerts.view_silence", silences, order=120),
)
