"""Incidents: one per group, states by compare-and-swap, timelines that write themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alerts.choices import EscalationStatus, IncidentRole, IncidentStatus, NotificationStatus
from alerts.models import EscalationRun, Incident, IncidentAlert, Notification, Runbook
from alerts.services import incidents
from alerts.services.incidents import ActionTerms, IncidentChange, NewIncident, PostmortemText
from alerts.tests.incident_case import alert, channel, group, manual, opened, pageable, policy, resolved
from core.context import Actor, Context, acting
from core.errors import Conflict, Invalid, Missing
from core.models import AuditEntry

pytestmark = pytest.mark.django_db
ADA = Context(actor=Actor("user", "7", "ada"))
MINUTE = timedelta(minutes=1)


def _kinds(incident: Incident) -> list[str]:
    return list(incident.timeline.values_list("kind", flat=True))


def test_open_for_group__first_flush__opens_with_shared_labels_and_the_earliest_start(now: datetime) -> None:
    first, second = alert(now, agent="a", region="eu"), alert(now, agent="b", region="eu")

    incident = opened(now, first, second)

    assert incident.title == "Slow"
    assert incident.labels == {"team": "a", "alertname": "Slow", "region": "eu"}
    assert incident.started_at == now - 2 * MINUTE
    assert _kinds(incident) == ["opened", "alert_linked", "alert_linked"]
    assert AuditEntry.objects.filter(action="incident.opened", subject_id=str(incident.pk)).count() == 1


def test_title__one_alert_several_and_several_names__has_no_counts_that_change(now: datetime) -> None:
    one = alert(now)
    one.annotations = {"summary": "p99 is 9 s"}

    titles = [opened(now, *of).title for of in ([one], [alert(now), alert(now)], [alert(now), alert(now, "Errors")])]

    assert titles == ["p99 is 9 s", "Slow", "Slow and 1 more"]


def test_open_for_group__later_flush__links_what_is_new_and_raises_the_severity(now: datetime) -> None:
    of, first, second = group(now), alert(now), alert(now)
    incident = opened(now, first, of=of, severity="medium")

    again = opened(now, first, second, of=of, severity="critical")
    opened(now, first, second, of=of, severity="low")

    assert again == incident
    assert Incident.objects.get().severity == "critical"
    assert _kinds(incident) == ["opened", "alert_linked", "alert_linked", "severity_raised"]


def test_numbers__two_incidents__follow_one_another(now: datetime) -> None:
    first, second = manual(now), opened(now)

    assert second.number == first.number + 1


def test_group_resolved__all_alerts_over__resolves_with_a_line_each(now: datetime) -> None:
    of, found = group(now), alert(now)
    incident = opened(now, found, of=of)
    resolved(found, now + MINUTE)

    incidents.group_resolved(of, now=now + 2 * MINUTE)

    incident.refresh_from_db()
    assert (incident.status, incident.resolved_at) == (IncidentStatus.RESOLVED, now + 2 * MINUTE)
    assert incident.acknowledged_at is None
    assert _kinds(incident) == ["opened", "alert_linked", "alert_resolved", "resolved"]


def test_group_resolved__alert_linked_from_elsewhere_fires__stays_open(now: datetime) -> None:
    of, own, other = group(now), alert(now), alert(now)
    incident = opened(now, own, of=of)
    incidents.link_alerts(incident.pk, [other.pk], now=now)
    resolved(own, now)

    incidents.group_resolved(of, now=now)

    incident.refresh_from_db()
    assert incident.status == IncidentStatus.OPEN


def test_follow_alerts__manual_incident_with_alerts_over_for_ten_minutes__resolves_itself(now: datetime) -> None:
    found = alert(now)
    incident = manual(now, alerts=(found,))
    resolved(found, now)

    early = incidents.follow_alerts(now + 9 * MINUTE)
    late = incidents.follow_alerts(now + 11 * MINUTE)
    again = incidents.follow_alerts(now + 12 * MINUTE)

    incident.refresh_from_db()
    assert (early, late, again) == (1, 1, 0)
    assert incident.status == IncidentStatus.RESOLVED


def test_group_fires_again__after_resolution__opens_another_incident(now: datetime) -> None:
    of = group(now)
    first = opened(now, of=of)
    incidents.resolve(first.pk, now=now)

    second = opened(now + MINUTE, of=of)

    assert second.pk != first.pk
    with pytest.raises(Conflict, match="Another incident"):
        incidents.reopen(first.pk, now=now)


def test_acknowledge__by_ada__keeps_who_until_when_and_stops_paging(now: datetime) -> None:
    incident = opened(now, by=policy(pageable("grace")))

    with acting(ADA):
        taken = incidents.acknowledge(incident.pk, reason="on it", now=now + MINUTE)

    assert (taken.status, taken.acknowledged_by) == (IncidentStatus.ACKNOWLEDGED, "ada")
    assert (taken.acknowledged_at, taken.acknowledged_until) == (now + MINUTE, now + MINUTE + timedelta(hours=4))
    assert EscalationRun.objects.get().status == EscalationStatus.STOPPED
    line = taken.timeline.last()
    assert line is not None
    assert (line.kind, line.actor, line.text) == ("acknowledged", "ada", "on it")


def test_acknowledge__and_give_back__takes_the_alerts_along(now: datetime) -> None:
    found = alert(now)
    incident = opened(now, found)
    with acting(ADA):
        incidents.acknowledge(incident.pk, until=now + timedelta(hours=1), now=now)
    found.refresh_from_db()
    taken = (found.state, found.acknowledged_by, found.acknowledged_until)

    incidents.unacknowledge(incident.pk, now=now + MINUTE)

    found.refresh_from_db()
    assert taken == ("acknowledged", "ada", now + timedelta(hours=1))
    assert (found.state, found.acknowledged_until) == ("firing", None)


def test_acknowledge__by_another__takes_over_and_keeps_the_first_answer(now: datetime) -> None:
    incident = manual(now)
    with acting(ADA):
        incidents.acknowledge(incident.pk, now=now + MINUTE)

    taken = incidents.acknowledge(incident.pk, until=now + timedelta(hours=1), now=now + 2 * MINUTE)

    assert (taken.acknowledged_by, taken.acknowledged_at) == ("system", now + MINUTE)
    assert taken.acknowledged_until == now + timedelta(hours=1)


@pytest.mark.parametrize("ends", [timedelta(0), timedelta(days=8)])
def test_acknowledge__end_out_of_range__is_refused_and_changes_nothing(now: datetime, ends: timedelta) -> None:
    incident = manual(now)

    with pytest.raises(Invalid) as refused:
        incidents.acknowledge(incident.pk, until=now + ends, now=now)

    incident.refresh_from_db()
    assert refused.value.errors[0].pointer == "/until"
    assert incident.status == IncidentStatus.OPEN


def test_reopen_expired__acknowledgement_ran_out__opens_and_escalates_again(now: datetime) -> None:
    incident = opened(now, by=policy(pageable("grace")))
    incidents.acknowledge(incident.pk, until=now + timedelta(hours=1), now=now)

    early = incidents.reopen_expired(now + timedelta(minutes=59))
    late = incidents.reopen_expired(now + timedelta(hours=1))
    again = incidents.reopen_expired(now + timedelta(hours=1))

    incident.refresh_from_db()
    assert (early, late, again) == (0, 1, 0)
    assert (incident.status, incident.acknowledged_by) == (IncidentStatus.OPEN, "")
    assert sorted(EscalationRun.objects.values_list("status", flat=True)) == ["running", "stopped"]
    assert incident.acknowledged_at == now


def test_states__from_mitigated_to_closed__each_with_time_and_reason(now: datetime) -> None:
    incident = manual(now)

    incidents.mitigate(incident.pk, reason="rolled back", now=now + MINUTE)
    incidents.resolve(incident.pk, now=now + 2 * MINUTE)
    closed = incidents.close(incident.pk, now=now + 3 * MINUTE)

    assert closed.acknowledged_at == now + MINUTE
    assert (closed.mitigated_at, closed.resolved_at, closed.closed_at) == (
        now + MINUTE, now + 2 * MINUTE, now + 3 * MINUTE,
    )  # fmt: skip
    assert _kinds(closed) == ["opened", "mitigated", "resolved", "closed"]


@pytest.mark.parametrize("act", ["acknowledge", "unacknowledge", "mitigate", "resolve", "reopen", "close"])
def test_states__closed__forbid_every_act(now: datetime, act: str) -> None:
    incident = manual(now)
    incidents.resolve(incident.pk, now=now)
    incidents.close(incident.pk, now=now)

    with pytest.raises(Conflict):
        getattr(incidents, act)(incident.pk, now=now)

    assert Incident.objects.get().status == IncidentStatus.CLOSED
    assert _kinds(incident) == ["opened", "resolved", "closed"]


def test_reopen__resolved__escalates_anew_from_the_first_step(now: datetime) -> None:
    incident = opened(now, by=policy(pageable("grace")))
    incidents.resolve(incident.pk, now=now)

    again = incidents.reopen(incident.pk, reason="it is back", now=now + MINUTE)

    running = EscalationRun.objects.get(status=EscalationStatus.RUNNING)
    assert (again.status, again.resolved_at) == (IncidentStatus.OPEN, None)
    assert (running.step, running.next_step_at) == (0, now + MINUTE)


def test_merge__two_of_groups__later_alerts_of_the_source_go_to_the_target(now: datetime) -> None:
    of = group(now)
    source, target = opened(now, of=of), opened(now)

    incidents.merge(source.pk, target.pk, reason="same cause", now=now)
    later = opened(now, alert(now, "Later"), of=of)

    source.refresh_from_db()
    assert (source.status, source.merged_into) == (IncidentStatus.RESOLVED, target)
    assert later == target
    assert IncidentAlert.objects.filter(incident=target).count() == 3
    with pytest.raises(Conflict, match=f"INC-{target.number}"):
        incidents.reopen(source.pk, now=now)


def test_roles__second_commander__takes_over_from_the_first(now: datetime) -> None:
    incident, ada, grace = manual(now), pageable("ada"), pageable("grace")

    incidents.assign_role(incident.pk, ada, IncidentRole.COMMANDER, now=now)
    incidents.assign_role(incident.pk, ada, IncidentRole.SCRIBE, now=now)
    incidents.assign_role(incident.pk, grace, IncidentRole.COMMANDER, now=now)

    assert sorted(incident.assignments.values_list("user__username", "role")) == [
        ("ada", "scribe"), ("grace", "commander"),
    ]  # fmt: skip


def test_checklist__runbook_changes_later__keeps_the_steps_of_the_opening(now: datetime) -> None:
    runbook = Runbook.objects.create(slug="r", title="R", checklist=["look", "act"], version=3, updated_at=now)
    incident = manual(now, runbook=runbook)
    Runbook.objects.update(checklist=["other"], version=4)

    with acting(ADA):
        step = incidents.tick(incident.pk, 2, done=True, now=now)
        incidents.tick(incident.pk, 2, done=True, now=now + MINUTE)

    assert incident.runbook_version == 3
    assert list(incident.checklist.values_list("text", flat=True)) == ["look", "act"]
    assert (step.done_at, step.done_by) == (now, "ada")
    assert _kinds(incident) == ["opened", "step_done"]
    with pytest.raises(Missing):
        incidents.tick(incident.pk, 3, done=True, now=now)


def test_change__title_and_severity__are_told_with_reason(now: datetime) -> None:
    incident = manual(now)

    changed = incidents.change_incident(
        incident.pk, IncidentChange(title="Login is slow", severity="high"), reason="less bad", now=now
    )
    incidents.change_incident(incident.pk, IncidentChange(title="Login is slow"), now=now)

    line = changed.timeline.last()
    assert line is not None
    assert (changed.title, changed.severity) == ("Login is slow", "high")
    assert line.data == {
        "from": {"title": "Login is down", "severity": "critical"},
        "to": {"title": "Login is slow", "severity": "high"},
    }
    assert changed.timeline.count() == 2


def test_note__blank__is_refused(now: datetime) -> None:
    incident = manual(now)

    incidents.add_note(incident.pk, "  restarted the pool ", now=now)
    with pytest.raises(Invalid):
        incidents.add_note(incident.pk, "  ", now=now)

    assert list(incident.timeline.values_list("kind", "text")) == [
        ("opened", "Login is down"), ("note", "restarted the pool"),
    ]  # fmt: skip


def test_open_incident__three_mistakes__names_each(now: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        incidents.open_incident(NewIncident(title=" ", severity="awful", started_at=now + MINUTE), now=now)

    assert [error.pointer for error in refused.value.errors] == ["/title", "/severity", "/started_at"]
    assert not Incident.objects.exists()


def test_postmortem__written_by_two_at_once__the_second_is_told(now: datetime) -> None:
    incident = manual(now)
    first = incidents.save_postmortem(incident.pk, PostmortemText(summary="a"), now=now)
    incidents.save_postmortem(incident.pk, PostmortemText(summary="b"), revision=first.revision, now=now)

    with pytest.raises(Conflict):
        incidents.save_postmortem(incident.pk, PostmortemText(summary="c"), revision=first.revision, now=now)

    incident.postmortem.refresh_from_db()
    assert incident.postmortem.summary == "b"


def test_publish__before_the_end__is_refused(now: datetime) -> None:
    incident = manual(now)
    incidents.save_postmortem(incident.pk, PostmortemText(summary="a"), now=now)
    with pytest.raises(Conflict):
        incidents.publish_postmortem(incident.pk, now=now)
    incidents.resolve(incident.pk, now=now)

    published = incidents.publish_postmortem(incident.pk, now=now + MINUTE)
    incidents.publish_postmortem(incident.pk, now=now + 2 * MINUTE)

    assert published.published_at == now + MINUTE
    assert _kinds(incident).count("postmortem_published") == 1


def test_action_item__done_twice__is_done_once(now: datetime) -> None:
    incident, ada = manual(now), pageable("ada")
    item = incidents.add_action_item(incident.pk, ActionTerms(title="Add a limit", owner=ada), now=now)

    incidents.set_action_done(incident.pk, item.pk, done=True, now=now)
    done = incidents.set_action_done(incident.pk, item.pk, done=True, now=now + MINUTE)

    assert done.done_at == now
    assert _kinds(incident) == ["opened", "action_item_added", "action_item_done"]
    with pytest.raises(Invalid):
        incidents.add_action_item(incident.pk, ActionTerms(title="x", link="javascript:alert(1)"), now=now)


def test_resolve__after_a_page_went_out__tells_whom_it_called(now: datetime) -> None:
    incident = opened(now, by=policy(channel(now)))
    Notification.objects.all().delete()
    from alerts.services import escalation

    escalation.run(now)
    Notification.objects.update(status=NotificationStatus.SENT)

    incidents.resolve(incident.pk, reason="restarted", now=now + MINUTE)

    told = Notification.objects.get(kind="incident")
    assert told.payload["status"] == "resolved"
    assert told.payload["title"] == "Slow"
