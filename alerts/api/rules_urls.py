"""Addresses of rules, heartbeats and runbooks."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from alerts.api import rule_views, upkeep_views

urlpatterns: list[URLPattern | URLResolver] = [
    path("rules", rule_views.RuleList.as_view(), name="alert-rules"),
    path("rules/<uuid:rule_id>", rule_views.RuleDetail.as_view(), name="alert-rule"),
    path("rules/<uuid:rule_id>/test", rule_views.RuleTest.as_view(), name="alert-rule-test"),
    path("rules/<uuid:rule_id>/backtest", rule_views.RuleBacktest.as_view(), name="alert-rule-backtest"),
    path("heartbeats", upkeep_views.HeartbeatList.as_view(), name="heartbeats"),
    path("heartbeats/<slug:name>", upkeep_views.HeartbeatDetail.as_view(), name="heartbeat"),
    path("runbooks", upkeep_views.RunbookList.as_view(), name="runbooks"),
    path("runbooks/<slug:slug>", upkeep_views.RunbookDetail.as_view(), name="runbook"),
]
