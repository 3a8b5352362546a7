"""What guards keys: suspending one that misbehaves, and a second person for scopes that change the platform itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from core import approvals, audit
from core.apikeys import NewKey, alive, create_key, facts_of, forget_on_commit
from core.errors import Conflict, FieldError, Invalid, Missing
from core.models import ApiKey, Approval
from core.ports.approvals import ApprovalKind, Approved, Arguments, Description, approval_kinds
from core.ports.scopes import scopes as known_scopes

GRANT = "core.grant_scopes"
ADMIN = ":admin"


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key just made; with `approval`, its admin scopes wait for a second person."""

    made: NewKey
    approval: Approval | None = None


@transaction.atomic
def make_key(
    name: str,
    *,
    scopes: Collection[str],
    owner: User,
    reason: str,
    now: datetime,
    entity: tuple[str, str] | None = None,
    expires_at: datetime | None = None,
) -> MadeKey:
    """Make a key for a person. With ADMIN_KEYS_NEED_APPROVAL it gets its admin scopes when somebody else approves.

    Until then it works with its other scopes. Raises as `create_key` does, and Invalid when admin scopes that need
    approval come without a reason.
    """
    guarded = sorted(scope for scope in scopes if scope.endswith(ADMIN) and settings.ADMIN_KEYS_NEED_APPROVAL)
    if guarded and not reason.strip():
        detail = f"say what {', '.join(guarded)} is for: somebody else decides about it"
        raise Invalid(detail, errors=[FieldError("/reason", "required", detail)])
    now_given = [scope for scope in scopes if scope not in guarded]
    made = create_key(name, scopes=now_given, later=guarded, now=now, entity=entity, owner=owner, expires_at=expires_at)
    if not guarded:
        return MadeKey(made)
    wanted = {"family": made.key.family.hex, "name": made.key.name, "prefix": made.key.prefix, "scopes": guarded}
    return MadeKey(made, approvals.request_approval(GRANT, wanted, reason=reason, now=now, requested_by=owner))


@transaction.atomic
def suspend_key(key: ApiKey, *, now: datetime, reason: str) -> int:
    """Stop every working key of this client until it is resumed; return how many were stopped, 0 when none worked.

    Raises Invalid without a reason.
    """
    _require(reason)
    rows = list(ApiKey.objects.select_for_update().filter(alive(now), family=key.family).order_by("pk"))
    for row in rows:
        before = facts_of(row)
        row.suspended_at, row.suspended_reason = now, reason.strip()[:200]
        row.save(update_fields=["suspended_at", "suspended_reason"])
        audit.record("api_key.suspended", row, now=now, before=before, after=facts_of(row), reason=reason.strip())
    forget_on_commit()
    return len(rows)


@transaction.atomic
def resume_key(key: ApiKey, *, now: datetime, reason: str) -> int:
    """Let the suspended keys of this client work again; return how many. Raises Invalid without a reason."""
    _require(reason)
    suspended = ApiKey.objects.select_for_update().filter(family=key.family, suspended_at__isnull=False)
    rows = list(suspended.order_by("pk"))
    for row in rows:
        before = facts_of(row)
        row.suspended_at, row.suspended_reason = None, ""
        row.save(update_fields=["suspended_at", "suspended_reason"])
        audit.record("api_key.resumed", row, now=now, before=before, after=facts_of(row), reason=reason.strip())
    forget_on_commit()
    return len(rows)


def find_key(text: str) -> ApiKey:
    """Return the key that a prefix, an id or a family names; raises Missing."""
    rows = ApiKey.objects.order_by("-created_at", "-pk")
    found = rows.filter(prefix=text).first()
    if found is None:
        try:
            wanted = UUID(text)
        except ValueError:
            wanted = None
        found = (rows.filter(pk=wanted).first() or rows.filter(family=wanted).first()) if wanted else None
    if found is None:
        raise Missing(f"there is no API key {text}")
    return found


def describe_grant(arguments: Arguments) -> Description:
    """Say which key gets which scopes, and what they allow. Raises Missing and Invalid."""
    key = find_key(str(arguments["family"]))
    wanted = _scopes(arguments)
    lines = [f"Give the API key “{key.name}” ({key.prefix}) the scopes {', '.join(wanted)}"]
    lines += [f"{name}: {known_scopes.get(name).description}" for name in wanted]
    lines.append(f"It is bound to {key.entity_type} {key.entity_id}" if key.entity_type else "It is bound to no entity")
    return Description(tuple(lines), audit.identify(key), reverse("admin:core_apikey_change", args=[key.pk]))


def grant_scopes(arguments: Arguments, approved: Approved, now: datetime) -> str:
    """Add the scopes to every working key of the client. Raises Conflict when none works any more."""
    family = UUID(str(arguments["family"]))
    keys = list(ApiKey.objects.select_for_update().filter(alive(now), family=family).order_by("pk"))
    if not keys:
        raise Conflict("the key does not work any more: it was revoked, suspended, or has expired")
    for key in keys:
        before = facts_of(key)
        key.scopes = sorted({*key.scopes, *_scopes(arguments)})
        key.save(update_fields=["scopes"])
        audit.record("api_key.scopes_granted", key, now=now, before=before, after=facts_of(key))
    forget_on_commit()
    return f"{', '.join(key.prefix for key in keys)} may {', '.join(_scopes(arguments))}"


def register() -> None:
    """Offer the kind of approval; called once, from the app's ready()."""
    approval_kinds.register(
        ApprovalKind(
            name=GRANT,
            title="Admin scopes for an API key",
            request_permission="core.add_apikey",
            approve_permission="core.change_apikey",
            describe=describe_grant,
            execute=grant_scopes,
        )
    )


def _scopes(arguments: Mapping[str, object]) -> list[str]:
    wanted = arguments["scopes"]
    if not isinstance(wanted, list) or any(name not in known_scopes for name in wanted):
        raise Invalid(f"these are not all scopes: {wanted}")
    return [str(name) for name in wanted]


def _require(reason: str) -> None:
    if not reason.strip():
        raise Invalid("say why", errors=[FieldError("/reason", "required", "a reason is required")])
