"""The header `Idempotency-Key` of requests that record or create."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.body import read_body
from core.api.rendering import CONTENT_TYPE
from core.idempotency import Outcome, once

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
KEPT_HEADERS = ("Location",)


class _Refused(Exception):
    """Carries an error answer out of the transaction, which is rolled back with it."""

    def __init__(self, response: HttpResponse) -> None:
        super().__init__()
        self.response = response


def idempotent(request: Request, work: Callable[[datetime], HttpResponse]) -> HttpResponse:
    """Answer with `work(now)`, done in one transaction; with an Idempotency-Key, done once per client and address.

    The same key and content answers as the first time, with `Idempotent-Replayed: true`; other content is a 409.
    An answer of 400 and above, raised or returned, rolls everything back and is not kept.
    """
    now = timezone.now()
    key = request.headers.get(HEADER)
    try:
        if key is None:
            with transaction.atomic():
                return _kept(work(now))
        outcome = once(
            lambda: _outcome(_kept(work(now))),
            client=caller(request).family,
            operation=_operation(request),
            key=key,
            content_hash=content_hash(request),
            now=now,
        )
    except _Refused as refused:
        return refused.response
    return _response(outcome)


def content_hash(request: Request) -> str:
    """Return the hash of what is asked for: the address and the JSON body without its layout."""
    body = read_body(request, content_types=())
    try:
        # Numbers stay text: 0.10 and 0.1 are the same to a person and not to a hash, but nothing is lost on the way.
        canonical = json.dumps(json.loads(body, parse_float=str, parse_int=str), sort_keys=True).encode()
    except (ValueError, RecursionError):
        canonical = body
    return hashlib.sha256(request.get_full_path().encode() + b"\n" + canonical).hexdigest()


def _operation(request: Request) -> str:
    match = request.resolver_match
    return f"{request.method} {match.view_name or match.route if match else request.path}"[:100]


def _kept(response: HttpResponse) -> HttpResponse:
    if response.status_code >= 400:
        raise _Refused(response)
    return response


def _outcome(response: HttpResponse) -> Outcome:
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    # The body is kept as text: a JSON column would reorder its members.
    return Outcome(response.status_code, {"body": response.content.decode(), "headers": headers})


def _response(outcome: Outcome) -> HttpResponse:
    answer: dict[str, Any] = outcome.answer
    response = HttpResponse(answer["body"], content_type=CONTENT_TYPE, status=outcome.status, headers=answer["headers"])
    if outcome.replayed:
        response[REPLAYED] = "true"
    return response
