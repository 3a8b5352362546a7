"""Addresses below /api/v1/alerts. None ends in a slash; the same address with one answers too."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from alerts.api import incidents_urls, rules_urls

urlpatterns: list[URLPattern | URLResolver] = [
    *incidents_urls.urlpatterns,
    *rules_urls.urlpatterns,
]
