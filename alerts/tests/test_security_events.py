"""Security events: told from every door, counted instead of kept call by call, in nobody's way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone

from alerts.models import SecurityEvent
from alerts.services import key_spend, security_events
from alerts.tests.guarding import ABROAD, HOME, told
from core import apikeys, keyguard, keyuse
from core.apikeys import KeyRefused, authenticate, create_key
from core.context import Context, acting
from core.ports.privacy import Subject, personal_data
from core.ports.security import SecurityRecorder, security_recorders
from core.security import network_of, plain_address
from core.tests.api import bearer
from core.tests.people import PASSWORD, administrator, person, signed_in

pytestmark = pytest.mark.django_db
LOGIN = "/accounts/login/"


@pytest.fixture(autouse=True)
def _counted_anew(db: None) -> Iterator[None]:
    keyuse.forget_uses()
    apikeys.forget_cached_keys()
    # What was told while the tables were made.
    SecurityEvent.objects.all().delete()
    yield
    keyuse.forget_uses()


def _events(kind: str, **where: Any) -> list[SecurityEvent]:
    return list(SecurityEvent.objects.filter(kind=kind, **where).order_by("pk"))


def _sign_in(name: str, password: str, **headers: Any) -> Any:
    return Client().post(LOGIN, {"login": name, "password": password}, **headers)


def test_login__right_and_wrong__are_told_with_the_address(settings: Any) -> None:
    settings.TRUSTED_PROXY_COUNT = 1
    maria = person("maria")
    forwarded = {"headers": {"X-Forwarded-For": f"10.0.0.1, {HOME}", "User-Agent": "Firefox"}}

    _sign_in("maria", "wrong", **forwarded)
    _sign_in("maria", PASSWORD, **forwarded)

    wrong, right = _events("login")
    assert [(event.outcome, event.actor_id, event.actor_label) for event in (wrong, right)] == [
        ("failure", str(maria.pk), "maria"),
        ("success", str(maria.pk), "maria"),
    ]
    assert (right.address, right.network, right.user_agent) == (HOME, "198.51.100.0/24", "Firefox")
    assert right.data["administrator"] is False


def test_login__header_without_a_trusted_proxy__is_not_believed() -> None:
    person("maria")

    _sign_in("maria", "wrong", headers={"X-Forwarded-For": HOME})

    assert _events("login")[0].address == "127.0.0.1"


def test_login__name_that_no_account_has__is_kept_as_a_digest() -> None:
    _sign_in("my secret password", "wrong")
    _sign_in("My Secret password", "wrong")

    first, second = _events("login")
    assert first.actor_label == second.actor_label
    assert "secret" not in str(first.__dict__)
    assert first.actor_label.startswith("unknown account ")


def test_rights__granted_by_any_door__are_told() -> None:
    maria = person("maria")
    SecurityEvent.objects.all().delete()

    maria.groups.add(Group.objects.get(name="finance"))
    Group.objects.get(name="auditor").user_set.add(maria)
    maria.is_superuser = True
    maria.save()
    maria.save()
    call_command("createsuperuser", "--noinput", username="second", email="s@example.org", verbosity=0)

    told_of = [(event.data["what"], event.data["names"], event.data["to"]) for event in _events("rights.granted")]
    assert told_of == [
        ("role", ["finance"], "maria"),
        ("role", ["auditor"], "maria"),
        ("superuser", [], "maria"),
        ("superuser", [], "second"),
    ]


def test_second_factor__added_and_removed__is_told() -> None:
    from allauth.mfa.models import Authenticator
    from allauth.mfa.signals import authenticator_added, authenticator_removed

    maria = person("maria")
    factor = Authenticator.objects.create(user=maria, type="totp", data={})
    for signal in (authenticator_added, authenticator_removed):
        signal.send(sender=Authenticator, request=None, user=maria, authenticator=factor)

    assert [event.data["type"] for event in (*_events("mfa.added"), *_events("mfa.removed"))] == ["totp", "totp"]


def test_audited_acts__around_keys_and_exports__are_told_with_their_door() -> None:
    root = signed_in(administrator())

    root.post("/admin/core/apikey/add/", {"name": "agent", "scopes": ["costs:read"]})
    root.post("/admin/core/apikey/export/csv/")
    call_command("apikey", "create", "script", "--scope", "costs:read")

    made = _events("api_key.changed")
    assert [(event.channel, event.data["action"]) for event in made] == [
        ("admin", "api_key.created"),
        ("command", "api_key.created"),
    ]
    assert _events("data.exported")[0].actor_label == "root"


def test_key_use__many_calls__is_told_at_the_first_and_as_the_count_doubles(now: datetime) -> None:
    made = create_key("agent", scopes=["costs:read"], now=now)

    with acting(Context(channel="api", address=HOME)):
        for _ in range(450):
            authenticate(made.secret, now)

    assert [event.count for event in _events("api_key.used")] == [1, 128, 256]


def test_key_use__another_network_or_hour__is_told_at_once(now: datetime) -> None:
    made = create_key("agent", scopes=["costs:read"], now=now)

    for address, hours in ((HOME, 0), (HOME, 0), (ABROAD, 0), (HOME, 1)):
        with acting(Context(channel="api", address=address)):
            authenticate(made.secret, now + timedelta(hours=hours))

    networks = [(event.network, event.count, event.api_key) for event in _events("api_key.used")]
    prefix = made.key.prefix
    assert networks == [("198.51.100.0/24", 1, prefix), ("203.0.113.0/24", 1, prefix), ("198.51.100.0/24", 1, prefix)]


def test_key_refused__revoked_suspended_expired_or_unknown__is_told_and_counted(now: datetime) -> None:
    revoked, suspended = (create_key(name, scopes=["costs:read"], now=now) for name in ("a", "b"))
    expired = create_key("c", scopes=["costs:read"], now=now, expires_at=now + timedelta(hours=1))
    apikeys.revoke_key(revoked.key, now=now, reason="lost")
    keyguard.suspend_key(suspended.key, now=now, reason="loops")
    unknown = [f"af_{number:08d}_" + "x" * 43 for number in range(20)]

    for secret in (revoked.secret, suspended.secret, expired.secret, *unknown):
        with pytest.raises(KeyRefused):
            authenticate(secret, now + timedelta(hours=2))

    found = [(event.data["code"], event.api_key, event.count) for event in _events("api_key.refused")]
    assert found == [
        ("revoked", revoked.key.prefix, 1),
        ("suspended", suspended.key.prefix, 1),
        ("expired", expired.key.prefix, 1),
        ("unknown", "", 1),
    ]


def test_recording__that_fails__breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fact: object) -> None:
        raise DatabaseError("the disk is full")

    monkeypatch.setitem(security_recorders._items, "alerts", SecurityRecorder("alerts", fail))
    key = create_key("agent", scopes=["costs:read"], now=timezone.now())

    answer = Client().get("/api/v1/whoami", headers=bearer(key))
    person("maria")

    assert answer.status_code == 200
    assert _sign_in("maria", PASSWORD).status_code == 302
    assert not SecurityEvent.objects.exists()


@pytest.mark.parametrize(
    ("address", "plain", "network"),
    [
        ("198.51.100.7", "198.51.100.7", "198.51.100.0/24"),
        ("::ffff:198.51.100.7", "198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1:2::3", "2001:db8:1::/48"),
        ("unix:", "", ""),
        ("", "", ""),
    ],
)
def test_network__of_an_address__is_its_site(address: str, plain: str, network: str) -> None:
    assert (plain_address(address), network_of(address)) == (plain, network)


def test_privacy__of_a_person__is_exported_and_erased_and_the_rest_stays(now: datetime) -> None:
    maria = User.objects.create_user("maria")
    store = personal_data.get("alerts.security_events")
    for who in ("maria", "paul"):
        told("login", now, who=who, name=who)
    told("rights.granted", now, who="root", to="maria", to_id=str(maria.pk), what="role")

    exported = [row["kind"] for row in store.export(Subject("user", "maria"))]
    erased = store.erase(Subject("user", "maria"))

    assert (exported, erased) == (["login", "rights.granted"], 2)
    assert "maria" not in str(list(SecurityEvent.objects.values()))
    assert SecurityEvent.objects.filter(kind="login", actor_label="paul", address=HOME).exists()
    assert SecurityEvent.objects.count() == 3
    assert store.erase(Subject("user", "maria")) == 0


def test_prune__older_than_the_setting__goes_and_the_rest_stays(now: datetime, settings: Any) -> None:
    settings.SECURITY_EVENT_DAYS = 30
    for days in (31, 30, 1):
        told("login", now - timedelta(days=days, seconds=1 if days == 30 else 0))

    assert security_events.prune(now=now) == 2
    assert SecurityEvent.objects.count() == 1


def test_event__once_written__cannot_be_changed(now: datetime) -> None:
    event = told("login", now)

    with pytest.raises(DatabaseError, match="append-only"):
        SecurityEvent.objects.filter(pk=event.pk).update(address=ABROAD)


def test_key_spend__of_an_hour__is_told_at_the_first_and_as_it_doubles() -> None:
    from django.core.cache import cache
    from django.test import Client as Browser

    key = create_key("agent", scopes=["costs:write"], now=timezone.now())
    seen = []
    for amount in ("0.101", "0.05", "0.20"):
        body = {"cost_type": "compute", "amount": amount, "entity_type": "agent", "entity_id": "a"}
        answer = Browser().post("/api/v1/financial/costs", body, "application/json", headers=bearer(key))
        assert answer.status_code == 201, answer.content
        cache.clear()
        key_spend.tell(now=timezone.now())
        seen.append([event.count for event in _events("api_key.spend")])

    assert seen == [[11], [11], [11, 36]]
    assert _events("api_key.spend")[0].api_key == key.key.prefix
