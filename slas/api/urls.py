"""Addresses below /api/v1/slas. None ends in a slash; the same address with one answers too."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

from slas.api import capacity_urls, contract_urls, objective_urls, openslo_urls

urlpatterns: list[URLPattern | URLResolver] = [
    *objective_urls.urlpatterns,
    *capacity_urls.urlpatterns,
    *contract_urls.urlpatterns,
    *openslo_urls.urlpatterns,
]
