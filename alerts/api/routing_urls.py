"""Addresses of alerts, silences, routes and receivers, and Alertmanager's own."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from alerts.api import alert_views as alerts
from alerts.api import routing_views as routing
from alerts.api import silence_views as silences
from alerts.api.alertmanager import views as alertmanager

AM = "am/api/v2"

INSTANCE = "instances/<uuid:alert_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("instances", alerts.InstanceList.as_view(), name="alerts-instances"),
    path("instances/ack", alerts.AcknowledgeAlerts.as_view(), name="alerts-instances-ack"),
    path("instances/unack", alerts.UnacknowledgeAlerts.as_view(), name="alerts-instances-unack"),
    path("instances/resolve", alerts.ResolveAlerts.as_view(), name="alerts-instances-resolve"),
    path(INSTANCE, alerts.InstanceView.as_view(), name="alerts-instance"),
    path(f"{INSTANCE}/ack", alerts.AcknowledgeAlert.as_view(), name="alerts-instance-ack"),
    path(f"{INSTANCE}/unack", alerts.UnacknowledgeAlert.as_view(), name="alerts-instance-unack"),
    path(f"{INSTANCE}/resolve", alerts.ResolveAlert.as_view(), name="alerts-instance-resolve"),
    path("silences", silences.SilenceList.as_view(), name="alerts-silences"),
    path("silences/preview", silences.SilencePreviewView.as_view(), name="alerts-silences-preview"),
    path("silences/<uuid:silence_id>", silences.SilenceDetail.as_view(), name="alerts-silence"),
    path("routes", routing.RouteList.as_view(), name="alerts-routes"),
    path("routes/test", routing.RouteTestView.as_view(), name="alerts-routes-test"),
    path("routes/<int:key>", routing.RouteDetail.as_view(), name="alerts-route"),
    path("receivers", routing.ReceiverList.as_view(), name="alerts-receivers"),
    path("receivers/<int:key>", routing.ReceiverDetail.as_view(), name="alerts-receiver"),
    path("inhibit-rules", routing.InhibitRuleList.as_view(), name="alerts-inhibit-rules"),
    path("inhibit-rules/<int:key>", routing.InhibitRuleDetail.as_view(), name="alerts-inhibit-rule"),
    path("time-intervals", routing.TimeIntervalList.as_view(), name="alerts-time-intervals"),
    path("time-intervals/<int:key>", routing.TimeIntervalDetail.as_view(), name="alerts-time-interval"),
    path(f"{AM}/status", alertmanager.StatusView.as_view(), name="alertmanager-status"),
    path(f"{AM}/receivers", alertmanager.ReceiversView.as_view(), name="alertmanager-receivers"),
    path(f"{AM}/alerts", alertmanager.AlertsView.as_view(), name="alertmanager-alerts"),
    path(f"{AM}/alerts/groups", alertmanager.GroupsView.as_view(), name="alertmanager-groups"),
    path(f"{AM}/silences", alertmanager.SilencesView.as_view(), name="alertmanager-silences"),
    path(f"{AM}/silence/<str:silence_id>", alertmanager.SilenceView.as_view(), name="alertmanager-silence"),
]
