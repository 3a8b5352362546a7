"""Addresses below /status: public, without a login."""

from __future__ import annotations

from django.urls import path

from slas.statuspage import views

urlpatterns = [
    path("", views.page),
    path("<slug:slug>", views.page, name="status-page"),
    path("<slug:slug>/status.json", views.feed_json, name="status-json"),
    path("<slug:slug>/feed.xml", views.feed_rss, name="status-feed"),
    path("<slug:slug>/badge.svg", views.page_badge, name="status-badge"),
    path("<slug:slug>/badges/<slug:component>.svg", views.component_badge, name="status-component-badge"),
]
