"""Threat detection: each default rule fires at its threshold and not below, and once, whenever it is run."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection

from alerts.models import Alert, DetectionRule, SecurityEvent
from alerts.services import detection, detection_defaults
from alerts.tests.guarding import ABROAD, HOME, failures, fired, told
from core import audit
from core.append_only import unprotected_sqlite
from core.models import AuditEntry, ConditionRecord

pytestmark = pytest.mark.django_db
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def rules(now: datetime) -> None:
    """The default rules, as if they had been looked at until a while ago."""
    cache.clear()
    detection_defaults.keep_defaults(now=now)
    DetectionRule.objects.update(evaluated_at=now - HOUR)


def test_failed_logins_per_user__ten_in_five_minutes__fires_and_nine_do_not(now: datetime) -> None:
    failures(9, now)
    assert fired(now) == {}

    told("login", now, outcome="failure")

    assert fired(now) == {"failed-logins-per-user": {"user": "maria"}}


def test_failed_logins_per_user__ten_over_a_longer_time__do_not_fire(now: datetime) -> None:
    failures(10, now, every=34 * timedelta(seconds=1))

    assert fired(now) == {}


def test_password_spraying__ten_accounts_from_one_address__fires_and_nine_do_not(now: datetime) -> None:
    for number in range(9):
        told("login", now - number * MINUTE, who=f"user{number}", outcome="failure")
    told("login", now, who="user9", outcome="failure", address=ABROAD)
    assert fired(now) == {}

    told("login", now, who="user9", outcome="failure")

    assert fired(now) == {"password-spraying": {"address": HOME}}


def test_login_after_failures__five_then_success__fires_and_four_do_not(now: datetime) -> None:
    failures(4, now - MINUTE, who="paul")
    told("login", now, who="paul")
    failures(5, now - MINUTE, who="olga")
    assert fired(now) == {}

    told("login", now, who="olga")

    assert fired(now) == {"login-after-failures": {"user": "olga"}}


def test_administrator_from_new_network__after_another_network__fires_and_the_first_ever_does_not(
    now: datetime,
) -> None:
    told("login", now - 2 * DAY, administrator=True)
    told("login", now - 30 * MINUTE, who="first", administrator=True)
    told("login", now - 20 * MINUTE, administrator=True)
    told("login", now - 10 * MINUTE, who="reader", administrator=False)
    told("login", now - 9 * MINUTE, who="reader", administrator=False, address=ABROAD)
    assert fired(now) == {}

    told("login", now, administrator=True, address=ABROAD)

    assert fired(now) == {"administrator-from-new-network": {"user": "maria"}}


def test_key_from_new_network__after_another_network__fires_and_a_known_one_does_not(now: datetime) -> None:
    told("api_key.used", now - 80 * DAY, key="af_one", address=ABROAD)
    told("api_key.used", now - 2 * DAY, key="af_one")
    told("api_key.used", now - MINUTE, key="af_one", address=ABROAD)
    told("api_key.used", now - MINUTE, key="af_two")
    assert fired(now) == {}

    told("api_key.used", now, key="af_two", address=ABROAD)

    assert fired(now) == {"key-from-new-network": {"api_key": "af_two"}}


def test_closed_key_used__known_key__fires_and_an_unknown_one_does_not(now: datetime) -> None:
    with_no_name = told("api_key.refused", now, outcome="failure", code="unknown")
    assert with_no_name.api_key == ""
    assert fired(now) == {}

    told("api_key.refused", now, key="af_old", outcome="failure", code="revoked")

    assert fired(now) == {"closed-key-used": {"api_key": "af_old"}}


def _usual(kind: str, key: str, amount: int, now: datetime, hours: int = 24) -> None:
    for number in range(1, hours + 1):
        told(kind, now - number * 7 * HOUR, key=key, count=amount, worker="w1")


@pytest.mark.parametrize(
    ("usual", "calls", "fires"), [(30, 150, False), (30, 151, True), (1, 100, False), (1, 101, True)]
)
def test_key_rate_jump__above_five_medians_and_100__fires(now: datetime, usual: int, calls: int, fires: bool) -> None:
    _usual("api_key.used", "af_one", usual, now)
    told("api_key.used", now, key="af_one", count=calls - 20, worker="w1")
    told("api_key.used", now, key="af_one", count=20, worker="w2")

    assert fired(now) == ({"key-rate-jump": {"api_key": "af_one"}} if fires else {})


def test_key_rate_jump__too_little_history__does_not_fire(now: datetime) -> None:
    _usual("api_key.used", "af_one", 1, now, hours=23)
    told("api_key.used", now, key="af_one", count=5000, worker="w1")

    assert fired(now) == {}


@pytest.mark.parametrize(("cents", "fires"), [(2500, False), (2501, True)])
def test_key_spend_jump__above_five_medians_and_ten__fires(now: datetime, cents: int, fires: bool) -> None:
    _usual("api_key.spend", "af_one", 500, now)
    told("api_key.spend", now, key="af_one", count=cents)

    assert fired(now) == ({"key-spend-jump": {"api_key": "af_one"}} if fires else {})


def test_rights_granted__to_somebody__fires_and_a_role_made_wider_does_not(now: datetime) -> None:
    told("role.changed", now, role="finance")
    assert fired(now) == {}

    told("rights.granted", now, what="superuser", to="paul", to_id="7")

    assert fired(now) == {"rights-granted": {"to": "paul"}}


def test_mass_export__ten_in_ten_minutes__fires_and_nine_do_not(now: datetime) -> None:
    for number in range(9):
        told("data.exported", now - number * MINUTE)
    assert fired(now) == {}

    told("data.exported", now)

    assert fired(now) == {"mass-export": {"actor": "maria"}}


def _entries(count: int, now: datetime) -> None:
    for number in range(count):
        audit.record("thing.changed", ("test.thing", str(number)), now=now)


def _delete_entry() -> None:
    first = AuditEntry.objects.order_by("pk").first()
    assert first is not None
    if connection.vendor == "sqlite":
        with unprotected_sqlite(connection, "core_auditentry"):
            AuditEntry.objects.filter(pk=first.pk)._raw_delete("default")
        return
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE core_auditentry DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM core_auditentry WHERE id = %s", [first.pk])
        cursor.execute("ALTER TABLE core_auditentry ENABLE TRIGGER USER")


def test_audit_log_gap__entry_deleted_past_the_triggers__fires_once_and_growth_does_not(now: datetime) -> None:
    _entries(3, now)
    assert fired(now) == {}
    _entries(2, now)
    assert fired(now + 2 * MINUTE) == {}

    _delete_entry()

    assert fired(now + 4 * MINUTE) == {"audit-log-gap": {}}
    assert SecurityEvent.objects.get(kind="audit.gap").data["missing"] == 1
    fired(now + 6 * MINUTE)
    assert SecurityEvent.objects.filter(kind="audit.gap").count() == 1


def test_audit_log_gap__trigger_dropped__fires(now: datetime) -> None:
    fired(now)
    name = "core_auditentry_no_delete" if connection.vendor == "sqlite" else "core_auditentry_append_only"
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER {name}" + ("" if connection.vendor == "sqlite" else " ON core_auditentry"))

    assert fired(now + 2 * MINUTE) == {"audit-log-gap": {}}
    assert SecurityEvent.objects.get(kind="audit.unprotected").data["triggers"] == name


def test_run__again_and_again__reports_once_and_ends_when_it_is_quiet(now: datetime) -> None:
    from alerts.services import expiry

    failures(10, now)
    for seconds in (0, 15, 30, 90, 300):
        detection.run(now + timedelta(seconds=seconds))

    alert = Alert.objects.get()
    assert alert.ends_at == now + HOUR
    expiry.run(now + HOUR + MINUTE)
    detection.run(now + HOUR + 2 * MINUTE)
    assert [row.state for row in Alert.objects.all()] == ["resolved"]


def test_run__event_committed_late__is_seen_and_none_is_seen_twice(now: datetime) -> None:
    failures(9, now)
    detection.run(now)
    detection.run(now + 2 * MINUTE)
    assert not Alert.objects.exists()

    told("login", now - MINUTE, outcome="failure")

    assert detection.run(now + 3 * MINUTE) == 1
    assert detection.run(now + 3 * MINUTE) == 0
    assert detection.run(now + 5 * MINUTE) == 0


def test_run__killed_before_the_commit__finds_it_again(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    failures(10, now)
    rule = DetectionRule.objects.get(slug="failed-logins-per-user")

    def die(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr("alerts.services.intake.record", die)
        with pytest.raises(SystemExit):
            detection.look(rule, now=now)
    rule.refresh_from_db()

    assert rule.memory == {}
    assert detection.look(rule, now=now) == 1


def test_look__by_two_workers_at_once__one_reports(now: datetime) -> None:
    failures(10, now)
    first = DetectionRule.objects.get(slug="failed-logins-per-user")
    second = DetectionRule.objects.get(slug="failed-logins-per-user")

    assert [detection.look(first, now=now), detection.look(second, now=now)] == [1, 0]


def test_run__rule_that_makes_no_sense__says_so_and_stops_no_other(now: datetime) -> None:
    rule = DetectionRule.objects.get(slug="mass-export")
    DetectionRule.objects.filter(pk=rule.pk).update(parameters={"steps": []})
    failures(10, now)

    assert fired(now) == {"failed-logins-per-user": {"user": "maria"}}

    rule.refresh_from_db()
    assert "steps" in rule.last_error
    assert ConditionRecord.objects.get(source="alerts.detection").key == "mass-export"


def test_defaults__changed_by_an_operator__are_left_alone(now: datetime) -> None:
    DetectionRule.objects.filter(slug="mass-export").update(severity="low", enabled=False)
    DetectionRule.objects.filter(slug="rights-granted").delete()

    made = detection_defaults.keep_defaults(now=now)

    rule = DetectionRule.objects.get(slug="mass-export")
    assert (made, rule.severity, rule.enabled, DetectionRule.objects.count()) == (1, "low", False, 11)


def test_audit_source__own_rule__sees_entries_of_the_audit_log(now: datetime) -> None:
    parameters: dict[str, Any] = {
        "source": "audit", "steps": [{"kinds": ["thing.changed"], "where": {"channel": "system"}}],
        "group_by": ["subject_id"], "threshold": 2,
    }  # fmt: skip
    DetectionRule.objects.create(slug="twice", name="Twice", kind="event_count", parameters=parameters)
    _entries(2, now)
    _entries(1, now)

    assert fired(now) == {"twice": {"subject_id": "0"}}
