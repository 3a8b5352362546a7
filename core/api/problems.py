"""Problem documents (RFC 9457): every error below /api/ leaves the house in this one form."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions

from core.context import current
from core.errors import Conflict, FieldError, Forbidden, Invalid, Missing, OverLimit, Refusal

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:agent-factory:problem:"
RETRY_SECONDS_WITHOUT_DATABASE = 5
STATUS_OF: dict[type[Refusal], int] = {Invalid: 422, Missing: 404, Conflict: 409, Forbidden: 403, OverLimit: 402}

# What a failing connection, a full disk or a lost race for a lock look like; all other database errors are faults.
SQLITE_BUSY_CODES = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
}
POSTGRESQL_RETRYABLE = ("08", "53", "57P", "40001", "40P01", "55P03", "57014")

log = structlog.get_logger(__name__)


class Problem(Exception):
    """An answer that is an error: raise it anywhere below an API view.

    `code` is stable and names the kind of problem to programs; `members` are added to the document as they are.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        title: str = "",
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or _code_of(status)
        self.title = title or HTTPStatus(status).phrase
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def document(self, instance: str) -> dict[str, Any]:
        """Return the members of the document; `instance` is the path that was asked for."""
        document: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.errors:
            document["errors"] = [
                {"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in self.errors
            ]
        return {**document, **self.members}


def _code_of(status: int) -> str:
    return HTTPStatus(status).name.lower()


def problem_response(problem: Problem, path: str) -> HttpResponse:
    """Return the problem as an HTTP answer."""
    body = msgspec.json.encode(problem.document(path))
    response = HttpResponse(body, content_type=CONTENT_TYPE, status=problem.status)
    for name, value in problem.headers.items():
        response[name] = value
    return response


def exception_handler(exc: Exception, context: Mapping[str, Any]) -> HttpResponse:
    """Turn whatever an API view raised into its problem document; the unexpected is logged with its stack."""
    problem = problem_of(exc)
    if problem.status >= 500:
        log.error("api_fault", status=problem.status, exc_info=exc)
    return problem_response(problem, context["request"].path)


def problem_of(exc: BaseException) -> Problem:
    """Return the problem that stands for an exception; an unexpected one gives nothing away but its request id."""
    if isinstance(exc, Problem):
        return exc
    if isinstance(exc, Refusal):
        return _from_refusal(exc)
    if isinstance(exc, exceptions.APIException):
        return _from_rest_framework(exc)
    if isinstance(exc, DatabaseError | InterfaceError) and is_unavailable(exc):
        return unavailable()
    return _from_django(exc) or unexpected()


def unexpected() -> Problem:
    """Return the problem for a fault of ours, with the request id under which the log has the stack."""
    return Problem(
        500,
        "an unexpected fault happened; the correlation id finds it in the log",
        code="internal_error",
        members={"correlation_id": current().request_id},
    )


def unavailable() -> Problem:
    """Return the problem for a database that cannot be reached or had to turn this work away."""
    return Problem(
        503,
        "the database cannot take the request at the moment; nothing was recorded, try again",
        code="database_unavailable",
        headers={"Retry-After": str(RETRY_SECONDS_WITHOUT_DATABASE)},
        members={"correlation_id": current().request_id},
    )


def is_unavailable(exc: BaseException) -> bool:
    """Return whether a database error heals by itself: no connection, no room, or a lost lock."""
    if isinstance(exc, InterfaceError):
        return True
    if not isinstance(exc, OperationalError):
        return False
    cause = exc.__cause__
    if isinstance(cause, sqlite3.Error):
        # The low byte is the primary code; extended codes keep it.
        return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in SQLITE_BUSY_CODES
    state = getattr(cause, "sqlstate", None)
    return state is None or str(state).startswith(POSTGRESQL_RETRYABLE)


def _from_refusal(exc: Refusal) -> Problem:
    status = next((status for kind, status in STATUS_OF.items() if isinstance(exc, kind)), 409)
    return Problem(status, exc.detail, code=exc.code, errors=exc.errors)


def _from_rest_framework(exc: exceptions.APIException) -> Problem:
    headers: dict[str, str] = {}
    if isinstance(exc, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        headers["WWW-Authenticate"] = getattr(exc, "auth_header", "Bearer")
    if isinstance(exc, exceptions.Throttled):
        headers["Retry-After"] = str(max(1, int(getattr(exc, "wait", None) or 1)))
    detail = exc.detail if isinstance(exc.detail, str) else str(exc.default_detail)
    code = exc.get_codes()
    return Problem(exc.status_code, str(detail), code=code if isinstance(code, str) else "", headers=headers)


def _from_django(exc: BaseException) -> Problem | None:
    if isinstance(exc, Http404):
        return Problem(404, "nothing is here")
    if isinstance(exc, DjangoPermissionDenied):
        return Problem(403, str(exc) or "this is not allowed")
    if isinstance(exc, RequestDataTooBig):
        return Problem(413, "the body is larger than this server takes", code="body_too_large")
    if isinstance(exc, BadRequest | SuspiciousOperation | MultiPartParserError):
        return Problem(400, "the request cannot be understood")
    return None


DETAILS = {
    400: "the request cannot be understood",
    403: "this is not allowed",
    404: "nothing is here",
    405: "this method is not known here",
    413: "the body is larger than this server takes",
}


def is_api(path: str) -> bool:
    """Return whether answers to this path are problem documents when they are errors."""
    return path.startswith("/api/") or path == "/api"


def as_problem(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Return the problem document in place of an error page that something outside the API views made."""
    status = response.status_code
    if status == 503:
        problem = unavailable()
    elif status >= 500:
        problem = unexpected()
    else:
        problem = Problem(status, DETAILS.get(status, HTTPStatus(status).description or HTTPStatus(status).phrase))
    for name in ("Allow", "Retry-After", "WWW-Authenticate"):
        if name in response:
            problem.headers[name] = response[name]
    return problem_response(problem, request.path)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer a fault outside the API views (handler500): a problem document below /api/, a page elsewhere."""
    exc = sys.exc_info()[1]
    away = exc is not None and isinstance(exc, DatabaseError | InterfaceError) and is_unavailable(exc)
    if is_api(request.path):
        return problem_response(unavailable() if away else unexpected(), request.path)
    from django.views.defaults import server_error as page

    response: HttpResponse = page(request)
    if away:
        response.status_code = 503
        response["Retry-After"] = str(RETRY_SECONDS_WITHOUT_DATABASE)
    return response
