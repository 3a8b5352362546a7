"""Keys of machines: made, rotated, extended, revoked, and recognised on every request without a query when cached.

A key is 256 random bits, so a plain SHA-256 of it is as safe as a slow hash and 10,000 times cheaper. The secret is
returned once, at its making; only the digest is kept.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.contrib.auth.models import AbstractBaseUser
from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import Q

from core import audit, keyuse
from core.context import Actor
from core.errors import Conflict, FieldError, Forbidden, Invalid
from core.models import ApiKey
from core.patience import without_waiting
from core.ports.scopes import scopes as known_scopes

KEY_PATTERN = re.compile(r"af_[0-9a-z]{8}_[A-Za-z0-9_-]{43}")
PREFIX_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
OVERLAP = timedelta(hours=24)
CACHE_SECONDS = 5.0
CACHE_SIZE = 10_000
TOUCH_EVERY = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class KeyRefused(Exception):
    """The key opens nothing: `code` is unknown, expired, suspended or revoked; the text may be shown to the caller."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ApiKeyIdentity:
    """The machine behind a request. `family` stays the same over rotations and is the namespace of its keys."""

    id: uuid.UUID
    family: uuid.UUID
    name: str
    prefix: str
    scopes: frozenset[str]
    entity: tuple[str, str] | None
    expires_at: datetime | None
    actor: Actor
    source: str

    def allows(self, scope: str) -> bool:
        """Return whether the key carries this scope; the empty scope means any key."""
        return not scope or scope in self.scopes

    def require_entity(self, entity_type: str, entity_id: str) -> None:
        """Raise Forbidden when the key is bound to another entity than this one."""
        if self.entity is not None and self.entity != (entity_type, entity_id):
            raise Forbidden(
                f"this key is bound to {self.entity[0]} {self.entity[1]} and may not act for {entity_type} {entity_id}",
                code="entity_forbidden",
            )

    def require_unbound(self) -> None:
        """Raise Forbidden when the key is bound to an entity: the answer would speak of others."""
        if self.entity is not None:
            raise Forbidden(f"this key is bound to {self.entity[0]} {self.entity[1]}", code="entity_forbidden")


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made, with its secret: the only time it is readable."""

    key: ApiKey
    secret: str


@dataclass(slots=True)
class _Known:
    identity: ApiKeyIdentity
    revoked_at: datetime | None
    suspended: bool
    fresh_until: float
    touched_at: datetime | None


class _Cache:
    """Keys recently seen by this process. A read that began before a change is never stored after it."""

    def __init__(self) -> None:
        self._entries: dict[str, _Known] = {}
        self.generation = 0

    def get(self, digest: str) -> _Known | None:
        entry = self._entries.get(digest)
        return entry if entry is not None and entry.fresh_until > time.monotonic() else None

    def put(self, digest: str, entry: _Known, generation: int) -> None:
        if generation != self.generation:
            return
        if len(self._entries) >= CACHE_SIZE:
            self._entries.clear()
        self._entries[digest] = entry

    def clear(self) -> None:
        self.generation += 1
        self._entries.clear()


_cache = _Cache()


def forget_cached_keys() -> None:
    """Make the next request with any key look it up; other processes follow within five seconds."""
    _cache.clear()


def digest_of(secret: str) -> str:
    """Return the SHA-256 of a key in hexadecimal: the form in which it is stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


@transaction.atomic
def create_key(
    name: str,
    *,
    scopes: Collection[str],
    now: datetime,
    entity: tuple[str, str] | None = None,
    owner: AbstractBaseUser | None = None,
    expires_at: datetime | None = None,
    later: Collection[str] = (),
) -> NewKey:
    """Make a key and return it with its secret, which cannot be read again. `later` are scopes it may get afterwards.

    Raises Invalid for an empty name, no or unknown scopes, half an entity, or an expiry that is not in the future.
    """
    _refuse_invalid(name, {*scopes, *later}, entity, expires_at, now)
    entity_type, entity_id = entity or ("", "")
    made = _insert(
        ApiKey(
            name=name.strip(),
            scopes=sorted(set(scopes)),
            entity_type=entity_type,
            entity_id=entity_id,
            owner=owner,  # type: ignore[misc]  # the project's user model
            created_at=now,
            expires_at=expires_at,
        )
    )
    audit.record("api_key.created", made.key, now=now, after=facts_of(made.key))
    return made


@transaction.atomic
def rotate_key(
    key: ApiKey, *, now: datetime, overlap: timedelta = OVERLAP, expires_at: datetime | None = None
) -> NewKey:
    """Give the same client a new secret; the old one works for `overlap` more, or until its own earlier expiry.

    Without `expires_at` the new key lives as long as the old one was made to live. Of two rotations at once one wins;
    the other raises Conflict, as does rotating a revoked or expired key.
    """
    if expires_at is not None and expires_at <= now:
        raise Invalid("the expiry must be in the future", errors=[FieldError("/expires_at", "past", "is in the past")])
    successor = _insert(
        ApiKey(
            family=key.family,
            name=key.name,
            scopes=key.scopes,
            entity_type=key.entity_type,
            entity_id=key.entity_id,
            owner_id=key.owner_id,
            created_at=now,
            expires_at=expires_at or (key.expires_at and now + (key.expires_at - key.created_at)),
        )
    )
    last_day = now + overlap
    old = ApiKey.objects.filter(alive(now), pk=key.pk, successor=None)
    if not old.update(successor=successor.key):
        raise Conflict("only a key that works and was not rotated before can be rotated", code="key_not_rotatable")
    ApiKey.objects.filter(pk=key.pk).filter(Q(expires_at=None) | Q(expires_at__gt=last_day)).update(expires_at=last_day)
    forget_on_commit()
    before = facts_of(key)
    key.refresh_from_db()
    audit.record(
        "api_key.rotated", key, now=now, before=before, after={**facts_of(key), "successor": successor.key.prefix}
    )
    return successor


@transaction.atomic
def revoke_key(key: ApiKey, *, now: datetime, reason: str) -> bool:
    """Close a key at once and for ever; False when it was revoked before. Raises Invalid without a reason."""
    if not reason.strip():
        raise Invalid("say why the key is revoked", errors=[FieldError("/reason", "required", "a reason is required")])
    changed = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(
        revoked_at=now, revoked_reason=reason.strip()[:200]
    )
    if not changed:
        return False
    forget_on_commit()
    before = facts_of(key)
    key.refresh_from_db()
    audit.record("api_key.revoked", key, now=now, before=before, after=facts_of(key), reason=reason.strip()[:200])
    return True


@transaction.atomic
def extend_key(key: ApiKey, *, now: datetime, expires_at: datetime | None) -> None:
    """Set a new expiry (None: never). Raises Conflict for a revoked or rotated key, Invalid for a time in the past."""
    if expires_at is not None and expires_at <= now:
        raise Invalid("the expiry must be in the future", errors=[FieldError("/expires_at", "past", "is in the past")])
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None, successor=None).update(expires_at=expires_at):
        raise Conflict("a revoked or rotated key cannot be extended", code="key_not_extendable")
    forget_on_commit()
    before = facts_of(key)
    key.refresh_from_db()
    audit.record("api_key.extended", key, now=now, before=before, after=facts_of(key))


def authenticate(secret: str, now: datetime) -> ApiKeyIdentity:
    """Return who holds this key; raises KeyRefused.

    No query while the key is cached (five seconds), but for the rows of core.keyuse, fewer the more it is used.
    """
    if not KEY_PATTERN.fullmatch(secret):
        raise KeyRefused("unknown", "this is not an API key of ours: keys look like af_xxxxxxxx_…")
    digest = digest_of(secret)
    known = _cache.get(digest) or _look_up(digest)
    if known is None:
        keyuse.note_refusal("unknown", now)
        raise KeyRefused("unknown", "this API key is not known")
    identity = known.identity
    refused = _closed(known, now)
    if refused is not None:
        keyuse.note_refusal(refused.code, now, actor=identity.actor, prefix=identity.prefix)
        raise refused
    if known.touched_at is None or now - known.touched_at >= TOUCH_EVERY:
        known.touched_at = now
        _touch(identity, now)
    keyuse.note_use(identity.actor, identity.prefix, identity.family.hex, now)
    return identity


def _closed(known: _Known, now: datetime) -> KeyRefused | None:
    identity = known.identity
    if known.revoked_at is not None:
        return KeyRefused("revoked", f"API key {identity.prefix} was revoked")
    if known.suspended:
        return KeyRefused("suspended", f"API key {identity.prefix} is suspended; ask who runs this platform")
    if identity.expires_at is not None and identity.expires_at <= now:
        return KeyRefused("expired", f"API key {identity.prefix} expired at {identity.expires_at.isoformat()}")
    return None


def _look_up(digest: str) -> _Known | None:
    generation = _cache.generation
    key = ApiKey.objects.filter(digest=digest).first()
    if key is None:
        return None
    suspended = key.suspended_at is not None
    known = _Known(_identity(key), key.revoked_at, suspended, time.monotonic() + CACHE_SECONDS, key.last_used_at)
    _cache.put(digest, known, generation)
    return known


def _identity(key: ApiKey) -> ApiKeyIdentity:
    return ApiKeyIdentity(
        id=key.pk,
        family=key.family,
        name=key.name,
        prefix=key.prefix,
        scopes=frozenset(key.scopes),
        entity=(key.entity_type, key.entity_id) if key.entity_type else None,
        expires_at=key.expires_at,
        actor=Actor("api_key", str(key.pk), str(key)),
        source=f"key:{key.family.hex}",
    )


def _touch(identity: ApiKeyIdentity, now: datetime) -> None:
    """Write the time of use, at most once a minute over all processes; a request never fails or waits for it."""
    due = Q(last_used_at=None) | Q(last_used_at__lte=now - TOUCH_EVERY)
    try:
        with without_waiting(), transaction.atomic():
            ApiKey.objects.filter(due, pk=identity.id).update(last_used_at=now)
    except DatabaseError as error:
        log.warning("api_key_use_not_recorded", prefix=identity.prefix, reason=str(error))


def _insert(key: ApiKey) -> NewKey:
    """Save the key under a fresh secret; a prefix that exists already (40 bits) is drawn again."""
    for _ in range(5):
        key.prefix = "af_" + "".join(secrets.choice(PREFIX_ALPHABET) for _ in range(8))
        secret = f"{key.prefix}_{secrets.token_urlsafe(32)}"
        key.digest = digest_of(secret)
        try:
            with transaction.atomic():
                key.save(force_insert=True)
        except IntegrityError:
            if not ApiKey.objects.filter(prefix=key.prefix).exists():
                raise
            continue
        return NewKey(key, secret)
    raise RuntimeError("no free key prefix was found in five draws")


def alive(now: datetime) -> Q:
    """Return the condition of keys that are not revoked, suspended or expired."""
    return Q(revoked_at=None, suspended_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))


def forget_on_commit() -> None:
    """Make this process look every key up again, now and once the caller's transaction is committed."""
    forget_cached_keys()
    transaction.on_commit(forget_cached_keys)


def facts_of(key: ApiKey) -> dict[str, object]:
    """Return what the audit log keeps of a key."""
    return {
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "entity": f"{key.entity_type}:{key.entity_id}" if key.entity_type else "",
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "suspended_at": key.suspended_at,
    }


def _refuse_invalid(
    name: str,
    scopes: Collection[str],
    entity: tuple[str, str] | None,
    expires_at: datetime | None,
    now: datetime,
) -> None:
    errors = [
        FieldError("/scopes", "unknown_scope", f"{scope!r} is not a scope; known: {', '.join(_names())}")
        for scope in sorted(set(scopes))
        if scope not in known_scopes
    ]
    if not scopes:
        errors.append(FieldError("/scopes", "required", "a key needs at least one scope"))
    if not name.strip() or len(name) > 120:
        errors.append(FieldError("/name", "length", "a name has 1 to 120 characters"))
    if entity is not None and not (0 < len(entity[0]) <= 32 and 0 < len(entity[1]) <= 200):
        errors.append(FieldError("/entity", "invalid", "an entity is a type and an id, such as agent:my-agent"))
    if expires_at is not None and expires_at <= now:
        errors.append(FieldError("/expires_at", "past", "is in the past"))
    if errors:
        raise Invalid("the key cannot be made: " + "; ".join(error.detail for error in errors), errors=errors)


def _names() -> list[str]:
    return sorted(scope.name for scope in known_scopes)
