"""Addresses of security events, detection rules and automation, below /api/v1/alerts."""

from __future__ import annotations

from django.urls import path

from alerts.api import security_views as views

urlpatterns = [
    path("security-events", views.SecurityEventList.as_view(), name="security-events"),
    path("security-events/<int:number>", views.SecurityEventDetail.as_view(), name="security-event"),
    path("detection-rules", views.DetectionRuleList.as_view(), name="detection-rules"),
    path("detection-rules/<slug:slug>", views.DetectionRuleDetail.as_view(), name="detection-rule"),
    path("automation-rules", views.AutomationRuleList.as_view(), name="automation-rules"),
    path("automation-rules/<uuid:rule_id>", views.AutomationRuleDetail.as_view(), name="automation-rule"),
    path("automation-rules/<uuid:rule_id>/test", views.AutomationRuleTest.as_view(), name="automation-rule-test"),
    path("automation-runs", views.AutomationRunList.as_view(), name="automation-runs"),
]
