"""The body of a request: its type, its size as sent and as unpacked, and its encoding."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Protocol

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, RawPostDataException, UnreadablePostError
from rest_framework.request import Request

from core.api.problems import Problem

CHUNK = 64 * 1024
JSON = ("application/json",)
# 16 + 15 bits: a gzip wrapper; 15 bits: a zlib wrapper, which is what "deflate" means (RFC 9110, 8.4.1.2).
WINDOW_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def read_body(
    request: HttpRequest | Request, *, content_types: tuple[str, ...] = JSON, limit: int | None = None
) -> bytes:
    """Return the whole body, unpacked; at most `limit` bytes as sent and as unpacked (MAX_BODY_BYTES unless given).

    An empty tuple of content types takes any. Reading again returns the same.

    Raises Problem 415 for another content type, charset or encoding, 413 for a larger body (also one that only
    unpacks to more), 400 for a body that does not unpack or ends early.
    """
    http = _django(request)
    most = settings.MAX_BODY_BYTES if limit is None else limit
    if content_types:
        require_content_type(http, content_types)
    known: bytes | None = getattr(http, "unpacked_body", None)
    if known is None:
        known = http.unpacked_body = _unpacked_body(http, most)  # type: ignore[attr-defined]  # kept for a second reader
    elif len(known) > most:
        raise too_large(most)
    return known


def _unpacked_body(http: HttpRequest, most: int) -> bytes:
    encoding = http.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if encoding not in {"", "identity", *WINDOW_BITS}:
        raise Problem(
            415,
            f"bodies in {encoding} are not taken; send gzip, deflate or none",
            code="unsupported_encoding",
            headers={"Accept-Encoding": "gzip, deflate, identity"},
        )
    raw = _raw(http, most)
    return _unpacked(raw, WINDOW_BITS[encoding], most) if encoding in WINDOW_BITS else raw


def require_content_type(request: HttpRequest | Request, content_types: tuple[str, ...]) -> str:
    """Return the content type of the body; raises Problem 415 when it is none of these or not UTF-8."""
    http = _django(request)
    sent = (http.content_type or "").lower()
    if sent not in content_types:
        raise Problem(
            415,
            f"the body must be {' or '.join(content_types)}, not {sent or 'of no type'}",
            headers={"Accept": ", ".join(content_types)},
        )
    charset = (http.content_params or {}).get("charset", "utf-8").strip('"').lower()
    if charset not in {"utf-8", "utf8", "us-ascii"}:
        raise Problem(415, f"the body must be UTF-8, not {charset}", code="unsupported_charset")
    return sent


def too_large(limit: int) -> Problem:
    """Return the problem for a body over the limit."""
    return Problem(413, f"the body is larger than {limit} bytes", code="body_too_large")


def _django(request: HttpRequest | Request) -> HttpRequest:
    return request._request if isinstance(request, Request) else request


def _raw(request: HttpRequest, limit: int) -> bytes:
    declared = _declared_length(request)
    if declared is not None and declared > limit:
        raise too_large(limit)
    try:
        if declared is None and request.META.get("wsgi.input_terminated"):
            # Sent in chunks, without a length: Django would take the body for empty.
            body = b"".join(_limited(request.META["wsgi.input"], limit))
        else:
            body = request.body
    except RequestDataTooBig as error:
        raise too_large(limit) from error
    except (UnreadablePostError, RawPostDataException, OSError) as error:
        raise Problem(400, "the body ended before its declared length", code="incomplete_body") from error
    if len(body) > limit:
        raise too_large(limit)
    if declared is not None and len(body) != declared:
        raise Problem(400, "the body ended before its declared length", code="incomplete_body")
    return body


def _declared_length(request: HttpRequest) -> int | None:
    text: str = request.META.get("CONTENT_LENGTH") or ""
    return int(text) if text.isdecimal() else None


def _limited(stream: _Readable, limit: int) -> Iterator[bytes]:
    total = 0
    while chunk := stream.read(CHUNK):
        total += len(chunk)
        if total > limit:
            raise too_large(limit)
        yield chunk


def _unpacked(packed: bytes, window_bits: int, limit: int) -> bytes:
    """Unpack without ever holding more than `limit` bytes; several gzip members in a row are one body."""
    parts: list[bytes] = []
    total = 0
    rest = packed
    try:
        while rest:
            unpacker: Any = zlib.decompressobj(window_bits)
            part = unpacker.decompress(rest, limit + 1 - total)
            total += len(part)
            if total > limit:
                raise too_large(limit)
            if not unpacker.eof:
                raise Problem(400, "the compressed body ends early", code="incomplete_body")
            parts.append(part)
            rest = unpacker.unused_data
    except zlib.error as error:
        raise Problem(400, "the body does not unpack", code="malformed_encoding") from error
    return b"".join(parts)
