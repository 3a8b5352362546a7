"""Addresses below /api/v1/alerts. None ends in a slash; the same address with one answers too."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from alerts.api import channels_urls, incidents_urls, routing_urls, rules_urls, security_urls

urlpatterns: list[URLPattern | URLResolver] = [
    *channels_urls.urlpatterns,
    *incidents_urls.urlpatterns,
    *routing_urls.urlpatterns,
    *rules_urls.urlpatterns,
    *security_urls.urlpatterns,
]
