"""The way from a person or a key to everything they did, where an app offers such a page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.errors import Missing
from core.security import actor_link


def may_look(request: HttpRequest) -> bool:
    """Say whether there is such a page and this person may open it."""
    link, permission = actor_link("user", "-")
    return bool(link) and request.user.has_perm(permission)


def leads_to(kind: str, value: str) -> HttpResponse:
    """Return the way there; raises Missing where no app offers the page."""
    link, _ = actor_link(kind, value)
    if not link:
        raise Missing("no installed app shows what somebody did")
    return HttpResponseRedirect(link)


def as_link(kind: str, value: str, shown: str) -> SafeString | str:
    """Return a text that leads there, or the bare text."""
    link, _ = actor_link(kind, value)
    return format_html('<a class="af-link" href="{}">{}</a>', link, shown) if link else shown
