"""The admin site: the theme's, with our pages, our search and entrance for everybody who holds a role."""

from __future__ import annotations

import time
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern
from unfold.sites import UnfoldAdminSite

from core.adminkit.pages import page_urls
from core.adminkit.search import search_everything
from core.context import Actor, set_actor

ENVIRONMENT_COLOURS = {"development": "info", "staging": "warning", "production": "danger"}


class Site(UnfoldAdminSite):  # type: ignore[misc]  # the theme ships no types
    """Opens to active staff and to members of any group that has permissions (the roles)."""

    index_title = "Home"
    enable_nav_sidebar = True

    def has_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may enter; remembered on the user for the length of the request."""
        user: Any = request.user
        if not user.is_active:
            return False
        if user.is_staff:
            return True
        if not hasattr(user, "_has_role"):
            user._has_role = user.groups.filter(permissions__isnull=False).exists()
        return bool(user._has_role)

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send everybody through the accounts' own sign-in, with its second factor and its rate limits."""
        from allauth.account.decorators import secure_admin_login  # loads models

        answer: HttpResponse = secure_admin_login(super().login)(request, extra_context)
        return answer

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Wrap a page so that what it does is done in the person's name."""

        @wraps(view)
        def in_ones_name(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            set_actor(Actor("user", str(request.user.pk), request.user.get_username()))
            return view(request, *args, **kwargs)

        return super().admin_view(in_ones_name, cacheable)

    def extra_urls(self) -> list[URLPattern]:
        """Return the addresses of our own pages."""
        return page_urls(self, self.admin_view)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = super().each_context(request)
        return {**context, "product_version": settings.VERSION, "organisation": settings.ORGANISATION_NAME}

    def search(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Answer the palette. Nothing is cached: what one may see can change between two keystrokes."""
        term = request.GET.get("s", "")
        if not term:
            return HttpResponse()
        began = time.perf_counter()
        results = search_everything(request, term)
        extended = "extended" in request.GET
        template = "unfold/helpers/command_results.html" if extended else "unfold/helpers/search_results.html"
        paginator = Paginator(results, max(len(results), 1))
        context = {
            "page_obj": paginator,
            "results": paginator.page(1),
            "page_counter": 0,
            "execution_time": time.perf_counter() - began,
            "command_show_history": True,
        }
        return TemplateResponse(request, template, context, headers={"HX-Trigger": "search"})


def environment_badge(request: HttpRequest) -> tuple[str, str]:
    """Return the name of the environment and its colour, for the header of every page."""
    name = settings.ENVIRONMENT
    return name.capitalize(), ENVIRONMENT_COLOURS.get(name, "info")


def site_context(request: HttpRequest) -> dict[str, Any]:
    """Give the account pages what the admin's own pages have: colours, title, favicon."""
    if not request.path.startswith(("/accounts/", "/setup/")):
        return {}
    from django.contrib import admin  # the site exists once the apps are ready

    context: dict[str, Any] = admin.site.each_context(request)
    return context
