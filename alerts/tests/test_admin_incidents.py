"""Incidents in the admin, as people use them; the reliability page and the panel of the home page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import (
    Incident,
    Postmortem,
    Runbook,
)
from alerts.services import escalation, incidents, oncall
from alerts.services.incidents import ActionTerms
from alerts.tests.incident_case import alert, bare, manual, pageable, policy, schedule
from core.models import AuditEntry
from core.tests.people import person, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bare")]
__all__ = ["bare"]
INCIDENTS = "/admin/alerts/incident/"


@pytest.fixture
def ops() -> Client:
    return signed_in(person("olga", roles=("operations",)))


@pytest.fixture
def viewer() -> Client:
    return signed_in(person("victor", roles=("auditor",)))


def _page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def _act(client: Client, incident: Incident, act: str, **values: str) -> Any:
    return client.post(f"{INCIDENTS}{incident.pk}/{act}/", {"_form_submitted": "on", **values}, follow=True)


def test_list__by_state__shows_who_has_what(ops: Client) -> None:
    now = timezone.now()
    mine, theirs = manual(now, title="Mine"), manual(now, title="Theirs")
    incidents.acknowledge(mine.pk, now=now)

    every, waiting = _page(ops, INCIDENTS), _page(ops, f"{INCIDENTS}?state=unanswered")

    assert f"INC-{mine.number} Mine" in every
    assert "nobody" in every
    assert f"INC-{theirs.number} Theirs" in waiting
    assert "Mine" not in waiting


def test_add__by_hand__opens_through_the_service(ops: Client) -> None:
    answer = ops.post(
        f"{INCIDENTS}add/",
        {"title": "Login is down", "severity": "critical", "summary": "", "started_at": "2026-01-02T03:04",
         "runbook": "", "policy": ""},
    )  # fmt: skip

    incident = Incident.objects.get()
    assert answer.status_code == 302
    assert (incident.title, incident.resolves_itself) == ("Login is down", False)
    assert AuditEntry.objects.get(action="incident.opened").actor_label == "olga"


@pytest.mark.parametrize(
    ("act", "values", "status"),
    [("acknowledge", {"minutes": "60"}, "acknowledged"), ("mitigate", {}, "mitigated"), ("resolve", {}, "resolved")],
)
def test_button__moves_the_incident__in_ones_name(ops: Client, act: str, values: dict[str, str], status: str) -> None:
    incident = manual(timezone.now())

    answer = _act(ops, incident, act, reason="saw it", **values)

    incident.refresh_from_db()
    line = incident.timeline.last()
    assert answer.status_code == 200
    assert incident.status == status
    assert line is not None
    assert (line.actor, line.text) == ("olga", "saw it")


def test_buttons__of_a_resolved_incident__reopen_and_close(ops: Client) -> None:
    incident = manual(timezone.now())
    incidents.resolve(incident.pk, now=timezone.now())

    shown = _page(ops, f"{INCIDENTS}{incident.pk}/change/")
    refused = ops.get(f"{INCIDENTS}{incident.pk}/acknowledge/")

    assert f"{INCIDENTS}{incident.pk}/reopen" in shown
    assert f"{INCIDENTS}{incident.pk}/acknowledge" not in shown
    assert refused.status_code == 403


def test_page__escalating__says_who_is_next_how_and_when(ops: Client) -> None:
    now = timezone.now()
    ada, grace = pageable("ada"), pageable("grace")
    incident = manual(now, policy(ada, grace, wait=30))
    escalation.run(now)

    shown = _page(ops, f"{INCIDENTS}{incident.pk}/change/")

    assert "next grace by e-mail in 29 min" in shown
    assert "Told ada." in shown


def test_page__note_step_role_and_item__work_from_the_page(ops: Client) -> None:
    now = timezone.now()
    runbook = Runbook.objects.create(slug="r", title="R", checklist=["look"], updated_at=now)
    incident = manual(now, runbook=runbook)
    item = incidents.add_action_item(incident.pk, ActionTerms(title="limit"), now=now)
    role = incidents.assign_role(incident.pk, pageable("ada"), "scribe", now=now)
    base = f"/admin/alerts/incidents/{incident.pk}"

    for path, values in (("note/", {"text": "seen"}), ("steps/1/", {"done": "1"}), (f"items/{item.pk}/", {"done": "1"}),
                         (f"roles/{role.pk}/remove/", {})):  # fmt: skip
        assert ops.post(f"{base}/{path}", values).status_code == 302

    item.refresh_from_db()
    assert incident.timeline.filter(kind="note", text="seen", actor="olga").count() == 1
    assert incident.checklist.get().done_by == "olga"
    assert item.done_at is not None
    assert not incident.assignments.exists()


def test_page__hostile_texts__are_escaped(ops: Client) -> None:
    bad = "<script>alert(1)</script>"
    incident = manual(timezone.now(), title=bad, summary=bad, alerts=(alert(timezone.now(), bad),))
    incidents.add_note(incident.pk, bad, now=timezone.now())

    shown = _page(ops, f"{INCIDENTS}{incident.pk}/change/")

    assert bad not in shown
    assert shown.count("&lt;script&gt;") >= 4


def test_viewer__sees_the_page__and_changes_nothing(viewer: Client) -> None:
    incident = manual(timezone.now())

    shown = _page(viewer, f"{INCIDENTS}{incident.pk}/change/")
    note = viewer.post(f"/admin/alerts/incidents/{incident.pk}/note/", {"text": "x"})
    act = _act(viewer, incident, "acknowledge", minutes="60")

    incident.refresh_from_db()
    assert "Add note" not in shown
    assert (note.status_code, act.status_code) == (403, 403)
    assert (incident.status, incident.timeline.count()) == ("open", 1)


def test_link__from_the_dialog__adds_alerts_that_fire(ops: Client) -> None:
    now = timezone.now()
    incident, found, own = manual(now, alerts=()), alert(now), alert(now)
    incidents.link_alerts(incident.pk, [own.pk], now=now)

    _act(ops, incident, "link", alerts=str(own.pk))
    _act(ops, incident, "link", alerts=str(found.pk))

    assert set(incident.alerts.all()) == {own, found}
    assert incident.timeline.filter(kind="alert_linked").count() == 2


def test_merge__from_the_dialog__goes_to_the_other(ops: Client) -> None:
    now = timezone.now()
    source, target = manual(now), manual(now)

    _act(ops, source, "merge", into=str(target.pk), reason="same")

    source.refresh_from_db()
    assert source.merged_into == target


def test_postmortem__written_and_published__is_read_by_the_auditor(ops: Client, viewer: Client) -> None:
    incident = manual(timezone.now())
    incidents.resolve(incident.pk, now=timezone.now())
    address = f"/admin/alerts/incidents/{incident.pk}/postmortem/"

    ops.post(address, {"revision": "0", "summary": "It was <b>DNS</b>.", "impact": "", "root_causes": "", "lessons": "",
                       "publish": "1"})  # fmt: skip

    written = Postmortem.objects.get()
    shown = _page(viewer, address)
    assert written.published_at is not None
    assert "It was &lt;b&gt;DNS&lt;/b&gt;." in shown
    assert viewer.post(address, {"summary": "x"}).status_code == 403


def test_postmortem__stale_revision__keeps_what_was_typed(ops: Client) -> None:
    incident = manual(timezone.now())
    address = f"/admin/alerts/incidents/{incident.pk}/postmortem/"
    ops.post(address, {"revision": "0", "summary": "one"})
    ops.post(address, {"revision": "2", "summary": "two"})

    stale = ops.post(address, {"revision": "2", "summary": "three"})

    assert "Somebody else changed the postmortem meanwhile." in stale.content.decode()
    assert "three" in stale.content.decode()
    assert Postmortem.objects.get().summary == "two"


def test_reliability__row_of_a_month__leads_to_exactly_its_incidents(ops: Client) -> None:
    now = timezone.now()
    one, other = manual(now, severity="high"), manual(now, severity="low")
    incidents.acknowledge(one.pk, now=now + timedelta(minutes=5))

    shown = _page(ops, "/admin/alerts/reliability/?months=3")
    links = [part.split('"', 1)[0].replace("&amp;", "&") for part in shown.split('href="') if "opened_at__gte" in part]
    high = next(link for link in links if "severity__exact=high" in link)
    rows = _page(ops, high)

    assert f"INC-{one.number}" in rows
    assert f"INC-{other.number} " not in rows
    assert "5 min" in shown


def test_reliability__export__has_seconds(ops: Client) -> None:
    now = timezone.now()
    incident = manual(now, severity="high")
    incidents.acknowledge(incident.pk, now=now + timedelta(minutes=5))

    answer = ops.post("/admin/alerts/reliability/export/csv/?months=3")

    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[attr-defined]
    assert lines[1].split(",")[1:7] == ["all", "1", "1", "1", "0.0", "300.0"]


def test_home__panel__shows_what_is_open_and_who_is_on_call(ops: Client) -> None:
    now = timezone.now()
    incident = manual(now)
    schedule(now, pageable("ada"))
    assert oncall.check_schedules(now) == 0

    shown = _page(ops, "/admin/")

    assert f"INC-{incident.number} Login is down" in shown
    assert "On call now" in shown
    assert "ada" in shown
