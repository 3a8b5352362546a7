"""Addresses of the whole platform."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from core import probes
from core.accounts import SetupView
from core.api.root import nothing_here
from slas.statuspage.views import page as status_page

handler403 = "core.errorpages.forbidden"
handler404 = "core.errorpages.not_found"
handler500 = "core.api.problems.server_error"

urlpatterns = [
    path("healthz", probes.alive, name="healthz"),
    path("readyz", probes.ready, name="readyz"),
    path("metrics", probes.metrics, name="metrics"),
    path("api", nothing_here),
    path("api/", include("config.api")),
    path("status", status_page, name="status"),
    path("status/", include("slas.statuspage.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("setup/", SetupView.as_view(), name="setup"),
    path("", RedirectView.as_view(pattern_name="admin:index")),
]
