"""Bodies: exact, typed, limited, with every mistake named at once."""

from __future__ import annotations

import gzip
import io
import time
import zlib
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.test import Client, RequestFactory

from core.api.body import read_body
from core.api.decoding import Mistakes, decode_bytes
from core.api.problems import Problem
from core.tests.api import Thing, bearer, new_key

JSON = "application/json"
MANY = {("/title", "min_length"), ("/parts/0/weight", "min_value")}


def _mistakes(body: bytes) -> tuple[int, set[tuple[str, str]]]:
    with pytest.raises(Mistakes) as found:
        decode_bytes(body, Thing)
    return found.value.status, {(error.pointer, error.code) for error in found.value.errors}


def _request(body: bytes, **headers: Any) -> WSGIRequest:
    return RequestFactory().post("/api/v1/echo", body, **{"content_type": JSON, **headers})


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        (b"0.1", "0.1"),
        (b'"0.1"', "0.1"),
        (b"12345678901234567890123456.123456789012", "12345678901234567890123456.123456789012"),
        (b"1e-12", "0.000000000001"),
        (b"0", "0"),
    ],
)
def test_decode__amount__keeps_every_digit(text: bytes, amount: str) -> None:
    thing = decode_bytes(b'{"title": "a", "amount": ' + text + b"}", Thing)

    assert thing.amount == Decimal(amount)
    assert isinstance(thing.amount, Decimal)


@pytest.mark.parametrize(
    ("amount", "status", "code"),
    [
        (b"NaN", 400, "malformed_json"),
        (b"Infinity", 400, "malformed_json"),
        (b'"NaN"', 422, "not_finite"),
        (b'"-Infinity"', 422, "not_finite"),
        (b'"sNaN"', 422, "not_finite"),
        (b"1e400", 422, "not_exact"),
        (b"1e999999999", 422, "not_exact"),
        (b'"1e-999999999"', 422, "not_exact"),
        (b"1e30", 422, "not_exact"),
        (b"0.0000000000001", 422, "not_exact"),
        (b"-0.01", 422, "min_value"),
        (b'"ten"', 400, "wrong_format"),
        (b"true", 400, "wrong_type"),
        (b'"0x10"', 400, "wrong_format"),
    ],
)
def test_decode__amount_that_is_none__is_refused_at_once(amount: bytes, status: int, code: str) -> None:
    begun = time.perf_counter()

    found = _mistakes(b'{"title": "a", "amount": ' + amount + b"}")

    assert found == (status, {("" if code == "malformed_json" else "/amount", code)})
    assert time.perf_counter() - begun < 1


def test_decode__many_mistakes__are_named_all_at_once() -> None:
    body = (
        b'{"amount": "x", "at": 5, "count": "1", "owner": "me", "parts": [{"weight": 1}, {"weight": -1}, {}, {"x": 1}],'
        b' "labels": {"a/b": 1}, "colour": "red"}'
    )

    assert _mistakes(body) == (
        400,
        {
            ("/title", "required"),
            ("/amount", "wrong_format"),
            ("/at", "wrong_type"),
            ("/count", "wrong_type"),
            ("/owner", "wrong_format"),
            ("/parts/1/weight", "min_value"),
            ("/parts/2/weight", "required"),
            ("/parts/3/weight", "required"),
            ("/parts/3/x", "unknown_field"),
            ("/labels/a~1b", "wrong_type"),
            ("/colour", "unknown_field"),
        },
    )


@pytest.mark.parametrize(
    ("body", "status", "found"),
    [
        (b"", 400, {("", "required")}),
        (b"{", 400, {("", "malformed_json")}),
        (b'{"title": "a",}', 400, {("", "malformed_json")}),
        (b'{"title": 5, "x": nonsense}', 400, {("", "malformed_json")}),
        (b"\xff\xfe", 400, {("", "malformed_json")}),
        (b"[]", 400, {("", "wrong_type")}),
        (b"null", 400, {("", "wrong_type")}),
        (b'{"title": null}', 400, {("/title", "wrong_type")}),
        (b'{"title": "\\ud800"}', 400, {("", "malformed_json")}),
        (b'{"title": "a", "title": "b"}', 400, {("/title", "repeated_field")}),
        (b'{"title": "a", "extra": {"x": {"y": 1, "y": 2}}}', 400, {("/y", "repeated_field")}),
        (b'{"title": "a", "extra": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}", 400, {("", "malformed_json")}),
        (b'{"title": ""}', 422, {("/title", "min_length")}),
        (b'{"title": "%s"}' % (b"a" * 21), 422, {("/title", "max_length")}),
        (b'{"title": "", "parts": [{"weight": -1}]}', 422, MANY),
        (b'{"title": "forbidden"}', 422, {("", "invalid")}),
        (b'{"title": "a\\u0000"}', 422, {("/title", "nul_character")}),
        (b'{"title": "a", "extra": {"x": ["\\u0000"]}}', 422, {("/extra/x/0", "nul_character")}),
        (b'{"title": "a", "labels": {"\\u0000": "b"}}', 422, {("/labels/\x00", "nul_character")}),
        (b'{"title": "a", "at": "2026-11-20T10:00:00"}', 422, {("/at", "offset_missing")}),
        (b'{"title": "a", "at": "2026-11-20"}', 400, {("/at", "wrong_format")}),
        (b'{"title": "a", "at": "0001-01-01T00:00:00+14:00"}', 422, {("/at", "out_of_range")}),
        (b'{"title": "a", "count": 9223372036854775808}', 422, {("/count", "out_of_range")}),
        (b'{"title": "a", "count": ' + b"9" * 100_000 + b"}", 422, {("/count", "out_of_range")}),
        (b'{"title": "a", "extra": {"x": 1e999}}', 422, {("/extra/x", "out_of_range")}),
    ],
)  # fmt: skip
def test_decode__wrong_body__is_refused_with_pointers(body: bytes, status: int, found: set[tuple[str, str]]) -> None:
    begun = time.perf_counter()

    assert _mistakes(body) == (status, found)
    assert time.perf_counter() - begun < 1


def test_decode__ten_thousand_mistakes__names_the_first_hundred() -> None:
    body = b'{"title": "a", "parts": [' + b",".join([b"{}"] * 10_000) + b"]}"

    with pytest.raises(Mistakes) as found:
        decode_bytes(body, Thing)

    assert len(found.value.errors) == 100


@pytest.mark.django_db
@pytest.mark.urls("core.tests.api")
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (JSON, 200),
        (f"{JSON}; charset=UTF-8", 200),
        (f"{JSON}; charset=latin-1", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_body__content_type__must_be_json(client: Client, content_type: str, status: int) -> None:
    response = client.post("/api/v1/echo", b'{"title": "a"}', content_type, headers=bearer(new_key()))

    assert response.status_code == status
    assert ("Accept" in response) == (status == 415 and "latin" not in content_type)


@pytest.mark.django_db
@pytest.mark.urls("core.tests.api")
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZIP", gzip.compress), ("identity", bytes)],
)
def test_body__packed__is_unpacked(client: Client, encoding: str, pack: Any) -> None:
    headers = {"Content-Encoding": encoding, **bearer(new_key())}

    response = client.post("/api/v1/echo", pack(b'{"title": "packed"}'), JSON, headers=headers)

    assert (response.status_code, response.json()["title"]) == (200, "packed")


def test_body__several_gzip_members__are_one_body() -> None:
    packed = gzip.compress(b'{"title"') + gzip.compress(b': "a"}')

    assert read_body(_request(packed, HTTP_CONTENT_ENCODING="gzip")) == b'{"title": "a"}'


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        (b"x" * 1001, "identity", 413, "body_too_large"),
        (gzip.compress(b"x" * 1001), "gzip", 413, "body_too_large"),
        (gzip.compress(bytes(200_000_000)), "gzip", 413, "body_too_large"),
        (zlib.compress(b"x" * 1001), "deflate", 413, "body_too_large"),
        (gzip.compress(b"x" * 600) * 2, "gzip", 413, "body_too_large"),
        (gzip.compress(b"{}")[:-4], "gzip", 400, "incomplete_body"),
        (b"not packed", "gzip", 400, "malformed_encoding"),
        (b"{}", "br", 415, "unsupported_encoding"),
        (b"{}", "gzip, gzip", 415, "unsupported_encoding"),
    ],
    # Names of their own: packed bytes hold the time of packing, and every worker must find the same tests.
    ids=["plain", "gzip", "bomb", "deflate", "members", "cut off", "not packed", "unknown", "twice"],
)
def test_body__too_large_or_broken__is_refused(
    body: bytes, encoding: str, status: int, code: str, settings: Any
) -> None:
    settings.MAX_BODY_BYTES = 300_000 if len(body) > 10_000 else 1000

    with pytest.raises(Problem) as refused:
        read_body(_request(body, HTTP_CONTENT_ENCODING=encoding))

    assert (refused.value.status, refused.value.code) == (status, code)


def test_body__declared_larger_than_allowed__is_refused_unread() -> None:
    request = _request(b"{}", CONTENT_LENGTH=str(settings.MAX_BODY_BYTES + 1))

    with pytest.raises(Problem) as refused:
        read_body(request)

    assert refused.value.status == 413
    assert request.META["wsgi.input"].read() == b"{}"


def test_body__shorter_than_declared__is_refused() -> None:
    with pytest.raises(Problem) as refused:
        read_body(WSGIRequest({**_request(b"{}").META, "CONTENT_LENGTH": "100", "wsgi.input": io.BytesIO(b"{}")}))

    assert (refused.value.status, refused.value.code) == (400, "incomplete_body")


def _chunked(body: bytes) -> WSGIRequest:
    environ = _request(b"{}").META
    environ.pop("CONTENT_LENGTH", None)
    return WSGIRequest({**environ, "wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True})


def test_body__sent_in_chunks_without_length__is_read_whole_and_again() -> None:
    request = _chunked(b'{"title": "chunks"}')

    assert read_body(request) == read_body(request) == b'{"title": "chunks"}'


def test_body__sent_in_chunks_beyond_the_limit__is_refused(settings: Any) -> None:
    settings.MAX_BODY_BYTES = 100_000

    with pytest.raises(Problem) as refused:
        read_body(_chunked(b"x" * 100_001))

    assert refused.value.status == 413
