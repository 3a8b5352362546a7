"""Capacity from outside: agents spend over HTTP, the resource is measured, forecast, told of, and cleared."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from core.models import AuditEntry, ConditionRecord
from core.tests.api import bearer, new_key
from slas.models import CapacityResource, CapacitySample
from slas.services import capacity

pytestmark = pytest.mark.django_db
RESOURCE = {"slug": "spend", "name": "Daily spend", "metric": "costs.spend", "limit": "30", "statistic": "total"}


@pytest.fixture
def api() -> Client:
    key = new_key("slas:read", "slas:admin", "costs:write")
    return Client(headers=bearer(key))


def _post(api: Client, path: str, body: Any, **headers: str) -> Any:
    return api.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)


def _spend(api: Client, amount: int, at: datetime) -> None:
    answer = _post(
        api,
        "financial/costs",
        {"cost_type": "compute", "amount": str(amount), "currency": "USD", "entity_type": "agent",
         "entity_id": "builder", "occurred_at": at.isoformat()},
    )  # fmt: skip
    assert answer.status_code == 201, answer.content


def _measured_spend(api: Client, today: datetime, days: int = 14) -> CapacityResource:
    """Spend 1, 2, … on the days before today and measure; returns the resource."""
    for day in range(days):
        _spend(api, day + 1, today - timedelta(days=days - day))
    made = _post(api, "slas/capacity", RESOURCE)
    assert made.status_code == 201, made.content
    assert capacity.measure_all(now=today) == 1
    return CapacityResource.objects.get(slug="spend")


def _noon() -> datetime:
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=1)


def test_capacity__spending_that_grows__is_measured_forecast_and_told_of(api: Client) -> None:
    # Given 1 to 14 a day, so 13 is the level and 24 of the limit is usable
    now = _noon()
    resource = _measured_spend(api, now)

    assert capacity.forecast_all(now=now) == 1

    answer = api.get(f"/api/v1/slas/capacity/{resource.pk}/forecast").json()
    day = now.date()
    assert (answer["level"], answer["slope"], answer["history_days"]) == (13.0, 1.0, 14)
    assert answer["exhausts"]["expected"] == (day + timedelta(days=11)).isoformat()
    told = ConditionRecord.objects.get(source="slas.capacity")
    assert (told.firing, told.severity) == (True, "high")
    assert (day + timedelta(days=11)).isoformat() in told.summary


def test_capacity__limit_is_raised__clears_by_itself(api: Client) -> None:
    now = _noon()
    resource = _measured_spend(api, now)
    capacity.forecast_all(now=now)

    changed = api.patch(
        f"/api/v1/slas/capacity/{resource.pk}", json.dumps({"limit": "300"}), content_type="application/json"
    )
    capacity.forecast_all(now=now)

    assert (changed.status_code, changed.json()["limit"]) == (200, "300")
    assert not ConditionRecord.objects.get(source="slas.capacity").firing
    assert AuditEntry.objects.filter(action="capacity_resource.changed").count() == 1


def test_capacity__two_workers_read_the_same_hours__one_writes(api: Client) -> None:
    now = _noon()
    resource = _measured_spend(api, now)
    stale = CapacityResource.objects.get()
    later = now + timedelta(hours=2)
    _spend(api, 7, now + timedelta(minutes=30))

    first = capacity.measure_one(CapacityResource.objects.get(), now=later)
    second = capacity.measure_one(stale, now=later)

    assert (first, second) == (True, False)
    assert CapacitySample.objects.get(resource=resource, day=now.date()).total == 7.0


def test_capacity__metric_with_several_series__says_so_and_holds_nothing_up(api: Client) -> None:
    now = _noon()
    for name in ("one", "two"):
        budget = {"name": name, "entity_type": "agent", "entity_id": name, "amount": "10", "period": "monthly"}
        key = new_key("budgets:write")
        assert _post(Client(headers=bearer(key)), "financial/budgets", budget).status_code == 201
    _post(api, "slas/capacity", {**RESOURCE, "slug": "b", "metric": "costs.budget.usage_ratio", "statistic": "p95"})

    _measured_spend(api, now)

    assert "several series" in CapacityResource.objects.get(slug="b").last_error


def test_capacity__senseless_terms__are_named_each_and_nothing_is_made(api: Client) -> None:
    unknown = _post(api, "slas/capacity", {**RESOURCE, "metric": "no.such", "limit": "-1", "headroom_ratio": "1"})
    label = _post(api, "slas/capacity", {**RESOURCE, "labels": {"colour": "red"}})

    assert unknown.status_code == label.status_code == 422
    assert {error["pointer"] for error in unknown.json()["errors"]} == {"/metric", "/limit", "/headroom_ratio"}
    assert [error["pointer"] for error in label.json()["errors"]] == ["/labels"]
    assert not CapacityResource.objects.exists()


@pytest.mark.parametrize("limit", ["NaN", "1e40", "0", True])
def test_capacity__limit_that_is_no_amount__is_refused(api: Client, limit: object) -> None:
    refused = _post(api, "slas/capacity", {**RESOURCE, "limit": limit})

    assert refused.status_code in {400, 422}
    assert not CapacityResource.objects.exists()


def test_capacity__slug_that_is_taken_or_a_repeat__is_a_conflict_or_the_first_answer(api: Client) -> None:
    first = _post(api, "slas/capacity", RESOURCE, **{"Idempotency-Key": "one"})
    again = _post(api, "slas/capacity", RESOURCE, **{"Idempotency-Key": "one"})
    other = _post(api, "slas/capacity", RESOURCE)

    assert (first.status_code, other.status_code) == (201, 409)
    assert again.json() == first.json()
    assert CapacityResource.objects.count() == 1


def test_capacity__page__says_when_it_runs_out(api: Client) -> None:
    now = _noon()
    resource = _measured_spend(api, now)
    capacity.forecast_all(now=now)
    person = Client()
    person.force_login(User.objects.create_superuser("ada"))

    page = person.get(reverse("admin:slas_capacityresource_change", args=[resource.pk])).content.decode()
    listed = person.get(reverse("admin:slas_capacityresource_changelist")).content.decode()

    assert f"is reached on {now.date() + timedelta(days=11)} (in 11 days)" in page
    assert "(in 11 days)" in listed


def test_capacity__deleted__takes_its_condition_along(api: Client) -> None:
    now = _noon()
    resource = _measured_spend(api, now)
    capacity.forecast_all(now=now)

    gone = api.delete(f"/api/v1/slas/capacity/{resource.pk}")

    assert gone.status_code == 204
    assert not ConditionRecord.objects.get(source="slas.capacity").firing
    assert api.get(f"/api/v1/slas/capacity/{resource.pk}/forecast").status_code == 404
