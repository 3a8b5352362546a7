"""Status pages from outside: public only when published, nothing internal, no data is grey, feeds, caching, load."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.errors import Conflict, Invalid
from core.models import AuditEntry
from core.ports.conditions import Condition, clear_condition, raise_condition
from slas.models import StatusComponent, StatusIncident, StatusMaintenance, StatusPage
from slas.services import status_pages
from slas.statuspage import build
from slas.tests.contract_case import exclude, indicator, minute
from slas.tests.status_case import objective, status_page

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_cached() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def at() -> datetime:
    return timezone.now().replace(second=0, microsecond=0)


def _json(slug: str = "acme") -> dict[str, Any]:
    cache.clear()
    return dict(json.loads(Client().get(f"/status/{slug}/status.json").content))


def _states(slug: str = "acme") -> dict[str, str]:
    return {item["slug"]: item["state"] for item in _json(slug)["components"]}


PATHS = ("", "/acme", "/acme/status.json", "/acme/feed.xml", "/acme/badge.svg", "/acme/badges/api.svg")


@pytest.mark.parametrize("path", PATHS)
def test_public__published_page__answers_without_a_login(at: datetime, path: str) -> None:
    status_page(at)

    answer = Client().get(f"/status{path}")

    assert answer.status_code == 200
    assert "Cookie" not in answer.get("Vary", "")
    assert not answer.cookies
    assert answer["Cache-Control"] == "public, max-age=30, stale-while-revalidate=60"


@pytest.mark.parametrize("path", PATHS)
def test_public__private_page__is_404_as_if_it_did_not_exist(at: datetime, path: str) -> None:
    status_page(at, published=False)

    assert Client().get(f"/status{path}").status_code == 404


def test_public__page__holds_nothing_that_was_not_put_on_it(at: datetime) -> None:
    page = status_page(at)
    sli = page.components.get(slug="api").slo.sli  # type: ignore[union-attr]  # made so
    assert sli is not None
    made = exclude(sli, at + timedelta(hours=1), at + timedelta(hours=2), reason="internal words")
    StatusMaintenance.objects.create(page=page, exclusion=made, title="Upgrade")
    raise_condition(Condition("slas.burn", "x", "high", "internal words", {"service": sli.service.slug}), now=at)
    status_pages.propose(now=at)

    answers = [Client().get(f"/status{path}").content.decode() for path in PATHS]

    for text in answers:
        for word in ("internal words", "ecret", sli.service.slug, str(sli.pk), "Problems with"):
            assert word not in text
    assert "Upgrade" in answers[1]


def test_public__page__asks_no_other_machine_and_runs_no_script(at: datetime) -> None:
    status_page(at)

    answer = Client().get("/status")

    text = answer.content.decode()
    assert "<script" not in text
    assert set(re.findall(r'(?:src|href)="(?:https?:)?//([^/"]+)', text)) == {"testserver"}
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")


def test_bars__days_without_data__are_grey_and_never_green(now: datetime) -> None:
    page = status_page(now)

    shown = build(page, now=now)

    bars = shown.components[0].bars
    tones = [bar.tone for bar in bars]
    assert len(tones) == 90
    assert tones[-3:] == ["bad", "good", "good"]
    assert set(tones[:-3]) == {"none"}
    assert shown.components[0].uptime == "71.428 % over 90 days"
    assert shown.components[1].bars == []


def test_state__without_recent_data__is_no_data(at: datetime) -> None:
    page = status_page(at)

    shown = build(page, now=at + timedelta(hours=1))

    assert [row.state for row in shown.components] == ["no_data", "operational"]
    assert shown.components[0].label == "No data"


@pytest.mark.parametrize(("bad", "state"), [(0, "operational"), (50, "degraded"), (500, "major")])
def test_state__by_recent_failures__is_what_the_component_says(at: datetime, bad: int, state: str) -> None:
    page = status_page(at)
    sli = page.components.get(slug="api").slo.sli  # type: ignore[union-attr]  # made so
    assert sli is not None

    minute(sli, at - timedelta(minutes=2), good=0, bad=bad)

    assert _states()["api"] == state


def test_state__forced_by_a_person__goes_before_what_is_measured(at: datetime) -> None:
    page = status_page(at)
    page.components.filter(slug="api").update(forced="partial")

    found = _json()

    assert (found["components"][0]["state"], found["status"]["summary"]) == ("partial", "Some systems are down")


def test_incident__told_updated_and_resolved__is_followed_everywhere(at: datetime) -> None:
    page = status_page(at)
    now = at - timedelta(minutes=5)
    incident = status_pages.tell_incident(
        page.pk, title="Slow answers", text="We look.", now=now, impact="partial", components=["web"]
    )
    during = _states()
    status_pages.update_incident(incident.pk, stage="identified", text="<b>Found</b>", now=now + timedelta(minutes=1))
    status_pages.update_incident(incident.pk, stage="resolved", text="Over.", now=now + timedelta(minutes=2))

    cache.clear()
    page_text = Client().get("/status").content.decode()
    feed = ET.fromstring(Client().get("/status/acme/feed.xml").content)  # our own

    assert (during["web"], _states()["web"]) == ("partial", "operational")
    assert "&lt;b&gt;Found&lt;/b&gt;" in page_text
    assert [item.findtext("title") for item in feed.iter("item")] == [
        "Slow answers: Resolved", "Slow answers: Identified", "Slow answers: Investigating",
    ]  # fmt: skip
    with pytest.raises(Conflict):
        status_pages.update_incident(incident.pk, stage="monitoring", text="x", now=at)
    assert AuditEntry.objects.filter(action="status_incident.updated").count() == 2


def test_incident__unknown_component_or_empty_text__is_refused(at: datetime) -> None:
    page = status_page(at)

    for values in ({"components": ["nope"]}, {"text": " "}, {"impact": "no_data"}, {"stage": "done"}):
        with pytest.raises(Invalid):
            status_pages.tell_incident(page.pk, **({"title": "T", "text": "x", "now": at} | values))  # type: ignore[arg-type]  # wrong on purpose

    assert not StatusIncident.objects.exists()


def test_maintenance__from_an_exclusion__is_shown_ahead_and_under_way(at: datetime) -> None:
    page = status_page(at)
    sli = page.components.get(slug="api").slo.sli  # type: ignore[union-attr]  # made so
    assert sli is not None
    made = exclude(sli, at - timedelta(minutes=5), at + timedelta(hours=1))
    shown = StatusMaintenance.objects.create(page=page, exclusion=made, title="Upgrade", text="Short breaks.")
    shown.components.set([page.components.get(slug="web")])

    found = _json()
    made.withdrawn_at = at
    made.save()

    assert (found["maintenance"][0]["running"], found["components"][1]["state"]) == (True, "maintenance")
    assert _json()["maintenance"] == []


def test_proposal__from_a_condition__is_told_only_by_a_person_and_ends_with_it(at: datetime) -> None:
    page = status_page(at)
    slo = page.components.get(slug="api").slo
    assert slo is not None
    condition = Condition("slas.burn", str(slo.pk), "critical", "internal", {"service": slo.service.slug})
    raise_condition(condition, now=at)
    assert (status_pages.propose(now=at), status_pages.propose(now=at)) == (1, 0)
    proposal = StatusIncident.objects.get()
    before = _json()["incidents"]

    status_pages.publish_proposal(proposal.pk, title="API is down", text="We look.", impact="major", now=at)
    clear_condition(condition, now=at)
    status_pages.propose(now=at)

    after = _json()["incidents"]
    assert (proposal.title, proposal.impact, before) == ("Problems with API", "major", [])
    assert [(row["title"], row["stage"], row["resolved_at"]) for row in after] == [
        ("API is down", "investigating", None)
    ]


def test_proposal__whose_condition_is_over__is_marked_over(at: datetime) -> None:
    page = status_page(at)
    slo = page.components.get(slug="api").slo
    assert slo is not None
    condition = Condition("slas.budget", str(slo.pk), "high", "x", {"service": slo.service.slug})
    raise_condition(condition, now=at)
    status_pages.propose(now=at)

    clear_condition(condition, now=at)
    status_pages.propose(now=at)

    assert StatusIncident.objects.get().resolved_at == at


def test_load__many_components_incidents_and_asks__is_a_constant_number_of_queries_and_cached(at: datetime) -> None:
    page = status_page(at)
    with CaptureQueriesContext(connection) as few:
        Client().get("/status")
    for number in range(20):
        slo = objective(indicator())
        StatusComponent.objects.create(page=page, slug=f"c{number}", name="C", slo=slo, position=9)
        status_pages.tell_incident(page.pk, title="T", text="x", now=at, components=[f"c{number}"])
    cache.clear()

    with CaptureQueriesContext(connection) as many:
        Client().get("/status")
    with CaptureQueriesContext(connection) as cached:
        for _ in range(50):
            Client().get("/status")

    assert len(many) <= len(few) + 2
    assert len(cached) == 0


def test_etag__asked_again__is_304(at: datetime) -> None:
    status_page(at)
    first = Client().get("/status")

    again = Client().get("/status", headers={"If-None-Match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_public__anything_but_reading__is_405(at: datetime, method: str) -> None:
    status_page(at)

    assert getattr(Client(), method)("/status").status_code == 405


def test_publish_and_withdraw__change_who_sees_the_page(at: datetime) -> None:
    page = status_page(at, published=False)

    status_pages.publish_page(page.pk, now=at)
    public = Client().get("/status/acme").status_code
    status_pages.withdraw_page(page.pk, reason="wrong", now=at)
    cache.clear()

    assert (public, Client().get("/status/acme").status_code) == (200, 404)
    with pytest.raises(Conflict):
        status_pages.withdraw_page(page.pk, reason="wrong", now=at)


def test_publish__without_a_component__is_refused(at: datetime) -> None:
    page = StatusPage.objects.create(slug="x", title="X", time_zone="UTC", created_at=at)

    with pytest.raises(Conflict):
        status_pages.publish_page(page.pk, now=at)


def test_badge__says_the_state_in_words(at: datetime) -> None:
    status_page(at)

    svg = Client().get("/status/acme/badges/api.svg").content.decode()

    assert 'aria-label="API: Operational"' in svg
    assert Client().get("/status/acme/badges/nope.svg").status_code == 404
