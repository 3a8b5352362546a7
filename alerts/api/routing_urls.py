"""Addresses of alerts, silences, routes and receivers, and Alertmanager's own."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from alerts.api.alertmanager import views as alertmanager

AM = "am/api/v2"

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{AM}/status", alertmanager.StatusView.as_view(), name="alertmanager-status"),
    path(f"{AM}/receivers", alertmanager.ReceiversView.as_view(), name="alertmanager-receivers"),
    path(f"{AM}/alerts", alertmanager.AlertsView.as_view(), name="alertmanager-alerts"),
    path(f"{AM}/alerts/groups", alertmanager.GroupsView.as_view(), name="alertmanager-groups"),
    path(f"{AM}/silences", alertmanager.SilencesView.as_view(), name="alertmanager-silences"),
    path(f"{AM}/silence/<str:silence_id>", alertmanager.SilenceView.as_view(), name="alertmanager-silence"),
]
