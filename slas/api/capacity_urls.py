"""Addresses of capacity resources and their forecasts."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from slas.api import capacity_views as views

urlpatterns: list[URLPattern | URLResolver] = [
    path("capacity", views.ResourceList.as_view(), name="slas-capacity"),
    path("capacity/<uuid:resource_id>", views.ResourceDetail.as_view(), name="slas-capacity-resource"),
    path("capacity/<uuid:resource_id>/forecast", views.ForecastView.as_view(), name="slas-capacity-forecast"),
    path("capacity/<uuid:resource_id>/samples", views.SampleList.as_view(), name="slas-capacity-samples"),
]
