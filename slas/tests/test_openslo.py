"""OpenSLO from outside: documents go in over HTTP, come out, go in again as the same, and are refused with a place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from core.tests.api import bearer, new_key
from slas.models import Service, Sli, Slo, SloRevision

pytestmark = pytest.mark.django_db
EXAMPLES = Path(settings.BASE_DIR).parent / "shared" / "data" / "openslo"
DOCUMENTS = """
apiVersion: openslo/v1
kind: Service
metadata: {name: shop, displayName: Shop}
spec: {description: Sells things}
---
apiVersion: openslo/v1
kind: DataSource
metadata: {name: prom}
spec: {type: Prometheus, connectionDetails: {url: "https://prometheus.example.com"}}
---
apiVersion: openslo/v1
kind: SLI
metadata: {name: availability, displayName: Availability}
spec:
  ratioMetric:
    counter: true
    good: {metricSource: {metricSourceRef: prom, spec: {query: 'sum(increase(ok[$window]))'}}}
    total: {metricSource: {metricSourceRef: prom, spec: {query: 'sum(increase(all[$window]))'}}}
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: availability, displayName: Shop is up}
spec:
  service: shop
  indicatorRef: availability
  timeWindow: [{duration: 1Q, isRolling: false, calendar: {startTime: "2026-01-01 00:00:00", timeZone: Europe/Paris}}]
  budgetingMethod: Occurrences
  objectives: [{target: 0.9995}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: latency, displayName: Shop is quick}
spec:
  service: shop
  indicator:
    metadata: {name: search, displayName: Search}
    spec: {thresholdMetric: {metricSource: {type: Datadog, spec: {query: p99}}}}
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Timeslices
  objectives:
    - {displayName: usual, op: lt, value: 500, target: 0.99, timeSliceWindow: 1m, timeSliceTarget: 0.95}
    - {displayName: worst, op: lt, value: 2000.5, target: 0.999, timeSliceWindow: 1m, timeSliceTarget: 0.95}
"""


@pytest.fixture
def api() -> Client:
    return Client(headers=bearer(new_key("slas:read", "slas:admin")))


def _take_in(api: Client, text: str, query: str = "") -> Any:
    return api.post(f"/api/v1/slas/openslo{query}", text, content_type="application/yaml")


def _state() -> list[dict[str, Any]]:
    """Return all that is known, without ids and instants."""
    left_out = {"id", "created_at", "service_id", "sli_id", "minutes_from"}
    models: list[Any] = [Service, Sli, Slo]
    return [
        {name: value for name, value in row.items() if name not in left_out}
        for model in models
        for row in model.objects.order_by("slug").values()
    ]


def test_openslo__documents__become_services_indicators_and_objectives(api: Client) -> None:
    done = _take_in(api, DOCUMENTS)

    assert done.status_code == 200, done.content
    assert [(step["kind"], step["name"], step["outcome"]) for step in done.json()["steps"]] == [
        ("service", "shop", "created"),
        ("sli", "shop/availability", "created"), ("sli", "shop/search", "created"), ("sli", "shop/search-2", "created"),
        ("slo", "shop/availability", "created"), ("slo", "shop/latency-1", "created"),
        ("slo", "shop/latency-2", "created"),
    ]  # fmt: skip
    up = Slo.objects.get(slug="availability")
    assert (up.target, up.calendar_unit, up.time_zone) == (Decimal("0.9995"), "quarter", "Europe/Paris")
    assert up.sli is not None
    assert (up.sli.source, up.sli.config["url"]) == ("prometheus", "https://prometheus.example.com")
    worst = Slo.objects.get(slug="latency-2")
    assert worst.sli is not None
    assert (worst.sli.operator, worst.sli.threshold, worst.sli.slice_seconds) == ("lt", Decimal("2000.5"), 60)
    assert worst.window_days == 28
    assert any("Datadog is not read from here" in warning for warning in done.json()["warnings"])


def test_openslo__exported_and_imported_again__changes_nothing(api: Client) -> None:
    _take_in(api, DOCUMENTS)
    before = _state()

    exported = api.get("/api/v1/slas/openslo").content.decode()
    again = _take_in(api, exported)

    assert {step["outcome"] for step in again.json()["steps"]} == {"unchanged"}
    assert _state() == before
    assert api.get("/api/v1/slas/openslo").content.decode() == exported


def test_openslo__exported_into_an_empty_installation__is_the_same(api: Client) -> None:
    _take_in(api, DOCUMENTS)
    before, exported = _state(), api.get("/api/v1/slas/openslo").content.decode()
    for model in (SloRevision, Slo, Sli, Service):
        model.objects.all().delete()

    done = _take_in(api, exported)

    assert done.status_code == 200, done.content
    assert _state() == before


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_openslo__examples_of_the_specification__go_in_come_out_and_go_in_the_same(api: Client, path: Path) -> None:
    first = _take_in(api, path.read_text())
    before = _state()

    again = _take_in(api, api.get("/api/v1/slas/openslo").content.decode())

    assert (first.status_code, again.status_code) == (200, 200), (first.content, again.content)
    assert {step["outcome"] for step in again.json()["steps"]} == {"unchanged"}
    assert _state() == before


def test_openslo__dry_run__says_what_would_be_and_writes_nothing(api: Client) -> None:
    tried = _take_in(api, DOCUMENTS, "?dry_run=1")

    assert (tried.status_code, tried.json()["dry_run"], len(tried.json()["steps"])) == (200, True, 7)
    assert not Service.objects.exists()


def test_openslo__new_target__is_a_new_revision(api: Client) -> None:
    _take_in(api, DOCUMENTS)

    done = _take_in(api, DOCUMENTS.replace("target: 0.9995", "target: 0.999"))

    changed = [step for step in done.json()["steps"] if step["outcome"] == "changed"]
    assert [(step["name"], step["fields"]) for step in changed] == [("shop/availability", ["target"])]
    assert SloRevision.objects.filter(slo__slug="availability").count() == 2


@pytest.mark.parametrize(
    ("old", "new", "pointer"),
    [
        ("target: 0.9995", "target: 1", "/3/spec/objectives/0/target"),
        ("target: 0.9995", "target: .nan", ""),
        ("duration: 1Q", "duration: 5Q", "/3/spec/timeWindow/0/duration"),
        ("duration: 1Q", "duration: soon", "/3/spec/timeWindow/0/duration"),
        ("Europe/Paris", "Europe/Atlantis", "/3/spec/timeWindow/0/calendar/timeZone"),
        ("indicatorRef: availability", "indicatorRef: nothing", "/3/spec/indicatorRef"),
        ("kind: DataSource", "kind: Database", "/1/kind"),
        ("apiVersion: openslo/v1\nkind: SLI", "apiVersion: openslo/v2\nkind: SLI", "/2/apiVersion"),
        ("name: shop,", "name: Shop One,", "/0/metadata/name"),
        ("op: lt, value: 500", "op: near, value: 500", "/4/spec/objectives/0/op"),
        ("value: 500", "value: much", "/4/spec/objectives/0/value"),
        ("timeSliceWindow: 1m, timeSliceTarget: 0.95}\n    - ", "target2: 1}\n    - ",
         "/4/spec/objectives/0/timeSliceWindow"),
        ("target: 0.9995", "target: 0.9995, compositeWeight: 2", "/3/spec/objectives/0/compositeWeight"),
        ("spec: {description: Sells things}", "spec: {description: &a [*a]}", ""),
        ("kind: Service", "kind: [", ""),
    ],
)  # fmt: skip
def test_openslo__unsound_document__is_refused_with_its_place_and_writes_nothing(
    api: Client, old: str, new: str, pointer: str
) -> None:
    assert old in DOCUMENTS

    refused = _take_in(api, DOCUMENTS.replace(old, new, 1))

    assert refused.status_code == 422, refused.content
    assert pointer in {error["pointer"] for error in refused.json()["errors"]}
    assert not Service.objects.exists()


def test_openslo__objective_the_platform_refuses__is_named_by_its_place(api: Client) -> None:
    refused = _take_in(api, DOCUMENTS.replace("duration: 4w", "duration: 400d"))

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"].startswith("/4/spec/objectives/0/")
    assert not Slo.objects.exists()


def test_openslo__indicator_of_another_kind__is_a_conflict(api: Client) -> None:
    _take_in(api, DOCUMENTS)
    before = _state()

    refused = _take_in(api, DOCUMENTS.replace("timeSliceWindow: 1m", "timeSliceWindow: 5m"))

    assert refused.status_code == 409
    assert "slice_seconds" in refused.json()["detail"]
    assert _state() == before


def test_openslo__bytes_that_are_no_text__are_malformed(api: Client) -> None:
    refused = api.post("/api/v1/slas/openslo", b"\xff\xfe", content_type="application/yaml")

    assert refused.status_code == 400


def test_openslo__key_bound_to_an_entity_or_without_the_scope__is_forbidden() -> None:
    bound = Client(headers=bearer(new_key("slas:read", "slas:admin", entity=("agent", "a"))))
    reader = Client(headers=bearer(new_key("slas:read")))

    assert bound.get("/api/v1/slas/openslo").status_code == 403
    assert _take_in(reader, DOCUMENTS).status_code == 403
