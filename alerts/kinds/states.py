"""Rules over states of the platform: budgets, health checks, heartbeats, alerts from outside, and the watchdog."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from alerts.kinds.base import Answer, Ask, Fact, Kind, MetricUse, Name, Span, Verdict

BUDGET_METRIC = "costs.budget.usage_ratio"
HEALTH_METRIC = "platform.health_status"
HEARTBEAT_METRIC = "alerts.heartbeat_silence_seconds"
EXTERNAL_METRIC = "alerts.external_silence_seconds"
STATE_SECONDS = 60
FAILED, WARNING = Decimal(2), Decimal(1)
Silence = Annotated[int, Meta(ge=10, le=90 * 86_400)]


class BudgetParameters(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Spent is at least `threshold` of the limit (0.8 is 80 %): of the named budgets (by id), or of any."""

    threshold: Annotated[Decimal, Meta(extra={"gt": 0, "le": 1000})] = Decimal("0.8")
    budgets: Annotated[list[Name], Meta(max_length=1000)] = []


class HealthParameters(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One of the named health checks, or any, is as bad as `at_least`."""

    checks: Annotated[list[Name], Meta(max_length=100)] = []
    at_least: Literal["warning", "failed"] = "failed"


class HeartbeatParameters(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One of the named heartbeats, or any that ever beat, was silent for longer than `silent_seconds`."""

    heartbeats: Annotated[list[Name], Meta(max_length=1000)] = []
    silent_seconds: Silence = 600


class ExternalParameters(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Another system's alert `alertname` was not heard of for longer than `silent_seconds`.

    For the watchdog of a Prometheus that sends to this platform: an alert that always fires there, and whose silence
    means that nothing at all arrives from it any more. It has to have been heard of once.
    """

    alertname: Name
    silent_seconds: Silence = 600


class WatchdogParameters(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Always wrong: who no longer hears of it knows that alerting has stopped."""


def _ask(metric: str) -> Sequence[Ask]:
    return (Ask(metric, Span(STATE_SECONDS), None),)


def _named(answers: Sequence[Answer], label: str, names: Sequence[str]) -> Iterator[tuple[Fact, Decimal]]:
    wanted = frozenset(names)
    for labels, value in answers[0].items():
        if not wanted or dict(labels).get(label) in wanted:
            yield labels, value


def judge_budget(parameters: BudgetParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Compare how full each budget is."""
    for labels, ratio in _named(answers, "budget", parameters.budgets):
        yield Verdict(labels, ratio >= parameters.threshold, ratio)


def judge_health(parameters: HealthParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Compare the state of each check: 0 is well, 1 a warning, 2 failed."""
    worst = FAILED if parameters.at_least == "failed" else WARNING
    for labels, value in _named(answers, "check", parameters.checks):
        yield Verdict(labels, value >= worst, value)


def judge_heartbeat(parameters: HeartbeatParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Compare how long each has been silent."""
    for labels, silence in _named(answers, "heartbeat", parameters.heartbeats):
        yield Verdict(labels, silence > parameters.silent_seconds, silence)


def judge_external(parameters: ExternalParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Compare how long the alert has not been heard of."""
    for labels, silence in _named(answers, "external", [parameters.alertname]):
        yield Verdict(labels, silence > parameters.silent_seconds, silence)


def judge_watchdog(parameters: WatchdogParameters, answers: Sequence[Answer]) -> Iterator[Verdict]:
    """Always wrong."""
    yield Verdict((), True)


BUDGET = Kind(
    name="budget",
    purpose="A budget is used up to a share of its limit.",
    parameters=BudgetParameters,
    asks=lambda _: _ask(BUDGET_METRIC),
    judge=judge_budget,
    uses=lambda _: (MetricUse("", BUDGET_METRIC),),
    example={"threshold": "0.8"},
)
HEALTH = Kind(
    name="health",
    purpose="A health check of the platform fails.",
    parameters=HealthParameters,
    asks=lambda _: _ask(HEALTH_METRIC),
    judge=judge_health,
    uses=lambda _: (MetricUse("", HEALTH_METRIC),),
    example={"checks": ["database"], "at_least": "failed"},
)
HEARTBEAT = Kind(
    name="heartbeat",
    purpose="An outside system has not been heard of for too long.",
    parameters=HeartbeatParameters,
    asks=lambda _: _ask(HEARTBEAT_METRIC),
    judge=judge_heartbeat,
    uses=lambda _: (MetricUse("", HEARTBEAT_METRIC),),
    example={"heartbeats": ["nightly-import"], "silent_seconds": 90000},
)
EXTERNAL = Kind(
    name="external",
    purpose="Another system's alert has not been heard of for too long.",
    parameters=ExternalParameters,
    asks=lambda _: _ask(EXTERNAL_METRIC),
    judge=judge_external,
    uses=lambda _: (MetricUse("", EXTERNAL_METRIC),),
    example={"alertname": "Watchdog", "silent_seconds": 600},
)
WATCHDOG = Kind(
    name="watchdog",
    purpose="Always fires: its silence means that alerting has stopped.",
    parameters=WatchdogParameters,
    judge=judge_watchdog,
    needs_data=False,
)
