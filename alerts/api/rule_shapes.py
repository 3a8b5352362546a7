"""What rules look like in the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from alerts.models import AlertRule
from alerts.services.rule_terms import RuleTerms, waits_for
from alerts.services.trials import SHOWN_EPISODES, Trial
from core.api.pagination import PageQuery
from core.money import to_text

Kind = Literal[
    "threshold", "absence", "change", "anomaly", "budget", "burn_rate", "health", "error_rate", "heartbeat",
    "condition", "external", "watchdog",
]  # fmt: skip
Severity = Literal["critical", "high", "medium", "low", "info"]
NoData = Literal["ignore", "resolve", "fire"]
Seconds = Annotated[int, Meta(ge=0, le=30 * 86_400)]
Interval = Annotated[int, Meta(ge=10, le=86_400, description="Evaluated at whole multiples of it.")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Slug = Annotated[str, Meta(max_length=100)]
Parameters = Annotated[
    dict[str, Any], Meta(description="Those of the kind, as the guide lists them; numbers may be text.")
]
Texts = Annotated[dict[str, str], Meta(description="Names to texts.")]
EXAMPLE = {
    "name": "Agent spends too much",
    "kind": "threshold",
    "parameters": {
        "metric": "costs.spend",
        "labels": {"entity_type": "agent", "entity_id": "my-agent"},
        "comparison": ">",
        "threshold": "100",
        "window_seconds": 3600,
    },
    "severity": "high",
    "for_seconds": 300,
}


class NewRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to watch. `runbook` is the slug of one; `slug` is made of the name unless given."""

    name: Name
    kind: Kind
    parameters: Parameters = {}
    slug: Slug = ""
    description: str = ""
    severity: Severity = "medium"
    for_seconds: Seconds = 0
    keep_firing_seconds: Seconds = 0
    interval_seconds: Interval = 60
    cooldown_seconds: Seconds = 0
    no_data: NoData = "resolve"
    labels: Texts = {}
    annotations: Texts = {}
    runbook: Slug = ""
    enabled: bool = True

    def terms(self) -> RuleTerms:
        """Return what the service takes."""
        return RuleTerms(**msgspec.structs.asdict(self))


class RulePatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; `parameters`, `labels` and `annotations` are replaced as a whole.

    With `revision`, refused (409) when the rule is no longer the one that was read.
    """

    name: Name | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET
    description: str | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    for_seconds: Seconds | UnsetType = UNSET
    keep_firing_seconds: Seconds | UnsetType = UNSET
    interval_seconds: Interval | UnsetType = UNSET
    cooldown_seconds: Seconds | UnsetType = UNSET
    no_data: NoData | UnsetType = UNSET
    labels: Texts | UnsetType = UNSET
    annotations: Texts | UnsetType = UNSET
    runbook: Slug | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    revision: int | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=500)] = ""

    def values(self) -> dict[str, object]:
        """Return what is to be different, by name."""
        given = msgspec.structs.asdict(self)
        skipped = {"revision", "reason"}
        return {name: value for name, value in given.items() if value is not UNSET and name not in skipped}


class RuleState(msgspec.Struct, kw_only=True):
    """A rule. `waits_for` names metrics that nobody offers here yet; `last_error` says why it could not look."""

    id: UUID
    slug: str
    name: str
    description: str
    kind: str
    parameters: dict[str, Any]
    severity: str
    for_seconds: int
    keep_firing_seconds: int
    interval_seconds: int
    cooldown_seconds: int
    no_data: str
    labels: dict[str, str]
    annotations: dict[str, str]
    runbook: str
    enabled: bool
    is_default: bool
    revision: int
    waits_for: list[str]
    last_error: str
    error_since: datetime | None
    created_at: datetime


class RuleQuery(PageQuery, kw_only=True):
    """Which rules are listed."""

    kind: Kind | None = None
    severity: Severity | None = None
    enabled: bool | None = None
    slug: str | None = None


class TrialRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Other parameters to try, without saving them."""

    parameters: Parameters | UnsetType = UNSET


class TrialFound(msgspec.Struct, kw_only=True):
    """One label set: its value, and whether there would be an alert (null: it cannot be told)."""

    labels: dict[str, str]
    value: str | None
    active: bool | None
    note: str


class TrialResult(msgspec.Struct, kw_only=True):
    """What a rule finds now. Nobody is told. `found` has what is wrong first, and not more than 200 of `count`."""

    slot: datetime
    count: int
    active_count: int
    found: list[TrialFound]
    error: str
    waiting: bool


class BacktestRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How far back, and other parameters to try, without saving them."""

    days: Annotated[int, Meta(ge=1, le=90)] = 30
    parameters: Parameters | UnsetType = UNSET
    for_seconds: Seconds | UnsetType = UNSET


class BacktestEpisode(msgspec.Struct, kw_only=True):
    """One alert that would have been; `resolved_at` is null when it would still fire."""

    labels: dict[str, str]
    fired_at: datetime
    resolved_at: datetime | None
    value: str | None


class BacktestResult(msgspec.Struct, kw_only=True):
    """What a rule would have done. `episodes` has the latest 100 of `fired_count`.

    It was replayed every `resolution_seconds`; what lasted shorter than that may be missing.
    """

    start: datetime
    end: datetime
    resolution_seconds: int
    slot_count: int
    label_set_count: int
    fired_count: int
    firing_seconds: int
    pending_only_count: int
    unknown_count: int
    summary: str
    episodes: Annotated[list[BacktestEpisode], Meta(max_length=SHOWN_EPISODES)]


class BacktestStarted(msgspec.Struct, kw_only=True):
    """It takes longer: a job does it, and keeps what comes of it as a file."""

    job_id: UUID
    status: Literal["started"] = "started"


def shown(rule: AlertRule) -> RuleState:
    """Return a rule for an answer; its runbook is loaded with it."""
    return RuleState(
        **{name: getattr(rule, name) for name in _SAME},
        runbook=rule.runbook.slug if rule.runbook else "",
        waits_for=waits_for(rule.kind, rule.parameters),
    )


_SAME = (
    "id", "slug", "name", "description", "kind", "parameters", "severity", "for_seconds", "keep_firing_seconds",
    "interval_seconds", "cooldown_seconds", "no_data", "labels", "annotations", "enabled", "is_default", "revision",
    "last_error", "error_since", "created_at",
)  # fmt: skip


def shown_trial(trial: Trial) -> TrialResult:
    """Return what a rule finds now for an answer."""
    return TrialResult(
        slot=trial.slot,
        count=trial.count,
        active_count=trial.active_count,
        found=[
            TrialFound(
                labels=dict(one.labels),
                value=None if one.value is None else to_text(one.value),
                active=one.active,
                note=one.note,
            )
            for one in trial.found
        ],
        error=trial.error,
        waiting=trial.waiting,
    )
