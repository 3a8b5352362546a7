"""What the API says of security events, detection rules and automation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from alerts.detection_terms import Parameters
from alerts.models import AutomationRule, AutomationRun, DetectionRule, SecurityEvent
from core.api.moments import Moment
from core.api.pagination import PageQuery

Name = Annotated[str, Meta(min_length=1, max_length=200)]
Slug = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[a-z0-9][a-z0-9_-]*$")]
Severity = Literal["critical", "high", "medium", "low", "info"]
Kind = Literal["event_count", "value_count", "temporal", "temporal_ordered", "new_value", "baseline"]
Limit = Annotated[int, Meta(ge=1, le=1000)]


class SecurityEventState(msgspec.Struct, kw_only=True):
    """One thing that happened around sign-ins, keys, grants or exports."""

    id: int
    at: datetime
    kind: str
    outcome: str
    actor_kind: str
    actor_id: str
    actor: str
    api_key: str
    address: str
    network: str
    channel: str
    count: int
    user_agent: str
    request_id: str
    data: dict[str, Any]


class SecurityEventQuery(PageQuery, kw_only=True):
    """Which events are listed: every one given has to hold."""

    kind: str | None = None
    outcome: Literal["success", "failure"] | None = None
    actor_id: str | None = None
    api_key: str | None = None
    address: str | None = None
    since: Moment | None = None
    until: Moment | None = None


class DetectionRuleState(msgspec.Struct, kw_only=True):
    """A detection rule. A built-in one (`is_default`) can be changed and switched off, not deleted."""

    slug: str
    name: str
    description: str
    kind: str
    parameters: dict[str, Any]
    severity: str
    enabled: bool
    is_default: bool
    evaluated_at: datetime | None
    last_error: str


class NewDetectionRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A correlation over security events or the audit log, in the vocabulary of Sigma."""

    slug: Slug
    name: Name
    kind: Kind
    parameters: Parameters
    description: str = ""
    severity: Severity = "high"
    enabled: bool = True


class DetectionRulePatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different."""

    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    parameters: Parameters | UnsetType = UNSET
    severity: Severity | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class LabelMatcher(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One condition on one label."""

    name: str
    op: Literal["=", "!=", "=~", "!~"] = "="
    value: str


class AutomationRuleState(msgspec.Struct, kw_only=True):
    """When alerts match, the action runs: at most `runs_per_hour`, as a dry run only said, with approval asked for."""

    rule_id: UUID
    name: str
    matchers: list[LabelMatcher]
    action: str
    arguments: dict[str, str]
    dry_run: bool
    needs_approval: bool
    enabled: bool
    runs_per_hour: int
    created_by: str
    created_at: datetime


class NewAutomationRule(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An automated answer to alerts. Arguments may take a label of the alert: {{ labels.api_key }}."""

    name: Name
    matchers: Annotated[list[LabelMatcher], Meta(min_length=1, max_length=64)]
    action: str
    arguments: dict[str, str] = {}
    dry_run: bool = True
    needs_approval: bool = False
    enabled: bool = True
    runs_per_hour: Limit = 3


class AutomationRulePatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different."""

    name: Name | UnsetType = UNSET
    matchers: Annotated[list[LabelMatcher], Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    action: str | UnsetType = UNSET
    arguments: dict[str, str] | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    needs_approval: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    runs_per_hour: Limit | UnsetType = UNSET


class AutomationTrial(msgspec.Struct, kw_only=True):
    """What a rule would do about one alert that fires now."""

    alert_id: UUID
    alertname: str
    would: str
    refused: str


class AutomationTrials(msgspec.Struct, kw_only=True):
    """How many firing alerts a rule matches, and what it would do about the oldest of them."""

    matching: int
    trials: list[AutomationTrial]


class AutomationRunState(msgspec.Struct, kw_only=True):
    """One time that a rule met an alert."""

    run_id: UUID
    rule_id: UUID
    alert_id: UUID
    outcome: str
    detail: str
    arguments: dict[str, Any]
    attempt: int
    approval_id: UUID | None
    at: datetime
    finished_at: datetime | None


class AutomationRunQuery(PageQuery, kw_only=True):
    """Which runs are listed."""

    rule: UUID | None = None
    outcome: Literal["pending", "waiting", "dry_run", "done", "refused", "failed", "limited"] | None = None


def shown_event(event: SecurityEvent) -> SecurityEventState:
    """Return an event for an answer."""
    return SecurityEventState(
        id=event.pk,
        at=event.at,
        kind=event.kind,
        outcome=event.outcome,
        actor_kind=event.actor_kind,
        actor_id=event.actor_id,
        actor=event.actor_label,
        api_key=event.api_key,
        address=event.address or "",
        network=event.network,
        channel=event.channel,
        count=event.count,
        user_agent=event.user_agent,
        request_id=event.request_id,
        data=event.data,
    )


def shown_detection(rule: DetectionRule) -> DetectionRuleState:
    """Return a detection rule for an answer."""
    names = ("slug", "name", "description", "kind", "parameters", "severity", "enabled", "is_default", "last_error")
    return DetectionRuleState(evaluated_at=rule.evaluated_at, **{name: getattr(rule, name) for name in names})


def shown_automation(rule: AutomationRule) -> AutomationRuleState:
    """Return an automation rule for an answer."""
    names = (
        "name", "action", "arguments", "dry_run", "needs_approval", "enabled", "runs_per_hour", "created_by",
        "created_at",
    )  # fmt: skip
    matchers = [LabelMatcher(**matcher) for matcher in rule.matchers]
    return AutomationRuleState(rule_id=rule.pk, matchers=matchers, **{name: getattr(rule, name) for name in names})


def shown_run(run: AutomationRun) -> AutomationRunState:
    """Return a run for an answer."""
    names = ("rule_id", "alert_id", "outcome", "detail", "arguments", "attempt", "at", "finished_at")
    return AutomationRunState(run_id=run.pk, approval_id=run.approval, **{name: getattr(run, name) for name in names})
