"""Security events, detection rules and automation in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import AutomationRule, AutomationRun, DetectionRule
from alerts.tests.guarding import failures, told
from alerts.tests.test_automation import alert
from core.apikeys import create_key
from core.models import AuditEntry
from core.tests.people import administrator, person, signed_in

pytestmark = pytest.mark.django_db
RULES = "/admin/alerts/automationrule/"
DETECTIONS = "/admin/alerts/detectionrule/"
FORM = {
    "name": "Suspend it",
    "matchers": 'alertname="key-spend-jump", severity=~"high|critical"',
    "action": "core.suspend_key",
    "core_suspend_key__key": "{{ labels.api_key }}",
    "enabled": "on",
    "dry_run": "on",
    "runs_per_hour": "3",
}


@pytest.fixture
def client() -> Client:
    return signed_in(administrator())


def test_automation__added_by_the_form__is_saved_by_the_service(client: Client) -> None:
    answer = client.post(f"{RULES}add/", FORM)

    rule = AutomationRule.objects.get()
    assert answer.status_code == 302
    assert (rule.arguments, rule.dry_run, rule.created_by) == ({"key": "{{ labels.api_key }}"}, True, "root")
    assert rule.matchers[1] == {"name": "severity", "op": "=~", "value": "high|critical"}
    assert AuditEntry.objects.get(action="automationrule.added").after["action"] == "core.suspend_key"


def test_automation__changed_by_the_form__keeps_its_arguments_and_audits_the_difference(client: Client) -> None:
    client.post(f"{RULES}add/", FORM)
    rule = AutomationRule.objects.get()
    page = client.get(f"{RULES}{rule.pk}/change/").content.decode()

    client.post(f"{RULES}{rule.pk}/change/", {**FORM, "dry_run": ""})

    assert "{{ labels.api_key }}" in page
    assert "alertname=&quot;key-spend-jump&quot;" in page
    rule.refresh_from_db()
    assert (rule.dry_run, rule.arguments) == (False, {"key": "{{ labels.api_key }}"})
    assert AuditEntry.objects.get(action="automationrule.changed").after == {"dry_run": False}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"core_suspend_key__key": ""}, "Key is required"),
        ({"matchers": "alertname=~("}, "matchers"),
        ({"matchers": ""}, "This field is required"),
        ({"action": "core.explode"}, "Select a valid choice"),
        ({"runs_per_hour": "-1"}, "greater than or equal to 0"),
    ],
)
def test_automation__senseless__is_said_at_the_field(client: Client, change: dict[str, str], words: str) -> None:
    page = client.post(f"{RULES}add/", {**FORM, **change})

    assert page.status_code == 200
    assert words in page.content.decode()
    assert not AutomationRule.objects.exists()


def test_automation__by_somebody_who_may_not_suspend_keys__is_refused() -> None:
    page = signed_in(person("ops", roles=("operations",))).post(f"{RULES}add/", FORM).content.decode()

    assert "core.change_apikey" in page
    assert not AutomationRule.objects.exists()


def test_automation__tried__says_what_it_would_do_and_does_nothing(client: Client) -> None:
    key = create_key("agent", scopes=["costs:read"], now=timezone.now()).key
    client.post(f"{RULES}add/", {**FORM, "matchers": "alertname=key-spend-jump"})
    rule = AutomationRule.objects.get()
    alert(timezone.now(), "key-spend-jump", api_key=key.prefix)

    client.post(f"{RULES}{rule.pk}/try/", {"_form_submitted": "on"})

    assert f"would suspend {key}" in client.get(RULES).content.decode()
    key.refresh_from_db()
    assert (key.suspended_at, AutomationRun.objects.count()) == (None, 0)


def _rule(**changes: Any) -> dict[str, Any]:
    rule = DetectionRule.objects.get(slug="failed-logins-per-user")
    names = ("name", "slug", "description", "kind", "severity")
    form = {name: getattr(rule, name) for name in names}
    return {**form, "parameters": '{"steps": [{"kinds": ["login"]}], "group_by": ["user"]}', **changes}


def test_detection__changed_by_an_operator__is_audited_and_checked(client: Client) -> None:
    rule = DetectionRule.objects.get(slug="failed-logins-per-user")
    address = f"{DETECTIONS}{rule.pk}/change/"

    refused = client.post(address, _rule(parameters='{"steps": []}')).content.decode()
    client.post(address, _rule(severity="low"))

    rule.refresh_from_db()
    assert "length &gt;= 1" in refused
    assert (rule.severity, rule.enabled, rule.parameters["threshold"]) == ("low", False, 1)
    assert AuditEntry.objects.get(action="detectionrule.changed").after["severity"] == "low"


def test_detection__built_in__cannot_be_deleted(client: Client) -> None:
    rule = DetectionRule.objects.get(slug="mass-export")

    assert client.post(f"{DETECTIONS}{rule.pk}/delete/", {"post": "yes"}).status_code == 403


def test_detection__tried__says_what_it_would_have_found(client: Client) -> None:
    failures(10, timezone.now())
    rule = DetectionRule.objects.get(slug="failed-logins-per-user")

    client.post(f"{DETECTIONS}{rule.pk}/try/", {"_form_submitted": "on"})

    assert "It would have fired for 1: user maria." in client.get(DETECTIONS).content.decode()


def test_alert__of_a_threat__leads_to_everything_the_one_behind_it_did(client: Client) -> None:
    from alerts.models import Alert
    from alerts.services import detection

    failures(10, timezone.now())
    detection.run(timezone.now())

    page = client.get(
        f"/admin/alerts/alert/{Alert.objects.get(name='failed-logins-per-user').pk}/change/"
    ).content.decode()

    assert 'href="/admin/alerts/forensics/?user=maria&amp;period=7d"' in page


def test_event__page__leads_to_everything_its_actor_did(client: Client) -> None:
    event = told("login", timezone.now(), outcome="failure")

    page = client.get(f"/admin/alerts/securityevent/{event.pk}/change/").content.decode()

    assert "/admin/alerts/forensics/?user=id-maria&amp;period=7d" in page
    assert "/admin/alerts/forensics/?address=198.51.100.7&amp;period=7d" in page
