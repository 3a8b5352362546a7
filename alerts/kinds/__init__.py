"""The kinds of rules: what each asks of its metrics, and how it judges the answers. Pure: no database, no clock."""

from __future__ import annotations

from alerts.kinds.absence import ABSENCE
from alerts.kinds.anomaly import ANOMALY
from alerts.kinds.base import Answer, Ask, Fact, Kind, MetricUse, Verdict, floor_slot
from alerts.kinds.burn_rate import BURN_RATE
from alerts.kinds.change import CHANGE
from alerts.kinds.error_rate import ERROR_RATE
from alerts.kinds.reported import CONDITION, ConditionParameters
from alerts.kinds.states import BUDGET, EXTERNAL, HEALTH, HEARTBEAT, WATCHDOG
from alerts.kinds.threshold import THRESHOLD

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        THRESHOLD,
        ABSENCE,
        CHANGE,
        ANOMALY,
        BUDGET,
        BURN_RATE,
        HEALTH,
        ERROR_RATE,
        HEARTBEAT,
        CONDITION,
        EXTERNAL,
        WATCHDOG,
    )
}

__all__ = ["KINDS", "Answer", "Ask", "ConditionParameters", "Fact", "Kind", "MetricUse", "Verdict", "floor_slot"]
