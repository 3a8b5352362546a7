"""What people see instead of a page that is not there or not theirs: in the theme, with a way on."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403 (handler403)."""
    return render(request, "403.html", admin.site.each_context(request), status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404 (handler404)."""
    return render(request, "404.html", admin.site.each_context(request), status=404)


def stale_form(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose protection against forgery is missing or old (CSRF_FAILURE_VIEW)."""
    return render(request, "403_csrf.html", admin.site.each_context(request), status=403)
