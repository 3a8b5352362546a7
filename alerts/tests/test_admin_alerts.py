"""The pages of alerts, silences and routing through the admin's own client."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from alerts.choices import AlertState
from alerts.models import Alert, InhibitRule, Receiver, Route, Silence, SweepState, TimeInterval
from alerts.tests.routing_case import alert, report, send
from core.models import AuditEntry
from core.tests.people import person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator() -> Client:
    return signed_in(person("maria", roles=("operations",), permissions=("alerts.view_alert",)))


def _act(client: Client, action: str, rows: list[Alert], **form: Any) -> Any:
    data = {"action": action, ACTION_CHECKBOX_NAME: [row.pk for row in rows], "_form_submitted": "1", **form}
    return client.post(f"{reverse('admin:alerts_alert_changelist')}?state=all", data, follow=True)


def test_alerts__acknowledged_in_bulk__by_the_person_with_the_reason(operator: Client) -> None:
    # given
    now = timezone.now()
    send(now, report("A", at=now), report("B", at=now))
    send(now, report("B", at=now, active=False))
    # when
    page = _act(operator, "acknowledge_selected", list(Alert.objects.all()), minutes=60, reason="on it")
    # then
    assert "1 alert(s) acknowledged. 1 were not" in page.content.decode()
    assert (alert(name="A").state, alert(name="A").acknowledged_by) == (AlertState.ACKNOWLEDGED, "maria")
    entry = AuditEntry.objects.get(action="alert.acknowledged")
    assert (entry.reason, entry.actor_label) == ("on it", "maria")


def test_alerts__silenced_from_the_list__exactly_these_labels(operator: Client) -> None:
    # given
    now = timezone.now()
    send(now, report("A", at=now, host="a"), report("A", at=now, host="b"))
    # when
    _act(operator, "silence_selected", [alert(labels__host="a")], minutes=60, reason="repair")
    # then
    silence = Silence.objects.get()
    assert [item["value"] for item in silence.matchers] == ["A", "a"]
    assert (silence.comment, silence.created_by) == ("repair", "maria")


def test_alerts__without_a_reason__nothing_happens(operator: Client) -> None:
    now = timezone.now()
    send(now, report(at=now))
    _act(operator, "resolve_selected", [alert()], reason="")
    assert alert().state == AlertState.FIRING


def test_alert_page__silenced_alert__says_by_what_and_whom_it_reaches(operator: Client) -> None:
    # given
    now = timezone.now()
    send(now, report(at=now, severity="low", host="<script>x</script>"))
    _act(operator, "silence_selected", [alert()], minutes=60, reason="repair")
    # when
    page = operator.get(reverse("admin:alerts_alert_change", args=[alert().pk])).content.decode()
    # then
    assert "Silenced until" in page
    assert "Goes to" in page
    assert "<script>x</script>" not in page


def test_alert_page__auditor__sees_no_button(operator: Client) -> None:
    # given
    now = timezone.now()
    send(now, report(at=now))
    auditor = signed_in(person("erik", roles=("auditor",), permissions=("alerts.view_alert",)))
    address = reverse("admin:alerts_alert_change", args=[alert().pk])
    # then
    assert "front_hand" in operator.get(address).content.decode()
    assert "front_hand" not in auditor.get(address).content.decode()
    assert auditor.post(f"{address}acknowledge/").status_code in {403, 404}


def test_silence__made_on_its_page__previewed_and_audited(operator: Client) -> None:
    # given
    now = timezone.now()
    send(now, report(at=now))
    local = timezone.localtime(now)
    form = {
        "matchers": 'alertname="Disk"', "starts_at": f"{local:%Y-%m-%dT%H:%M}", "comment": "repair",
        "ends_at": f"{local + timedelta(hours=2):%Y-%m-%dT%H:%M}", "time_zone": "Europe/Paris",
    }  # fmt: skip
    # when
    preview = operator.post(reverse("admin:alerts_silence_preview"), form).content.decode()
    made = operator.post(reverse("admin:alerts_silence_add"), form)
    # then
    assert "Hides 1 of the alerts that fire now" in preview
    assert made.status_code == 302
    assert Silence.objects.get().created_by == "maria"
    assert AuditEntry.objects.get(action="silence.created").reason == "repair"


def test_silence__mistake_in_its_matchers__told_in_preview_and_on_the_form(operator: Client) -> None:
    form = {"matchers": "alertname=~(", "comment": "x"}
    preview = operator.post(reverse("admin:alerts_silence_preview"), form).content.decode()
    page = operator.post(reverse("admin:alerts_silence_add"), form).content.decode()
    assert "no regular expression" in preview
    assert "no regular expression" in page
    assert not Silence.objects.exists()


def test_routing_page__labels_tried__marks_who_gets_it(operator: Client) -> None:
    # when
    page = operator.get(reverse("admin:alerts_routing"), {"labels": "severity=critical"}).content.decode()
    wrong = operator.get(reverse("admin:alerts_routing"), {"labels": "severity=~x"}).content.decode()
    # then
    assert "routing-reached" in page
    assert "write name=value" in wrong


def test_configuration__changed_in_the_admin__saved_by_services(operator: Client) -> None:
    # given
    root, receiver = Route.objects.get(parent=None), Receiver.objects.get(name="operations")
    route = {"name": "DB", "parent": root.pk, "position": 0, "matchers": "team=db", "receiver": receiver.pk}
    rule = {"name": "r", "source_matchers": "a=b", "target_matchers": "c=d", "equal": "x, y", "enabled": "on"}
    times = {"name": "nights", "time_zone": "UTC", "intervals": '[{"weekdays": ["sunday"]}]'}
    # when
    statuses = [
        operator.post(reverse(f"admin:alerts_{name}_add"), form).status_code
        for name, form in (("route", route), ("inhibitrule", rule), ("timeinterval", times))
    ]
    # then
    assert statuses == [302, 302, 302]
    assert Route.objects.get(name="DB").matchers == [{"name": "team", "op": "=", "value": "db"}]
    assert InhibitRule.objects.get(name="r").equal == ["x", "y"]
    assert TimeInterval.objects.get().name == "nights"
    assert AuditEntry.objects.filter(action__endswith=".created", actor_label="maria").count() == 3


def test_route__root_removed_by_address__refused(operator: Client) -> None:
    root = Route.objects.get(parent=None)
    refused = operator.post(f"{reverse('admin:alerts_route_change', args=[root.pk])}remove/", {"reason": "x"})
    assert refused.status_code in {403, 404}
    assert Route.objects.filter(pk=root.pk).exists()


def test_now__nothing_wrong_and_something_wrong__says_so(operator: Client) -> None:
    # given
    SweepState.objects.update(finished_at=timezone.now())
    calm = operator.get(reverse("admin:alerts_now")).content.decode()
    now = timezone.now()
    send(now, report(at=now, severity="critical"))
    # when
    busy = operator.get(reverse("admin:alerts_now")).content.decode()
    # then
    assert "Nothing needs you" in calm
    assert "1 critical" in busy
    assert "Nothing needs you" not in busy
