"""Query parameters: typed, the unknown refused, times with their offset."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from core.api.moments import Moment
from core.tests.api import bearer, new_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls("core.tests.api")]


def test_query__right_values__are_typed(client: Client) -> None:
    response = client.get(
        "/api/v1/echo?since=2026-11-20&kind=a,b&kind=c&most=3&at=2026-11-20T10:00:00%2B01:00", headers=bearer(new_key())
    )

    assert response.json() == {
        "since": "Moment(2026-11-20)",
        "kind": ["a", "b", "c"],
        "most": 3,
        "at": "2026-11-20T10:00:00+01:00",
    }


@pytest.mark.parametrize(
    ("given", "status", "pointer", "code"),
    [
        ("sinse=2026-11-20", 400, "/sinse", "unknown_parameter"),
        ("most=many", 400, "/most", "wrong_type"),
        ("most=1.5", 400, "/most", "wrong_type"),
        ("most=", 400, "/most", "wrong_type"),
        ("most=1&most=2", 400, "/most", "repeated_parameter"),
        ("most=0", 422, "/most", "min_value"),
        ("limit=501", 422, "/limit", "max_value"),
        ("since=yesterday", 400, "/since", "wrong_format"),
        ("since=2026-11-20T10:00:00", 400, "/since", "wrong_format"),
        ("since=2026-02-30", 400, "/since", "wrong_format"),
        ("at=2026-11-20T10:00:00", 422, "/at", "offset_missing"),
        ("at=2026-11-20", 400, "/at", "wrong_format"),
        ("kind=%00", 400, "/kind", "nul_character"),
    ],
)
def test_query__wrong_value__is_refused(client: Client, given: str, status: int, pointer: str, code: str) -> None:
    response = client.get(f"/api/v1/echo?{given}", headers=bearer(new_key()))

    assert response.status_code == status
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [(pointer, code)]


def test_query__several_mistakes__are_named_all_at_once(client: Client) -> None:
    response = client.get("/api/v1/echo?most=x&since=x&colour=red", headers=bearer(new_key()))

    assert response.status_code == 400
    assert {error["pointer"] for error in response.json()["errors"]} == {"/most", "/since", "/colour"}


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2026-11-20", "UTC", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20", "Europe/Berlin", datetime(2026, 11, 19, 23, tzinfo=UTC)),
        ("2026-11-20T10:00:00+02:00", "Europe/Berlin", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2026-11-20T10:00:00.5Z", "UTC", datetime(2026, 11, 20, 10, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_moment__day_or_time__is_one_instant(text: str, zone: str, instant: datetime) -> None:
    assert Moment.from_text(text).instant(ZoneInfo(zone)) == instant
