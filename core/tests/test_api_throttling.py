"""Rates: an upper bound per client over all processes, and one for addresses with wrong keys."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client, RequestFactory
from rest_framework.exceptions import Throttled

from core.api.throttling import client_address, forget_blocks, spend_request
from core.tests.api import bearer, new_key

MINUTE = 1_800_000_000.0


@pytest.fixture(autouse=True)
def _still_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    forget_blocks()
    monkeypatch.setattr("core.api.throttling.time.time", lambda: MINUTE + 20)


def _granted(client: str, limit: int, tries: int) -> int:
    granted = 0
    for _ in range(tries):
        try:
            spend_request(client, limit=limit)
            granted += 1
        except Throttled:
            pass
    return granted


@pytest.mark.parametrize("limit", [1, 7, 100, 250, 1000])
def test_rate__one_process__grants_exactly_the_limit(limit: int) -> None:
    assert _granted("a", limit, limit + 50) == limit


def test_rate__next_minute__begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _granted("a", 5, 9) == 5
    monkeypatch.setattr("core.api.throttling.time.time", lambda: MINUTE + 60)

    assert _granted("a", 5, 9) == 5


def test_rate__clients__do_not_share() -> None:
    assert _granted("a", 5, 9) == 5
    assert _granted("b", 5, 9) == 5


def test_rate__several_processes__never_exceed_the_limit() -> None:
    granted = 0
    for _ in range(30):
        granted += _granted("a", 1000, 40)
        forget_blocks()  # another process, without permits of its own

    assert 900 <= granted <= 1000


def test_rate__many_threads__grant_exactly_the_limit() -> None:
    granted: list[int] = []
    threads = [threading.Thread(target=lambda: granted.append(_granted("a", 500, 200))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(granted) == 500


@pytest.mark.django_db
def test_request__beyond_the_rate__is_429_that_says_when(client: Client, settings: Any) -> None:
    settings.API_RATE_LIMIT_PER_MINUTE = 2
    headers = bearer(new_key())

    answers = [client.get("/api/v1/whoami", headers=headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2]["Retry-After"] == "40"
    assert answers[2].json()["type"] == "urn:agent-factory:problem:throttled"


@pytest.mark.django_db
def test_request__limit_zero__is_never_refused(client: Client, settings: Any) -> None:
    settings.API_RATE_LIMIT_PER_MINUTE = 0
    headers = bearer(new_key())

    assert {client.get("/api/v1/whoami", headers=headers).status_code for _ in range(20)} == {200}


@pytest.mark.django_db
def test_request__many_wrong_keys__are_429_and_right_ones_still_pass(client: Client, settings: Any) -> None:
    settings.API_FAILURES_PER_MINUTE = 3

    answers = [client.get("/api/v1/whoami", headers=bearer(f"af_wrong_{number}")) for number in range(5)]

    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert client.get("/api/v1/whoami", headers=bearer(new_key())).status_code == 200
    elsewhere = client.get("/api/v1/whoami", headers=bearer("af_wrong"), REMOTE_ADDR="10.0.0.9")
    assert elsewhere.status_code == 401


@pytest.mark.parametrize(
    ("proxies", "forwarded", "address"),
    [
        (0, "1.1.1.1", "9.9.9.9"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        (2, "6.6.6.6, 1.1.1.1, 10.0.0.1", "1.1.1.1"),
        (2, "1.1.1.1", "9.9.9.9"),
        (1, "", "9.9.9.9"),
    ],
)
def test_client_address__forwarded__counts_as_far_as_our_proxies_wrote_it(
    settings: Any, proxies: int, forwarded: str, address: str
) -> None:
    settings.TRUSTED_PROXY_COUNT = proxies
    request = RequestFactory().get("/", REMOTE_ADDR="9.9.9.9", headers={"X-Forwarded-For": forwarded})

    assert client_address(request) == address
