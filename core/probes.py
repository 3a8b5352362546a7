"""The addresses that machines ask: alive, ready, and metrics."""

from __future__ import annotations

import hmac
import ipaddress

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from core.api.problems import Problem, problem_response
from core.api.rendering import answer
from core.api.throttling import client_address
from core.health import Finding, findings, is_ready
from core.metrics_export import exposition


@never_cache
@require_safe
def alive(request: HttpRequest) -> HttpResponse:
    """Answer that this process runs; asks nothing else, not even the database."""
    return answer({"status": "alive", "version": settings.VERSION})


@never_cache
@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Answer 200 when this process may get work, 503 when a critical check failed, with every check by name.

    What the checks say in words is shown to staff, to this machine and to holders of METRICS_TOKEN only.
    """
    found = findings()
    fit = is_ready(found)
    trusted = is_trusted(request) or _is_staff(request, found)
    checks = [_shown(finding, trusted) for finding in found]
    response = answer({"status": "ready" if fit else "unavailable", "checks": checks}, 200 if fit else 503)
    if not fit:
        response["Retry-After"] = "5"
    return response


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer the metrics for Prometheus, to this machine and to holders of METRICS_TOKEN."""
    if not is_trusted(request):
        header = {"WWW-Authenticate": 'Bearer realm="metrics"'}
        problem = Problem(401, "metrics are for this machine or for holders of METRICS_TOKEN", headers=header)
        return problem_response(problem, request.path)
    return HttpResponse(exposition(), content_type=CONTENT_TYPE_LATEST)


def is_trusted(request: HttpRequest) -> bool:
    """Return whether the request comes from this machine, without a proxy between, or brings METRICS_TOKEN."""
    given = request.META.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ").encode()
    token = settings.METRICS_TOKEN.encode()
    if token and hmac.compare_digest(given, token):
        return True
    if "HTTP_X_FORWARDED_FOR" in request.META or "HTTP_FORWARDED" in request.META:
        # A proxy on this machine would make the whole world local.
        return _is_loopback(client_address(request)) if settings.TRUSTED_PROXY_COUNT else False
    return _is_loopback(str(request.META.get("REMOTE_ADDR", "")))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_staff(request: HttpRequest, found: list[Finding]) -> bool:
    database = next((finding for finding in found if finding.name == "database"), None)
    if database is None or database.status == "failed" or settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    return bool(request.user.is_authenticated and request.user.is_active and request.user.is_staff)


def _shown(finding: Finding, trusted: bool) -> dict[str, object]:
    shown: dict[str, object] = {"name": finding.name, "status": finding.status, "critical": finding.critical}
    if trusted:
        shown |= {"detail": finding.detail, "cure": finding.cure, "duration_ms": round(finding.seconds * 1000, 1)}
    return shown
