"""Rules, heartbeats, runbooks and sweeps in the admin."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.kinds import KINDS
from alerts.models import Alert, AlertRule, Heartbeat, Runbook, SweepState
from alerts.services import evaluation
from alerts.services.rule_terms import RuleTerms
from alerts.services.rules import create_rule
from alerts.tests.ruling import NAME, Told, alone, offered, rule
from core.models import AuditEntry, Job
from core.tests.people import administrator, person, signed_in

pytestmark = pytest.mark.django_db
RULES = "/admin/alerts/alertrule/"
FORM = {
    "name": "Too much", "description": "", "severity": "high", "for_seconds": "0", "keep_firing_seconds": "0",
    "interval_seconds": "60", "cooldown_seconds": "0", "no_data": "resolve", "runbook": "",
    "rule_labels": "team = a", "rule_annotations": "say = {{ value }}",
    "p_metric": NAME, "p_comparison": ">", "p_threshold": "10", "p_window_seconds": "60", "p_labels": "", "p_by": "",
    "p_aggregate": "sum",
}  # fmt: skip


@pytest.fixture
def told() -> Iterator[Told]:
    with offered(Told()) as metric:
        alone()
        yield metric


@pytest.fixture
def client() -> Client:
    return signed_in(administrator())


def _page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, response
    return response.content.decode()


def test_rule__added_without_a_kind__asks_for_one(client: Client, told: Told) -> None:
    page = _page(client, f"{RULES}add/")

    assert all(f'href="?kind={name}"' in page for name in KINDS)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_rule__form_of_each_kind__has_a_field_for_each_parameter(client: Client, told: Told, kind: str) -> None:
    page = _page(client, f"{RULES}add/?kind={kind}")

    assert all(f'name="p_{name}"' in page for name in KINDS[kind].parameters.__struct_fields__)


def test_rule__added__is_off_until_it_is_switched_on(client: Client, told: Told) -> None:
    response = client.post(f"{RULES}add/?kind=threshold", FORM)

    made = AlertRule.objects.get()
    assert response.url == f"{RULES}{made.pk}/change/"  # type: ignore[attr-defined]  # a redirect
    assert (made.enabled, made.labels, made.annotations) == (False, {"team": "a"}, {"say": "{{ value }}"})
    assert made.parameters["threshold"] == "10"


def test_rule__impossible_values__are_said_at_their_fields(client: Client, told: Told) -> None:
    form = {**FORM, "p_metric": "test.gone", "rule_labels": "severity = high", "interval_seconds": "5"}

    page = client.post(f"{RULES}add/?kind=threshold", form).content.decode()

    assert "There is no metric test.gone." in page
    assert "The label severity is given by the rule itself." in page
    assert "A rule is evaluated every 10 to 86400 seconds." in page
    assert AlertRule.objects.count() == 0


def test_rule__changed__is_audited_with_what_was_before(client: Client, told: Told) -> None:
    made = rule(timezone.now())
    form = {**FORM, "seen_revision": "1", "enabled": "on", "p_threshold": "20"}

    client.post(f"{RULES}{made.pk}/change/", form)

    made.refresh_from_db()
    entry = AuditEntry.objects.get(action="alert_rule.changed")
    assert (made.parameters["threshold"], made.revision) == ("20", 2)
    assert entry.before["parameters"]["threshold"] == "10"


def test_rule__somebody_else_changed_it_meanwhile__is_not_overwritten(client: Client, told: Told) -> None:
    made = rule(timezone.now())
    AlertRule.objects.update(revision=5)

    form = {**FORM, "seen_revision": "1", "p_threshold": "20"}
    response = client.post(f"{RULES}{made.pk}/change/", form, follow=True)

    made.refresh_from_db()
    assert "changed by somebody else" in response.content.decode()
    assert made.parameters["threshold"] == "10"


def test_rule__tested_on_its_page__shows_values_and_opens_nothing(client: Client, told: Told) -> None:
    made = rule(timezone.now())
    told.say(one=11, two=3)

    page = _page(client, f"{RULES}{made.pk}/test/")

    assert "1 of 2 label sets would have an alert" in page
    assert ("agent=one" in page, Alert.objects.count()) == (True, 0)


def test_rule__back_tested_on_its_page__says_how_often_it_would_have_fired(client: Client, told: Told) -> None:
    made = rule(timezone.now())

    assert "would not have fired in the last 30 days" in _page(client, f"{RULES}{made.pk}/backtest/")


def test_rule__back_tested_as_a_job__starts_it(client: Client, told: Told) -> None:
    made = rule(timezone.now())

    client.post(f"{RULES}{made.pk}/backtest-job/", {"_form_submitted": "on", "days": "60"})

    assert Job.objects.get().arguments == {"rule": str(made.pk), "days": 60}


def test_rule__waits_for_its_metric__says_so_plainly(client: Client) -> None:
    waiting = AlertRule.objects.get(slug="latency-p95")
    AlertRule.objects.filter(pk=waiting.pk).update(parameters={**waiting.parameters, "metric": "slas.not_yet"})

    page = _page(client, f"{RULES}{waiting.pk}/change/")
    listed = _page(client, f"{RULES}?q=latency")

    assert "Waits for metric slas.not_yet" in page
    assert "Waiting" in listed


def test_rule__fires__is_marked_and_its_alerts_are_shown(client: Client, told: Told) -> None:
    made = rule(timezone.now())
    told.say(one=11)
    evaluation.run(timezone.now())

    assert "Firing" in _page(client, RULES)
    assert "agent=one" in _page(client, f"{RULES}{made.pk}/change/")


def test_rule__switched_off__keeps_the_reason_and_resolves(client: Client, told: Told) -> None:
    made = rule(timezone.now())
    told.say(one=11)
    evaluation.run(timezone.now())

    client.post(f"{RULES}{made.pk}/off/", {"_form_submitted": "on", "reason": "being rebuilt"})

    made.refresh_from_db()
    assert (made.enabled, Alert.objects.get().state) == (False, "resolved")
    assert AuditEntry.objects.get(action="alert_rule.changed").reason == "being rebuilt"


def test_rule__deleted__is_deleted_by_the_service(client: Client, told: Told) -> None:
    made = rule(timezone.now())

    client.post(f"{RULES}{made.pk}/delete/", {"post": "yes"})

    assert (AlertRule.objects.count(), AuditEntry.objects.filter(action="alert_rule.deleted").count()) == (0, 1)


def test_rule__auditor__may_look_and_test_and_not_change(told: Told) -> None:
    made = rule(timezone.now())
    auditor = signed_in(person(roles=("auditor",)))

    assert auditor.get(f"{RULES}{made.pk}/test/").status_code == 200
    assert auditor.get(f"{RULES}add/?kind=threshold").status_code == 403
    assert auditor.post(f"{RULES}{made.pk}/off/", {"_form_submitted": "on", "reason": "x"}).status_code == 403


def test_heartbeat__added__shows_the_command_that_beats(client: Client) -> None:
    client.post("/admin/alerts/heartbeat/add/", {"name": "nightly", "description": "The import"})

    page = _page(client, f"/admin/alerts/heartbeat/{Heartbeat.objects.get().pk}/change/")

    assert "/api/v1/alerts/heartbeats/nightly" in page


def test_runbook__written__is_shown_as_people_read_it_without_markup_of_its_own(client: Client) -> None:
    form = {"title": "Pump", "text": "# Look\n\n<script>alert(1)</script> at **it**", "steps": "Open, slowly\nWait"}
    client.post("/admin/alerts/runbook/add/", form)
    runbook = Runbook.objects.get()

    page = _page(client, f"/admin/alerts/runbook/{runbook.pk}/change/")

    assert runbook.checklist == ["Open, slowly", "Wait"]
    assert "<strong>it</strong>" in page
    assert "<script>alert(1)" not in page


def test_sweeps__one_has_stopped__is_marked(client: Client) -> None:
    SweepState.objects.filter(name="deliver").update(finished_at=timezone.now() - timedelta(hours=1))

    assert "Stopped" in _page(client, "/admin/alerts/sweepstate/")


def test_condition_rule__its_page__says_that_it_is_not_evaluated(client: Client, told: Told, now: Any) -> None:
    made = create_rule(RuleTerms(name="Pump", kind="condition", parameters={"source": "pump.*"}), now=now)

    assert "It is not evaluated" in _page(client, f"{RULES}{made.pk}/change/")
    assert "waits for what an app reports" in _page(client, f"{RULES}{made.pk}/test/")
