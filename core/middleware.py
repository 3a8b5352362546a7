"""Middleware: request context for everything; sessions, CSRF and messages for pages only."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable

import structlog
from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware

from core.api.problems import CONTENT_TYPE as PROBLEM_TYPE
from core.api.problems import as_problem, is_api
from core.api.throttling import client_address
from core.context import Actor, Channel, Context, acting, set_actor
from core.ids import uuid7
from core.metrics_export import observe

REQUEST_ID = "X-Request-ID"
SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,63}")
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
KEYED = "/api/v"
SESSIONLESS = frozenset({"/healthz", "/metrics"})
ANONYMOUS = Actor("system", "anonymous", "anonymous")

GetResponse = Callable[[HttpRequest], HttpResponse]
Answer = HttpResponseBase | Awaitable[HttpResponseBase]
log = structlog.get_logger("access")


class RequestContextMiddleware:
    """Gives each request its id, its context, its line in the log and its place in the metrics.

    Below /api/ it also lets every address answer with and without a trailing slash, and turns every error page that
    something outside the API views made into a problem document.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer within the request's context."""
        begun = time.perf_counter()
        context = Context(
            actor=ANONYMOUS,
            channel=_channel(request.path),
            request_id=request_id_of(request),
            address=client_address(request),
            user_agent=request.META.get("HTTP_USER_AGENT", ""),
        )
        with acting(context):
            _drop_trailing_slash(request)
            response = self.get_response(request)
            if response.status_code >= 400 and is_api(request.path):
                response = _problem(request, response)
            response[REQUEST_ID] = context.request_id
            # The line below says it all; Django would log it once more, outside the context.
            response._has_been_logged = True  # type: ignore[attr-defined]  # read by django.utils.log
            seconds = time.perf_counter() - begun
            observe(request, response, seconds)
            _write_line(request, response, seconds)
        return response


def request_id_of(request: HttpRequest) -> str:
    """Return the caller's request id when it is sane (8 to 64 harmless characters), otherwise a new one."""
    given = request.headers.get(REQUEST_ID, "")
    return given if SANE_REQUEST_ID.fullmatch(given) else str(uuid7())


def is_keyed(request: HttpRequest) -> bool:
    """Return whether a request is answered without a session: probes, and API requests that bring a key."""
    if request.path.startswith(KEYED):
        return "HTTP_AUTHORIZATION" in request.META
    return request.path in SESSIONLESS


def _channel(path: str) -> Channel:
    return "api" if is_api(path) else "admin"


def _drop_trailing_slash(request: HttpRequest) -> None:
    # Rewritten rather than redirected: a redirect would drop the body of a POST.
    if is_api(request.path_info) and request.path_info.endswith("/"):
        request.path_info = request.path_info.rstrip("/")


def _problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if response.get("Content-Type", "").startswith(PROBLEM_TYPE) or getattr(response, "keeps_its_form", False):
        return response
    return as_problem(request, response)


def _write_line(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    quiet = request.path in PROBES or request.path.startswith(settings.STATIC_URL)
    write = log.debug if quiet else log.info
    write(
        "request",
        method=request.method,
        path=request.path,
        status=response.status_code,
        duration_ms=round(seconds * 1000, 2),
    )


class PageSessionMiddleware(SessionMiddleware):
    """Sessions for pages and signed-in people; a request with a key has none."""

    def __call__(self, request: HttpRequest) -> Answer:
        """Let requests with a key pass."""
        return self.get_response(request) if is_keyed(request) else super().__call__(request)


class PageCommonMiddleware(CommonMiddleware):
    """Refuses requests for hosts that are not ours; probes ask by address, whatever the names of the pages are."""

    def __call__(self, request: HttpRequest) -> Answer:
        """Let probes pass."""
        return self.get_response(request) if request.path in PROBES else super().__call__(request)


class PageCsrfMiddleware(CsrfViewMiddleware):
    """CSRF tokens for pages and signed-in people; a request with a key carries no cookie that could be misused."""

    def __call__(self, request: HttpRequest) -> Answer:
        """Let requests with a key pass."""
        return self.get_response(request) if is_keyed(request) else super().__call__(request)


class PageAuthenticationMiddleware(AuthenticationMiddleware):
    """The signed-in person, for pages: whatever a page does is done by this actor."""

    def __call__(self, request: HttpRequest) -> Answer:
        """Let requests with a key pass."""
        return self.get_response(request) if is_keyed(request) else super().__call__(request)

    def process_view(self, request: HttpRequest, *_: object) -> None:
        """Name the actor of a page."""
        # API views name the actor themselves; without a session cookie there is nobody to look for.
        if (
            request.path.startswith(KEYED)
            or settings.SESSION_COOKIE_NAME not in request.COOKIES
            or request.path in PROBES
        ):
            return
        user = request.user
        if user.is_authenticated:
            set_actor(Actor("user", str(user.pk), user.get_username()))


class PageMessageMiddleware(MessageMiddleware):
    """Messages to the signed-in person, for pages."""

    def __call__(self, request: HttpRequest) -> Answer:
        """Let requests with a key pass."""
        return self.get_response(request) if is_keyed(request) else super().__call__(request)
