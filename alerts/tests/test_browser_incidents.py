"""Incidents and schedules in a real browser: taken on a telephone at night, readable by everybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from alerts.models import Incident, OnCallSchedule, Override, Runbook
from alerts.services import escalation, incidents
from alerts.tests.incident_case import alert, bare, channel, manual, pageable, policy, schedule
from core.tests.people import administrator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bare")]
__all__ = ["bare"]
SignIn = Callable[[User], None]


def _night() -> tuple[Incident, OnCallSchedule]:
    """One incident that escalates, with alerts, a checklist and a note; one schedule with a gap."""
    now = timezone.now()
    ada, grace = pageable("ada"), pageable("grace")
    found = schedule(now, ada, grace, zone="Europe/Berlin")
    found.rotations.update(ends_at=now + timedelta(days=5))
    runbook = Runbook.objects.create(slug="r", title="Slow", checklist=["Look", "Restart"], updated_at=now)
    incident = manual(now, policy(ada, found, channel(now)), runbook=runbook, alerts=(alert(now, agent="a"),))
    escalation.run(now)
    incidents.add_note(incident.pk, "seen", now=now)
    incidents.assign_role(incident.pk, grace, "commander", now=now)
    return incident, found


@pytest.mark.parametrize("page", ["narrow"], indirect=True)
def test_incident__on_a_telephone__is_taken_with_two_taps(page: Any, sign_in: SignIn) -> None:
    incident, _ = _night()
    sign_in(administrator())
    page.goto(f"/admin/alerts/incident/{incident.pk}/change/")

    page.click(".oncall-buttons a:has-text('Acknowledge')")
    page.click("#modal-content button:has-text('I have it')")
    page.wait_for_selector("text=root has it until")

    incident.refresh_from_db()
    assert (incident.status, incident.acknowledged_by) == ("acknowledged", "root")
    assert page.locator(".oncall-buttons a").first.inner_text() == "Resolve"


def test_incident__step_ticked_by_keyboard__stays_ticked(page: Any, sign_in: SignIn) -> None:
    incident, _ = _night()
    sign_in(administrator())
    page.goto(f"/admin/alerts/incident/{incident.pk}/change/")

    page.focus("button[aria-label='Restart']")
    page.keyboard.press("Enter")
    page.wait_for_selector("button[aria-label='Restart'][aria-pressed='true']")

    assert incident.checklist.get(position=2).done_by == "root"


def test_schedule__override_from_the_dialog__is_in_the_calendar(page: Any, sign_in: SignIn) -> None:
    _, found = _night()
    pageable("eve")
    sign_in(administrator())
    page.goto(f"/admin/alerts/oncallschedule/{found.pk}/change/")

    page.click("a:has-text('Override') >> visible=true")
    page.select_option("#modal-content select[name=user]", label="eve")
    page.click("#modal-content button:has-text('Take over')")
    page.wait_for_selector(".oncall-override:has-text('eve')")

    assert Override.objects.get().user.username == "eve"


@pytest.mark.parametrize("page", ["light", "dark", "narrow"], indirect=True)
def test_pages__in_each_look__keep_the_accessibility_rules_and_fit(
    page: Any, sign_in: SignIn, accessible: Callable[..., list[str]]
) -> None:
    incident, found = _night()
    sign_in(administrator())
    broken: dict[str, list[str]] = {}
    for address in (
        "/admin/alerts/incident/", f"/admin/alerts/incident/{incident.pk}/change/",
        f"/admin/alerts/incidents/{incident.pk}/postmortem/", f"/admin/alerts/oncallschedule/{found.pk}/change/",
        "/admin/alerts/escalationpolicy/", "/admin/alerts/contactmethod/add/", "/admin/alerts/reliability/",
    ):  # fmt: skip
        page.goto(address)
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found_here = accessible() + ([f"{wide} pixels too wide"] if wide > 0 else [])
        broken |= {address: found_here} if found_here else {}

    assert broken == {}
