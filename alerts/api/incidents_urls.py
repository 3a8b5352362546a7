"""Addresses of incidents, schedules, escalation policies and contact methods."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from alerts.api import incident_parts as parts
from alerts.api import incident_views as views
from alerts.api import oncall_views as oncall
from alerts.api import policy_views as policies

INCIDENT = "incidents/<uuid:incident_id>"
SCHEDULE = "schedules/<uuid:schedule_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("incidents", views.IncidentList.as_view(), name="alerts-incidents"),
    path("incidents/statistics", parts.StatisticsView.as_view(), name="alerts-incident-statistics"),
    path(INCIDENT, views.IncidentDetail.as_view(), name="alerts-incident"),
    path(f"{INCIDENT}/ack", views.Acknowledge.as_view(), name="alerts-incident-ack"),
    path(f"{INCIDENT}/unack", views.Unacknowledge.as_view(), name="alerts-incident-unack"),
    path(f"{INCIDENT}/mitigate", views.Mitigate.as_view(), name="alerts-incident-mitigate"),
    path(f"{INCIDENT}/resolve", views.Resolve.as_view(), name="alerts-incident-resolve"),
    path(f"{INCIDENT}/close", views.Close.as_view(), name="alerts-incident-close"),
    path(f"{INCIDENT}/reopen", views.Reopen.as_view(), name="alerts-incident-reopen"),
    path(f"{INCIDENT}/merge", views.MergeIncident.as_view(), name="alerts-incident-merge"),
    path(f"{INCIDENT}/alerts", views.IncidentAlerts.as_view(), name="alerts-incident-alerts"),
    path(f"{INCIDENT}/timeline", parts.Timeline.as_view(), name="alerts-incident-timeline"),
    path(f"{INCIDENT}/roles", parts.Roles.as_view(), name="alerts-incident-roles"),
    path(f"{INCIDENT}/roles/<int:role_id>", parts.RoleDetail.as_view(), name="alerts-incident-role"),
    path(f"{INCIDENT}/checklist", parts.ChecklistView.as_view(), name="alerts-incident-checklist"),
    path(f"{INCIDENT}/checklist/<int:position>", parts.ChecklistStep.as_view(), name="alerts-incident-step"),
    path(f"{INCIDENT}/postmortem", parts.PostmortemView.as_view(), name="alerts-incident-postmortem"),
    path(f"{INCIDENT}/postmortem/publish", parts.PostmortemPublishing.as_view(), name="alerts-postmortem-publish"),
    path(f"{INCIDENT}/action-items", parts.ActionItems.as_view(), name="alerts-action-items"),
    path(f"{INCIDENT}/action-items/<int:item_id>", parts.ActionItemDetail.as_view(), name="alerts-action-item"),
    path("schedules", oncall.ScheduleList.as_view(), name="alerts-schedules"),
    path(SCHEDULE, oncall.ScheduleDetail.as_view(), name="alerts-schedule"),
    path(f"{SCHEDULE}/oncall", oncall.OnCall.as_view(), name="alerts-schedule-oncall"),
    path(f"{SCHEDULE}/final", oncall.Final.as_view(), name="alerts-schedule-final"),
    path(f"{SCHEDULE}/fairness", oncall.FairnessView.as_view(), name="alerts-schedule-fairness"),
    path(f"{SCHEDULE}/ical", oncall.ScheduleCalendar.as_view(), name="alerts-schedule-ical"),
    path(f"{SCHEDULE}/overrides", oncall.Overrides.as_view(), name="alerts-overrides"),
    path(f"{SCHEDULE}/overrides/<int:override_id>", oncall.OverrideDetail.as_view(), name="alerts-override"),
    path("escalation-policies", policies.PolicyList.as_view(), name="alerts-policies"),
    path("escalation-policies/<int:policy_id>", policies.PolicyDetail.as_view(), name="alerts-policy"),
    path("contact-methods", policies.MethodList.as_view(), name="alerts-contact-methods"),
    path("contact-methods/<int:method_id>", policies.MethodDetail.as_view(), name="alerts-contact-method"),
    path("calendar-feeds", policies.FeedList.as_view(), name="alerts-calendar-feeds"),
    path("calendar-feeds/<int:feed_id>", policies.FeedDetail.as_view(), name="alerts-calendar-feed-detail"),
    # A calendar program has no key: the address itself is the secret.
    path("calendars/on-call.ics", oncall.calendar_feed, name="alerts-calendar-feed"),
]
