"""Incidents: opened by alerts or people, worked on, closed, learned from; each act one transaction and one entry."""

from alerts.services.incidents.changing import (
    IncidentChange,
    assign_role,
    change_incident,
    link_alerts,
    merge,
    remove_role,
)
from alerts.services.incidents.checklists import tick
from alerts.services.incidents.following import follow_alerts, reopen_expired
from alerts.services.incidents.learning import (
    ActionTerms,
    PostmortemText,
    add_action_item,
    change_action_item,
    publish_postmortem,
    save_postmortem,
    set_action_done,
)
from alerts.services.incidents.opening import NewIncident, group_resolved, open_for_group, open_incident
from alerts.services.incidents.states import acknowledge, close, mitigate, reopen, resolve, unacknowledge
from alerts.services.incidents.timeline import add_note, record_event

__all__ = [
    "ActionTerms",
    "IncidentChange",
    "NewIncident",
    "PostmortemText",
    "acknowledge",
    "add_action_item",
    "add_note",
    "assign_role",
    "change_action_item",
    "change_incident",
    "close",
    "follow_alerts",
    "group_resolved",
    "link_alerts",
    "merge",
    "mitigate",
    "open_for_group",
    "open_incident",
    "publish_postmortem",
    "record_event",
    "remove_role",
    "reopen",
    "reopen_expired",
    "resolve",
    "save_postmortem",
    "set_action_done",
    "tick",
    "unacknowledge",
]
