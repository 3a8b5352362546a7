"""Ready-made indicators and objectives for AI agents: what to measure, when it is good, and a target to begin with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from slas.choices import SliKind


@dataclass(frozen=True, slots=True)
class Template:
    """One ready-made indicator with its objective over 30 rolling days; `event` is what one event looks like."""

    key: str
    title: str
    description: str
    kind: str
    target: Decimal
    event: Mapping[str, object]
    operator: str = ""
    threshold: Decimal | None = None
    unit: str = ""


TEMPLATES = (
    Template(
        "task_success", "Task success", "Tasks that the agent finished as asked, of all tasks it was given.",
        SliKind.RATIO, Decimal("0.95"), {"good": True},
    ),
    Template(
        "tool_call_success", "Tool-call success", "Calls of tools that answered without an error, of all calls.",
        SliKind.RATIO, Decimal("0.99"), {"good": True},
    ),
    Template(
        "time_to_first_token", "Time to first token", "Answers whose first token came within two seconds.",
        SliKind.LATENCY, Decimal("0.95"), {"value": 640}, "lte", Decimal(2000), "ms",
    ),
    Template(
        "latency", "Latency", "Tasks that were finished within ten seconds.",
        SliKind.LATENCY, Decimal("0.95"), {"value": 4200}, "lte", Decimal(10_000), "ms",
    ),
    Template(
        "cost_per_success", "Cost per success", "Finished tasks that cost half a unit of the base currency at most.",
        SliKind.THRESHOLD, Decimal("0.9"), {"value": "0.12"}, "lte", Decimal("0.5"), "base currency",
    ),
    Template(
        "human_handoff", "No hand-off to a human", "Tasks that the agent finished without handing them to a person.",
        SliKind.RATIO, Decimal("0.9"), {"good": True},
    ),
    Template(
        "evaluation_score", "Evaluation score", "Answers that an evaluation scored 0.8 or better.",
        SliKind.THRESHOLD, Decimal("0.9"), {"value": "0.91"}, "gte", Decimal("0.8"), "score",
    ),
)  # fmt: skip
BY_KEY = {template.key: template for template in TEMPLATES}
