"""What people do to alerts, what runs out by the clock, and what is removed in the end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.choices import AlertState
from alerts.matching import parse_matchers
from alerts.models import Alert, AlertEvent, AlertGroup, ContactMethod, Notification, Silence
from alerts.reports import Report
from alerts.services import alerting, expiry, retention, silences
from alerts.services.intake import record
from alerts.services.silences import SilenceTerms
from alerts.tests.routing_case import alert, flush, report, root, send
from core.errors import Conflict, Invalid
from core.models import AuditEntry
from core.tests.people import person

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def _kinds() -> list[str]:
    return list(AlertEvent.objects.order_by("seq").values_list("kind", flat=True))


def _silence(now: datetime, **values: Any) -> Silence:
    terms = SilenceTerms(
        **{
            "matchers": parse_matchers("alertname=Disk"),
            "starts_at": now,
            "ends_at": now + 48 * HOUR,
            "comment": "repair",
            **values,
        }
    )
    return silences.create_silence(terms, by="maria", now=now)


def test_acknowledge__somebody_changed_it_meanwhile__looked_at_again(now: datetime) -> None:
    # given: an object that was read before the alert changed
    record([report(at=now)], now=now)
    stale = alert()
    record([report(at=now, severity="critical")], now=now)
    # when
    done = alerting.acknowledge([stale], by="maria", until=now + HOUR, reason="on it", now=now)
    # then
    assert [row.state for row in done.changed] == [AlertState.ACKNOWLEDGED]
    assert _kinds() == ["firing", "severity", "acknowledged"]
    assert (alert().seq, alert().severity) == (3, "critical")


@pytest.mark.parametrize(("hours", "reason"), [(0, "x"), (31 * 24, "x"), (1, " ")])
def test_acknowledge__without_end_or_reason__refused(now: datetime, hours: int, reason: str) -> None:
    record([report(at=now)], now=now)
    with pytest.raises(Invalid):
        alerting.acknowledge([alert()], by="maria", until=now + hours * HOUR, reason=reason, now=now)
    assert alert().state == AlertState.FIRING
    assert not AuditEntry.objects.filter(action="alert.acknowledged").exists()


def test_resolve__by_hand_and_reported_again__another_occurrence(now: datetime) -> None:
    # given
    record([report(at=now)], now=now)
    # when
    alerting.resolve([alert()], by="maria", reason="false alarm", now=now)
    again = alerting.resolve([alert()], by="maria", reason="twice", now=now)
    record([report(at=now)], now=now + HOUR)
    # then
    assert len(again.skipped) == 1
    assert list(Alert.objects.order_by("id").values_list("state", flat=True)) == ["resolved", "firing"]


def test_expire__not_reported_in_time__resolved_as_of_its_end_once(now: datetime) -> None:
    # given
    ends = now + timedelta(minutes=5)
    record([Report({"alertname": "A"}, "low", "am", True, now, ends_at=ends)], now=now)
    # when
    done = [expiry.run(now + timedelta(minutes=4)), expiry.run(now + HOUR), expiry.run(now + HOUR)]
    # then
    assert done == [0, 1, 0]
    assert (alert().state, alert().resolved_at) == (AlertState.RESOLVED, ends)
    assert _kinds() == ["firing", "expired"]


def test_expire__acknowledgement_over__fires_again_and_says_who_had_it(now: datetime) -> None:
    # given
    record([report(at=now)], now=now)
    alerting.acknowledge([alert()], by="maria", until=now + HOUR, reason="on it", now=now)
    # when
    done = expiry.run(now + HOUR)
    # then
    assert (done, alert().state, alert().acknowledged_by) == (1, AlertState.FIRING, "")
    assert AlertEvent.objects.get(kind="ack_expired").data["by"] == "maria"


def test_reminder__long_silence_about_to_end__its_maker_is_told_once(now: datetime) -> None:
    # given
    maria = person("maria")
    contact = ContactMethod.objects.create(user=maria, address="maria@example.org")
    _silence(now, remind_before_seconds=3600)
    # when
    done = [expiry.run(now + 46 * HOUR), expiry.run(now + 47 * HOUR), expiry.run(now + 47 * HOUR)]
    # then
    assert done == [0, 1, 0]
    told = Notification.objects.get()
    assert (told.kind, told.contact, told.payload["status"]) == ("reminder", contact, "info")


def test_reminder__maker_cannot_be_reached__the_root_is_told(now: datetime) -> None:
    root()
    _silence(now, remind_before_seconds=3600)
    expiry.run(now + 47 * HOUR)
    assert [row.channel.name for row in Notification.objects.all() if row.channel] == ["team-log"]


def test_silence__changed_while_it_holds__end_in_place__matchers_as_another(now: datetime) -> None:
    # given
    silence = _silence(now)
    later = now + HOUR
    terms = SilenceTerms(parse_matchers("alertname=Disk"), now, now + 3 * HOUR, "shorter")
    # when
    same = silences.update_silence(silence.pk, terms, by="maria", now=later)
    other_terms = SilenceTerms(parse_matchers("alertname=Cpu"), now, now + 3 * HOUR, "another")
    other = silences.update_silence(silence.pk, other_terms, by="maria", now=later)
    # then
    assert (same.pk, same.ends_at) == (silence.pk, now + 3 * HOUR)
    assert other.pk != silence.pk
    assert Silence.objects.get(pk=silence.pk).expired_at == later
    with pytest.raises(Conflict):
        silences.update_silence(silence.pk, terms, by="maria", now=later)


def test_retention__old_alerts_idle_groups_and_silences__removed_in_batches(now: datetime, settings: Any) -> None:
    # given
    settings.ALERTS_RETENTION_DAYS = 30
    root()
    send(now, report("Old", at=now), report("Open", at=now))
    flush(now + HOUR)
    send(now + HOUR, report("Old", at=now, active=False))
    flush(now + 2 * HOUR)
    _silence(now)
    # when
    early = retention.run(now + 29 * 24 * HOUR)
    late = retention.run(now + 34 * 24 * HOUR)
    # then: the group goes first, after a week
    assert (early, late) == (1, 2)
    assert list(Alert.objects.values_list("name", flat=True)) == ["Open"]
    assert AlertGroup.objects.get().labels == {"alertname": "Open"}
    assert not AlertEvent.objects.exclude(alert__name="Open").exists()
    assert not Silence.objects.exists()
