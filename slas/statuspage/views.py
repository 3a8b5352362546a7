"""The public addresses of status pages: no login, no script, nothing asked of another machine, cached for seconds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from slas.models import StatusPage
from slas.statuspage.answers import as_json, as_rss, badge
from slas.statuspage.reading import Shown, build

CACHED_SECONDS = 10
BROWSER_SECONDS = 30
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'none'"
Writer = Callable[[Shown, str], str]


@require_safe
def page(request: HttpRequest, slug: str = "") -> HttpResponse:
    """Show a published page; without a slug, the main one."""
    return _answer(request, slug, "html", "text/html; charset=utf-8", _html)


@require_safe
def feed_json(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer a published page as JSON, for programs of other people too."""
    answer = _answer(request, slug, "json", "application/json", lambda shown, at: json.dumps(as_json(shown, at)))
    answer["Access-Control-Allow-Origin"] = "*"
    return answer


@require_safe
def feed_rss(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the incidents of a published page as RSS."""
    return _answer(request, slug, "rss", "application/rss+xml; charset=utf-8", as_rss)


@require_safe
def page_badge(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer how the whole page does, as a picture."""
    return _answer(request, slug, "badge", "image/svg+xml", lambda shown, _: badge(shown.title, shown.state))


@require_safe
def component_badge(request: HttpRequest, slug: str, component: str) -> HttpResponse:
    """Answer how one component does, as a picture."""

    def draw(shown: Shown, _: str) -> str:
        found = next((item for item in shown.components if item.slug == component), None)
        if found is None:
            raise Http404("the page has no such component")
        return badge(found.name, found.state)

    return _answer(request, slug, f"badge:{component}", "image/svg+xml", draw)


def rendered(shown: Shown, address: str, *, preview: bool = False) -> str:
    """Return the page as HTML."""
    context = {"page": shown, "address": address, "preview": preview, "zone": ZoneInfo(shown.time_zone)}
    return render_to_string("status/page.html", context)


def _html(shown: Shown, address: str) -> str:
    return rendered(shown, address)


def _answer(request: HttpRequest, slug: str, form: str, content_type: str, write: Writer) -> HttpResponse:
    """Answer from what was written within the last seconds, or with 304 when the asker has it already."""
    text = _written(request, slug, form, write, timezone.now())
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    response = HttpResponse(text, content_type=content_type)
    response["ETag"] = etag
    response["Cache-Control"] = f"public, max-age={BROWSER_SECONDS}, stale-while-revalidate=60"
    response["Content-Security-Policy"] = POLICY
    response["X-Content-Type-Options"] = "nosniff"
    patch_vary_headers(response, ("Accept-Encoding",))
    found = get_conditional_response(request, etag=etag, response=response)
    return response if found is None else found


def _written(request: HttpRequest, slug: str, form: str, write: Writer, now: datetime) -> str:
    host = request.get_host()
    key = f"status:{hashlib.sha256(f'{host} {request.scheme} {slug} {form}'.encode()).hexdigest()}"
    known: str | None = cache.get(key)
    if known is not None:
        return known
    shown = _shown(slug, now)
    text = write(shown, request.build_absolute_uri(reverse("status-page", args=[shown.slug])))
    cache.set(key, text, CACHED_SECONDS)
    return text


def _shown(slug: str, now: datetime) -> Shown:
    """Return a published page, read at most once every few seconds; 404 for one that is not, as if it did not exist."""
    key = f"status-read:{slug or '/'}"
    known: Shown | None = cache.get(key)
    if known is not None:
        return known
    wanted = {"slug": slug} if slug else {"main": True}
    found = StatusPage.objects.filter(published_at__isnull=False, **wanted).first()
    if found is None:
        raise Http404("there is no such page")
    shown = build(found, now=now)
    cache.set(key, shown, CACHED_SECONDS)
    return shown
