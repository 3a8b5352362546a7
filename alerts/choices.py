"""Fixed words of the alerts app, and which state may follow which."""

from __future__ import annotations

from django.db.models import TextChoices

from core.choices import Severity

# The most urgent first: what a rise of severity means, and the order of every queue.
SEVERITY_ORDER: tuple[str, ...] = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO)


class RuleKind(TextChoices):
    """How a rule looks at its metric."""

    THRESHOLD = "threshold"
    ABSENCE = "absence"
    CHANGE = "change"
    ANOMALY = "anomaly", "seasonal anomaly"
    BUDGET = "budget"
    BURN_RATE = "burn_rate"
    HEALTH = "health", "health check"
    ERROR_RATE = "error_rate"
    HEARTBEAT = "heartbeat"
    CONDITION = "condition"
    EXTERNAL = "external"
    WATCHDOG = "watchdog"


class NoData(TextChoices):
    """What a rule does about label sets that have no data. What cannot be read is no sign that all is well.

    While a metric cannot be read its rules keep their last state, or count it as breaching.
    """

    IGNORE = "ignore", "keep the last state"
    RESOLVE = "resolve", "count as not breaching"
    FIRE = "fire", "count as breaching"


class AlertState(TextChoices):
    """Where one alert is in its life."""

    PENDING = "pending"
    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


OPEN_STATES = (AlertState.PENDING, AlertState.FIRING, AlertState.ACKNOWLEDGED)
ACTIVE_STATES = (AlertState.FIRING, AlertState.ACKNOWLEDGED)

ALERT_TRANSITIONS: dict[str, frozenset[str]] = {
    AlertState.PENDING: frozenset({AlertState.FIRING, AlertState.RESOLVED}),
    AlertState.FIRING: frozenset({AlertState.ACKNOWLEDGED, AlertState.RESOLVED}),
    AlertState.ACKNOWLEDGED: frozenset({AlertState.FIRING, AlertState.RESOLVED}),
    AlertState.RESOLVED: frozenset(),
}


class ChannelKind(TextChoices):
    """By what a message reaches people or machines."""

    EMAIL = "email", "e-mail"
    SLACK = "slack", "Slack"
    TEAMS = "teams", "Microsoft Teams"
    PAGERDUTY = "pagerduty", "PagerDuty"
    WEBHOOK = "webhook", "signed webhook"
    APPRISE = "apprise", "Apprise"
    LOG = "log"


class NotificationKind(TextChoices):
    """Why a message is sent."""

    GROUP = "group"
    ESCALATION = "escalation"
    INCIDENT = "incident"
    REMINDER = "reminder"
    META = "meta", "about the alerting itself"
    TEST = "test"


class NotificationStatus(TextChoices):
    """Where one message is on its way."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead", "dead letter"
    SUPERSEDED = "superseded", "told in a later one"
    CANCELLED = "cancelled"


class IncidentStatus(TextChoices):
    """The life of an incident."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    MITIGATED = "mitigated"
    RESOLVED = "resolved"
    CLOSED = "closed"


INCIDENT_TRANSITIONS: dict[str, frozenset[str]] = {
    IncidentStatus.OPEN: frozenset({IncidentStatus.ACKNOWLEDGED, IncidentStatus.MITIGATED, IncidentStatus.RESOLVED}),
    IncidentStatus.ACKNOWLEDGED: frozenset({IncidentStatus.OPEN, IncidentStatus.MITIGATED, IncidentStatus.RESOLVED}),
    IncidentStatus.MITIGATED: frozenset({IncidentStatus.OPEN, IncidentStatus.RESOLVED}),
    IncidentStatus.RESOLVED: frozenset({IncidentStatus.OPEN, IncidentStatus.CLOSED}),
    IncidentStatus.CLOSED: frozenset(),
}
OPEN_INCIDENTS = (IncidentStatus.OPEN, IncidentStatus.ACKNOWLEDGED, IncidentStatus.MITIGATED)


class IncidentRole(TextChoices):
    """What a person does in an incident."""

    COMMANDER = "commander"
    COMMUNICATIONS = "communications"
    SCRIBE = "scribe"
    RESPONDER = "responder"


class RotationKind(TextChoices):
    """How long one turn of a rotation is."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    CUSTOM = "custom"


class StepTarget(TextChoices):
    """Whom one step of an escalation policy tells."""

    USER = "user"
    SCHEDULE = "schedule", "whoever is on call"
    CHANNEL = "channel"


class EscalationStatus(TextChoices):
    """Whether an escalation still goes on."""

    RUNNING = "running"
    STOPPED = "stopped"
    EXHAUSTED = "exhausted"


class CorrelationKind(TextChoices):
    """The kinds of Sigma correlations over security events, and two of statistics."""

    EVENT_COUNT = "event_count"
    VALUE_COUNT = "value_count"
    TEMPORAL = "temporal"
    TEMPORAL_ORDERED = "temporal_ordered"
    NEW_VALUE = "new_value"
    BASELINE = "baseline"


class AutomationOutcome(TextChoices):
    """What came of one automated action."""

    PENDING = "pending", "about to run"
    WAITING = "waiting", "waiting for approval"
    DRY_RUN = "dry_run"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    LIMITED = "limited", "over its limit"


# The rules that the clock evaluates; conditions are read when an app reports one.
EVALUATED_KINDS = tuple(kind for kind in RuleKind if kind != RuleKind.CONDITION)
