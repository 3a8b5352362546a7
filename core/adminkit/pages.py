"""Pages of our own inside the admin: with its menu, its permissions and its title."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path
from django.views.generic import TemplateView

_View = TypeVar("_View", bound="type[PageView]")


class PageView(TemplateView):
    """One page: subclass it, name `path`, `name`, `title`, `permissions` and `template_name`, decorate it with @page.

    Any one of `permissions` ("app.codename") opens the page; none of them, 403. The address is reversed as
    "admin:<name>". `menu_section` empty keeps it out of the menu. Templates extend "admin/page.html".
    """

    path = ""
    name = ""
    title = ""
    subtitle = ""
    permissions: tuple[str, ...] = ()
    menu_section = ""
    menu_icon = "web"
    menu_order = 50
    admin_site: Any = None

    @classmethod
    def permits(cls, request: HttpRequest) -> bool:
        """Say whether this person may see the page."""
        return not cls.permissions or any(request.user.has_perm(name) for name in cls.permissions)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.permits(request):
            raise PermissionDenied
        request.current_app = self.admin_site.name
        return super().dispatch(request, *args, **kwargs)

    def get_title(self) -> str:
        """Return the heading, which may depend on the request."""
        return self.title

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = {
            **self.admin_site.each_context(self.request),
            "title": self.get_title(),
            "subtitle": self.subtitle or None,
        }
        return {**context, **super().get_context_data(**kwargs)}


_pages: list[type[PageView]] = []


def page(view: _View) -> _View:
    """Register a page with the admin; use it in an app's admin module."""
    _pages.append(view)
    return view


def pages() -> tuple[type[PageView], ...]:
    """Return every registered page."""
    return tuple(_pages)


def page_urls(admin_site: Any, wrap: Callable[[Any], Any]) -> list[URLPattern]:
    """Return the addresses of all pages; they come before those of models, which would swallow them."""
    return [path(view.path, wrap(view.as_view(admin_site=admin_site)), name=view.name) for view in _pages]
