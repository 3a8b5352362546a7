"""Tables of the alerts app."""

from alerts.models.incidents import (
    ActionItem,
    ChecklistTick,
    Incident,
    IncidentAssignment,
    IncidentEvent,
    Postmortem,
)
from alerts.models.oncall import (
    ContactMethod,
    EscalationLog,
    EscalationPolicy,
    EscalationRun,
    EscalationStep,
    OnCallSchedule,
    Override,
    Rotation,
    RotationMember,
)
from alerts.models.outbox import (
    DeliveryAttempt,
    Notification,
)
from alerts.models.routing import (
    AlertGroup,
    AlertGroupMember,
    Channel,
    InhibitRule,
    Receiver,
    Route,
    Silence,
    TimeInterval,
)
from alerts.models.rules import (
    Alert,
    AlertEvent,
    AlertRule,
    Heartbeat,
    Runbook,
    SweepState,
)
from alerts.models.security import (
    AutomationRule,
    AutomationRun,
    DetectionRule,
    SecurityEvent,
)

__all__ = [
    "ActionItem",
    "Alert",
    "AlertEvent",
    "AlertGroup",
    "AlertGroupMember",
    "AlertRule",
    "AutomationRule",
    "AutomationRun",
    "Channel",
    "ChecklistTick",
    "ContactMethod",
    "DeliveryAttempt",
    "DetectionRule",
    "EscalationLog",
    "EscalationPolicy",
    "EscalationRun",
    "EscalationStep",
    "Heartbeat",
    "Incident",
    "IncidentAssignment",
    "IncidentEvent",
    "InhibitRule",
    "Notification",
    "OnCallSchedule",
    "Override",
    "Postmortem",
    "Receiver",
    "Rotation",
    "RotationMember",
    "Route",
    "Runbook",
    "SecurityEvent",
    "Silence",
    "SweepState",
    "TimeInterval",
]
