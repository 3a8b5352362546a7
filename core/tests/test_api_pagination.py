"""Pages by keyset: complete, without repetition, with cursors that cannot be made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from core.models import Job
from core.tests.api import bearer, new_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls("core.tests.api")]
START = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)


@pytest.fixture
def headers() -> dict[str, str]:
    return bearer(new_key())


def _make(count: int, *, first: int = 0) -> None:
    # Three of each instant: ties must not be lost at the edge of a page.
    Job.objects.bulk_create(
        Job(kind="thing", title=f"t{number}", created_at=START + timedelta(microseconds=number // 3))
        for number in range(first, first + count)
    )


def _walk(client: Client, address: str | None, headers: dict[str, str]) -> list[str]:
    titles: list[str] = []
    while address:
        page = client.get(address, headers=headers).json()
        titles += page["items"]
        address = page["next"]
    return titles


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20, 21, 500])
def test_pages__walked__show_everything_once_in_order(client: Client, headers: dict[str, str], limit: int) -> None:
    _make(20)

    titles = _walk(client, f"/api/v1/things?limit={limit}", headers)

    assert titles == list(Job.objects.order_by("-created_at", "-pk").values_list("title", flat=True))


def test_pages__rows_added_meanwhile__repeat_and_skip_nothing(client: Client, headers: dict[str, str]) -> None:
    _make(10)
    first = client.get("/api/v1/things?limit=4", headers=headers).json()
    _make(5, first=100)

    titles = first["items"] + _walk(client, first["next"], headers)

    assert sorted(titles) == sorted(f"t{number}" for number in range(10))


def test_pages__next__keeps_the_other_parameters(client: Client, headers: dict[str, str]) -> None:
    _make(3)

    address = client.get("/api/v1/things?limit=1&kind=a&kind=b", headers=headers).json()["next"]

    assert address.startswith("http://testserver/api/v1/things?limit=1&kind=a&kind=b&cursor=")


def test_pages__any_page__costs_one_query(
    client: Client, headers: dict[str, str], django_assert_num_queries: Any
) -> None:
    _make(30)
    address = client.get("/api/v1/things?limit=10", headers=headers).json()["next"]

    with django_assert_num_queries(1):
        client.get(address, headers=headers)


@pytest.mark.parametrize("cursor", ["x", "abc.def", "WyIxIl0", "%00", "W10.AAAA", "é"])
def test_pages__invalid_cursor__is_400(client: Client, headers: dict[str, str], cursor: str) -> None:
    response = client.get(f"/api/v1/things?cursor={cursor}", headers=headers)

    assert response.status_code == 400
    assert [error["pointer"] for error in response.json()["errors"]] == ["/cursor"]


def test_pages__cursor_of_another_list__is_400(client: Client, headers: dict[str, str]) -> None:
    from django.core import signing

    forged = signing.Signer(salt="cursor:/api/v1/others:created_at:True", sep=".").sign("WyIxIiwiMSJd")

    assert client.get(f"/api/v1/things?cursor={forged}", headers=headers).status_code == 400
