"""Keys of machines: making, rotating, revoking, extending, recognising."""

from __future__ import annotations

import re
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, connections

from core import apikeys
from core.apikeys import KeyRefused, authenticate, create_key, extend_key, revoke_key, rotate_key
from core.errors import Conflict, Forbidden, Invalid
from core.models import ApiKey, AuditEntry
from core.tests.api import READ, WRITE, new_key

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    apikeys.forget_cached_keys()


@pytest.mark.django_db
def test_create_key__secret__is_shown_once_and_stored_as_digest() -> None:
    made = create_key("Ingest", scopes=[WRITE, READ, READ], now=NOW)

    assert re.fullmatch(r"af_[0-9a-z]{8}_[A-Za-z0-9_-]{43}", made.secret)
    stored = ApiKey.objects.values().get()
    assert made.secret.startswith(stored["prefix"] + "_")
    assert not [value for value in stored.values() if isinstance(value, str) and made.secret[12:] in value]
    assert stored["scopes"] == [READ, WRITE]
    entry = AuditEntry.objects.get(action="api_key.created")
    assert entry.subject_id == str(made.key.pk)
    assert made.secret[12:] not in str(entry.after)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"scopes": ["costs:everything"]}, "/scopes"),
        ({"scopes": []}, "/scopes"),
        ({"name": " "}, "/name"),
        ({"entity": ("agent", "")}, "/entity"),
        ({"expires_at": NOW}, "/expires_at"),
    ],
)
def test_create_key__wrong_value__is_refused_and_nothing_is_made(changes: dict[str, object], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        create_key(**{"name": "Ingest", "scopes": [WRITE], "now": NOW, **changes})  # type: ignore[arg-type]

    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert not ApiKey.objects.exists()
    assert not AuditEntry.objects.filter(action__startswith="api_key").exists()


@pytest.mark.django_db
def test_authenticate__known_key__names_the_client() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW, entity=("agent", "a-1"))

    identity = authenticate(made.secret, NOW)

    assert (identity.id, identity.family, identity.entity) == (made.key.pk, made.key.family, ("agent", "a-1"))
    assert identity.scopes == {WRITE}
    assert identity.source == f"key:{made.key.family.hex}"
    assert (identity.actor.kind, identity.actor.label) == ("api_key", f"Ingest ({made.key.prefix})")


@pytest.mark.django_db
@pytest.mark.parametrize("secret", ["", "af_", "af_abcdefgh_" + "x" * 43, "x" * 10_000, "af_abcdefgh_\x00" + "x" * 42])
def test_authenticate__unknown_key__is_refused(secret: str) -> None:
    with pytest.raises(KeyRefused) as refused:
        authenticate(secret, NOW)

    assert refused.value.code == "unknown"


@pytest.mark.django_db
def test_authenticate__expired_key__is_refused_from_that_instant() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW, expires_at=NOW + DAY)

    authenticate(made.secret, NOW + DAY - timedelta(microseconds=1))
    with pytest.raises(KeyRefused) as refused:
        authenticate(made.secret, NOW + DAY)

    assert refused.value.code == "expired"


@pytest.mark.django_db
def test_authenticate__cached_key__asks_the_database_nothing(django_assert_num_queries: object) -> None:
    made = new_key()
    now = datetime.now(UTC)
    authenticate(made.secret, now)

    with django_assert_num_queries(0):  # type: ignore[operator]
        for _ in range(100):
            authenticate(made.secret, now)


@pytest.mark.django_db
def test_authenticate__changed_elsewhere__is_seen_within_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW)
    authenticate(made.secret, NOW)
    ApiKey.objects.update(revoked_at=NOW)
    clock = time.monotonic()

    authenticate(made.secret, NOW)
    monkeypatch.setattr("core.apikeys.time.monotonic", lambda: clock + apikeys.CACHE_SECONDS + 0.1)

    with pytest.raises(KeyRefused) as refused:
        authenticate(made.secret, NOW)
    assert refused.value.code == "revoked"
    assert apikeys.CACHE_SECONDS <= 5


@pytest.mark.django_db
def test_authenticate__repeated_use__writes_the_time_once_a_minute() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW)
    seen = []
    for seconds in (0, 30, 59, 60, 61):
        authenticate(made.secret, NOW + timedelta(seconds=seconds))
        seen.append(ApiKey.objects.get().last_used_at)

    assert seen == [NOW, NOW, NOW, NOW + timedelta(seconds=60), NOW + timedelta(seconds=60)]


@pytest.mark.django_db
def test_authenticate__late_use_of_another_process__never_turns_the_time_back() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW)
    authenticate(made.secret, NOW)
    ApiKey.objects.update(last_used_at=NOW + timedelta(minutes=10))

    authenticate(made.secret, NOW + timedelta(minutes=2))

    assert ApiKey.objects.get().last_used_at == NOW + timedelta(minutes=10)


@pytest.mark.django_db(transaction=True)
def test_authenticate__database_locked_by_a_writer__neither_fails_nor_waits() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("one writer at a time exists on SQLite alone")
    made = create_key("Ingest", scopes=[WRITE], now=NOW)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        other = connections["default"]
        other.cursor().execute("BEGIN IMMEDIATE")
        held.set()
        done.wait(20)
        other.cursor().execute("ROLLBACK")
        other.close()

    writer = threading.Thread(target=hold)
    writer.start()
    held.wait(20)
    begun = datetime.now(UTC)
    identity = authenticate(made.secret, NOW)
    seconds = (datetime.now(UTC) - begun).total_seconds()
    done.set()
    writer.join()

    assert identity.id == made.key.pk
    assert seconds < 2
    assert ApiKey.objects.get().last_used_at is None


@pytest.mark.django_db
def test_rotate_key__overlap__both_secrets_work_until_its_end() -> None:
    old = create_key("Ingest", scopes=[WRITE], now=NOW, entity=("agent", "a-1"))

    new = rotate_key(old.key, now=NOW)

    last = NOW + DAY - timedelta(seconds=1)
    assert authenticate(old.secret, last).family == authenticate(new.secret, last).family
    assert authenticate(new.secret, last).entity == ("agent", "a-1")
    with pytest.raises(KeyRefused) as refused:
        authenticate(old.secret, NOW + DAY)
    assert refused.value.code == "expired"
    assert authenticate(new.secret, NOW + DAY).id == new.key.pk
    assert AuditEntry.objects.filter(action="api_key.rotated").count() == 1


@pytest.mark.django_db
def test_rotate_key__expiring_key__successor_lives_as_long_and_overlap_adds_nothing() -> None:
    old = create_key("Ingest", scopes=[WRITE], now=NOW - 29 * DAY, expires_at=NOW + timedelta(hours=1))

    new = rotate_key(old.key, now=NOW)

    old.key.refresh_from_db()
    assert old.key.expires_at == NOW + timedelta(hours=1)
    assert new.key.expires_at == NOW + 29 * DAY + timedelta(hours=1)


@pytest.mark.django_db
def test_rotate_key__rotated_before__is_refused_and_makes_no_key() -> None:
    old = create_key("Ingest", scopes=[WRITE], now=NOW)
    rotate_key(old.key, now=NOW)

    with pytest.raises(Conflict):
        rotate_key(ApiKey.objects.get(pk=old.key.pk), now=NOW)

    assert ApiKey.objects.count() == 2


@pytest.mark.django_db
def test_revoke_key__working_key__is_closed_at_once() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW)
    authenticate(made.secret, NOW)

    first, second = (revoke_key(made.key, now=NOW, reason="leaked") for _ in range(2))

    assert (first, second) == (True, False)
    with pytest.raises(KeyRefused) as refused:
        authenticate(made.secret, NOW)
    assert refused.value.code == "revoked"
    assert AuditEntry.objects.get(action="api_key.revoked").reason == "leaked"


@pytest.mark.django_db
def test_revoke_key__no_reason__is_refused_and_the_key_works_on() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW)

    with pytest.raises(Invalid):
        revoke_key(made.key, now=NOW, reason=" ")

    assert authenticate(made.secret, NOW).id == made.key.pk


@pytest.mark.django_db
def test_extend_key__working_key__works_longer() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW, expires_at=NOW + DAY)

    extend_key(made.key, now=NOW, expires_at=NOW + 2 * DAY)

    assert authenticate(made.secret, NOW + DAY).id == made.key.pk
    with pytest.raises(Invalid):
        extend_key(made.key, now=NOW, expires_at=NOW)


@pytest.mark.django_db
def test_extend_key__revoked_key__stays_closed() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW, expires_at=NOW + DAY)
    revoke_key(made.key, now=NOW, reason="leaked")

    with pytest.raises(Conflict):
        extend_key(made.key, now=NOW, expires_at=NOW + 2 * DAY)

    assert ApiKey.objects.get().expires_at == NOW + DAY


@pytest.mark.django_db
def test_require_entity__bound_key__opens_its_own_entity_only() -> None:
    bound = authenticate(create_key("A", scopes=[WRITE], now=NOW, entity=("agent", "a-1")).secret, NOW)
    free = authenticate(create_key("B", scopes=[WRITE], now=NOW).secret, NOW)

    bound.require_entity("agent", "a-1")
    free.require_entity("agent", "a-2")
    free.require_unbound()
    with pytest.raises(Forbidden, match="bound to agent a-1 and may not act for agent a-2"):
        bound.require_entity("agent", "a-2")
    with pytest.raises(Forbidden, match="bound to agent a-1"):
        bound.require_unbound()


@pytest.mark.django_db(transaction=True)
def test_rotate_key__two_at_once__one_wins() -> None:
    made = create_key("Ingest", scopes=[WRITE], now=NOW)
    outcomes: list[str] = []
    together = threading.Barrier(2)

    def rotate() -> None:
        key = ApiKey.objects.get(pk=made.key.pk)
        together.wait(20)
        try:
            rotate_key(key, now=NOW)
            outcomes.append("rotated")
        except Conflict:
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["refused", "rotated"]
    assert ApiKey.objects.count() == 2
