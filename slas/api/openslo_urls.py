"""The address of OpenSLO documents."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from slas.api.openslo_views import OpenSloView

urlpatterns: list[URLPattern | URLResolver] = [path("openslo", OpenSloView.as_view(), name="slas-openslo")]
