"""What tests of rules need: a metric to be told values of, rules over it, and what became of its alerts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from alerts.models import Alert, AlertRule
from alerts.services.rule_terms import RuleTerms
from alerts.services.rules import create_rule
from core.ports.metrics import Labels, Metric, Sample, metrics
from core.windows import Window

NAME = "test.value"


@dataclass
class Told:
    """A metric that says what a test tells it, and counts how often it was asked."""

    name: str = NAME
    labels: tuple[str, ...] = ("agent",)
    values: dict[str, Decimal | None] = field(default_factory=dict)
    error: Exception | None = None
    kind: Literal["sum", "value", "state"] = "sum"
    reads: list[tuple[Window, int]] = field(default_factory=list)

    def say(self, **values: Any) -> None:
        """Set the value of agents by name."""
        self.values |= {agent: Decimal(str(value)) for agent, value in values.items()}

    def read(self, window: Window, wanted: Sequence[Labels] | None, step: int | None) -> list[Sample]:
        """Answer like any metric."""
        self.reads.append((window, 0 if wanted is None else len(wanted)))
        if self.error is not None:
            raise self.error
        agents = self.values if wanted is None else [labels["agent"] for labels in wanted]
        return [Sample({"agent": name}, self.values[name]) for name in agents if name in self.values]


@contextmanager
def offered(told: Told) -> Iterator[Told]:
    """Offer a metric for the length of the block, although the port is closed."""
    metric = Metric(told.name, "things", "A value told by a test.", told.labels, told.read, told.kind)
    metrics._items[told.name] = metric
    try:
        yield told
    finally:
        del metrics._items[told.name]


def rule(now: datetime, parameters: Mapping[str, object] | None = None, **terms: Any) -> AlertRule:
    """Make a rule: over 10 for each agent, unless told otherwise."""
    usual = {"metric": NAME, "comparison": ">", "threshold": "10", "window_seconds": 60}
    given = {"name": "Too much", "kind": "threshold", "severity": "high", **terms}
    return create_rule(RuleTerms(parameters=usual if parameters is None else parameters, **given), now=now)


def alone() -> None:
    """Leave no rule but those the test makes."""
    AlertRule.objects.all().delete()


def states(rule: AlertRule) -> list[tuple[str, str]]:
    """Return the agent and state of each alert of a rule, in the order in which they were opened."""
    rows = Alert.objects.filter(rule=rule).order_by("starts_at", "id")
    return [(alert.labels.get("agent", ""), alert.state) for alert in rows]
