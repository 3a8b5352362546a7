"""Schedules, policies and contact methods in the admin, as people use them."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from alerts.models import (
    CalendarFeed,
    ContactMethod,
    EscalationPolicy,
    OnCallSchedule,
    Override,
)
from alerts.tests.incident_case import bare, channel, pageable, policy, schedule
from core.models import AuditEntry
from core.tests.people import person, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bare")]
__all__ = ["bare"]
SCHEDULES = "/admin/alerts/oncallschedule/"


@pytest.fixture
def ops() -> Client:
    return signed_in(person("olga", roles=("operations",)))


def _page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def _rotation(prefix: str, **values: str) -> dict[str, str]:
    given = {"name": "main", "layer": "1", "kind": "daily", "turn_length": "1", "starts_at": "2026-03-02T09:00",
             "ends_at": "", "people": "ada\ngrace", "hours": ""} | values  # fmt: skip
    return {f"{prefix}-{name}": value for name, value in given.items()}


def _formset(initial: int, total: int) -> dict[str, str]:
    return {"rotations-TOTAL_FORMS": str(total), "rotations-INITIAL_FORMS": str(initial)}


def test_schedule__added_with_a_rotation__hands_over_in_its_own_zone(ops: Client) -> None:
    ada, grace = pageable("ada"), pageable("grace")
    head = {"name": "Berlin", "slug": "berlin", "time_zone": "Europe/Berlin"}

    answer = ops.post(
        f"{SCHEDULES}add/",
        {**head, **_formset(0, 1), **_rotation("rotations-0", hours="Mon 09:00 - Fri 17:00\n")},
    )

    found = OnCallSchedule.objects.get()
    rotation = found.rotations.get()
    assert answer.status_code == 302
    assert rotation.starts_at == datetime(2026, 3, 2, 9, tzinfo=ZoneInfo("Europe/Berlin"))
    assert [member.user for member in rotation.members.all()] == [ada, grace]
    assert rotation.restrictions == [{"from": "Mon 09:00", "to": "Fri 17:00"}]
    assert "2026-03-02T09:00" in _page(ops, f"{SCHEDULES}{found.pk}/change/")


@pytest.mark.parametrize(
    ("values", "message"),
    [({"people": "ada\nnobody"}, "There is nobody called nobody."), ({"hours": "Monday"}, "is not a weekday"),
     ({"ends_at": "2026-03-01T09:00"}, "It ends before it begins.")],
)  # fmt: skip
def test_schedule__rotation_that_makes_no_sense__is_refused(ops: Client, values: dict[str, str], message: str) -> None:
    pageable("ada")
    pageable("grace")
    head = {"name": "Berlin", "slug": "berlin", "time_zone": "Europe/Berlin"}

    answer = ops.post(f"{SCHEDULES}add/", {**head, **_formset(0, 1), **_rotation("rotations-0", **values)})

    assert message in answer.content.decode()
    assert not OnCallSchedule.objects.exists()


def test_schedule__place_of_a_deleted_account__survives_an_edit(ops: Client) -> None:
    found = schedule(timezone.now(), pageable("ada"), pageable("grace"))
    User.objects.get(username="ada").delete()
    rotation = found.rotations.get()
    lines = "ada (deleted)\ngrace\nolga"

    ops.post(
        f"{SCHEDULES}{found.pk}/change/",
        {"name": "Ops", "slug": found.slug, "time_zone": "UTC", **_formset(1, 1),
         **_rotation("rotations-0", people=lines), "rotations-0-id": str(rotation.pk),
         "rotations-0-schedule": str(found.pk)},
    )  # fmt: skip

    members = rotation.members.order_by("position")
    assert [(member.name, member.user is None) for member in members] == [
        ("ada", True), ("grace", False), ("olga", False),
    ]  # fmt: skip


def test_schedule_page__shows_calendar_gap_and_shares(ops: Client) -> None:
    now = timezone.now()
    found = schedule(now, pageable("ada"))
    found.rotations.update(ends_at=now + timedelta(days=3))

    shown = _page(ops, f"{SCHEDULES}{found.pk}/change/")

    assert "Nobody is on call for 648 hours in 1 gaps" in shown
    assert shown.count("oncall-gap") >= 10
    assert "Hours, the coming 90 days" in shown


def test_schedule_page__empty__explains_the_next_step(ops: Client) -> None:
    found = OnCallSchedule.objects.create(slug="e", name="E", time_zone="UTC", created_at=timezone.now())

    assert "Nobody is on call yet" in _page(ops, f"{SCHEDULES}{found.pk}/change/")


def test_override__by_dialog_in_the_schedules_zone__and_taken_back(ops: Client) -> None:
    found, eve = schedule(timezone.now(), pageable("ada"), zone="America/New_York"), pageable("eve")
    tomorrow = timezone.now().astimezone(ZoneInfo("America/New_York")) + timedelta(days=1)

    ops.post(
        f"{SCHEDULES}{found.pk}/override/",
        {
            "_form_submitted": "on",
            "user": str(eve.pk),
            "starts_at": f"{tomorrow:%Y-%m-%dT08:00}",
            "ends_at": f"{tomorrow:%Y-%m-%dT20:00}",
        },
    )
    override = Override.objects.get()
    ops.post(f"/admin/alerts/schedules/{found.pk}/overrides/{override.pk}/remove/")

    assert override.starts_at == tomorrow.replace(hour=8, minute=0, second=0, microsecond=0)
    assert not Override.objects.exists()


def test_calendar_address__is_shown_once_and_opens(ops: Client) -> None:
    found = schedule(timezone.now(), pageable("ada"))

    shown = ops.post(f"{SCHEDULES}{found.pk}/calendar/", {"_form_submitted": "on"}, follow=True).content.decode()

    address = shown.split("<code>", 1)[1].split("</code>", 1)[0]
    assert CalendarFeed.objects.get().schedule == found
    assert b"BEGIN:VEVENT" in Client().get(address).content
    assert "<code>" not in _page(ops, f"{SCHEDULES}{found.pk}/change/")


def test_fairness_export__csv__has_everybody_and_is_audited(ops: Client) -> None:
    found = schedule(timezone.now(), pageable("ada"), pageable("grace"))

    answer = ops.post(f"/admin/alerts/schedules/{found.pk}/fairness/next/csv/")

    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "person,hours,night hours,weekend hours"
    assert sum(float(line.split(",")[1]) for line in lines[1:]) == pytest.approx(90 * 24, abs=1.1)
    assert AuditEntry.objects.filter(action="oncallschedule.fairness_exported").count() == 1
    assert ops.post(f"/admin/alerts/schedules/{uuid.uuid4()}/fairness/next/csv/").status_code == 404


def test_policy__steps_in_another_order__are_saved_by_position(ops: Client) -> None:
    now = timezone.now()
    ada, chat = pageable("ada"), channel(now)
    plan = policy(ada, chat)
    first, second = plan.steps.all()
    steps = {"steps-TOTAL_FORMS": "2", "steps-INITIAL_FORMS": "2"}
    for number, (step, position) in enumerate(((first, 2), (second, 1))):
        steps |= {
            f"steps-{number}-id": str(step.pk), f"steps-{number}-policy": str(plan.pk),
            f"steps-{number}-position": str(position), f"steps-{number}-user": str(step.user_id or ""),
            f"steps-{number}-schedule": "", f"steps-{number}-channel": str(step.channel_id or ""),
            f"steps-{number}-wait_minutes": "7",
        }  # fmt: skip

    answer = ops.post(
        f"/admin/alerts/escalationpolicy/{plan.pk}/change/",
        {"name": plan.name, "repeats": "1", "is_default": "on", **steps},
    )

    assert answer.status_code == 302
    assert [str(step.user or step.channel) for step in plan.steps.order_by("position")] == ["ops", "ada"]
    assert EscalationPolicy.objects.get(is_default=True) == plan


def test_policy__without_a_step__is_refused(ops: Client) -> None:
    answer = ops.post(
        "/admin/alerts/escalationpolicy/add/",
        {"name": "P", "repeats": "0", "steps-TOTAL_FORMS": "1", "steps-INITIAL_FORMS": "0",
         "steps-0-position": "1", "steps-0-wait_minutes": "5"},
    )  # fmt: skip

    assert "Choose one: a person, a schedule or a channel." in answer.content.decode()
    assert not EscalationPolicy.objects.exists()


def test_contact_methods__of_operations__are_their_own(ops: Client) -> None:
    foreign = ContactMethod.objects.get(user=pageable("ada"))
    olga = User.objects.get(username="olga")
    body = {"kind": "email", "address": "olga@example.org", "delay_minutes": "0", "least_severity": "info",
            "enabled": "on", "user": str(foreign.user.pk)}  # fmt: skip

    ops.post("/admin/alerts/contactmethod/add/", body)
    shown = _page(ops, "/admin/alerts/contactmethod/")

    assert ContactMethod.objects.get(user=olga).address == "olga@example.org"
    assert "ada-0@example.org" not in shown
    assert ops.get(f"/admin/alerts/contactmethod/{foreign.pk}/change/").status_code == 302
    foreign.refresh_from_db()


def test_contact_methods__of_everybody__are_for_security_administrators() -> None:
    ada = pageable("ada")
    security = signed_in(person("sam", roles=("security_admin",)))
    body = {"kind": "email", "address": "second@example.org", "delay_minutes": "10", "least_severity": "high",
            "enabled": "on", "user": str(ada.pk)}  # fmt: skip

    answer = security.post("/admin/alerts/contactmethod/add/", body)

    assert answer.status_code == 302
    assert "ada-0@example.org" in _page(security, "/admin/alerts/contactmethod/")
    assert ContactMethod.objects.filter(user=ada).count() == 2


def test_contact_method__wrong_address__is_named(ops: Client) -> None:
    body = {"kind": "email", "address": "nowhere", "delay_minutes": "0", "least_severity": "info", "enabled": "on"}

    answer = ops.post("/admin/alerts/contactmethod/add/", body)

    assert "Not an e-mail address." in answer.content.decode()
    assert not ContactMethod.objects.exists()
