"""Asking: what is wanted is checked, described, frozen and put before those who may decide."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from core import audit
from core.approvals.people import may_request, person_behind
from core.context import current
from core.errors import Conflict, FieldError, Forbidden, Invalid
from core.models import Approval
from core.ports.approvals import ApprovalKind, approval_kinds


def request_approval(
    kind_name: str, arguments: Mapping[str, object], *, reason: str, now: datetime, requested_by: User | None = None
) -> Approval:
    """Ask for an act in the name of who acts now, or of `requested_by`; part of the caller's transaction.

    Raises Invalid without a reason, Forbidden without the kind's permission, Conflict (`already_requested`) while the
    same act is waiting or under way, PortError for an unknown kind, and whatever the kind's `describe` refuses.
    """
    kind = approval_kinds.get(kind_name)
    if not 0 < len(reason.strip()) <= 500:
        detail = "a request needs a reason of 1 to 500 characters"
        raise Invalid(detail, errors=[FieldError("/reason", "required", detail)])
    frozen = _frozen(arguments)
    approval = _drafted(kind, frozen, reason.strip(), now, requested_by)
    try:
        with transaction.atomic():
            approval.save(force_insert=True)
    except IntegrityError as error:
        if not Approval.objects.filter(kind=kind.name, digest=approval.digest).exists():
            raise
        raise Conflict("exactly this was asked for already and is not settled yet", code="already_requested") from error
    audit.record("approval.requested", approval, now=now, after=_facts(approval), reason=approval.reason)
    return approval


def digest_of(kind: str, arguments: Mapping[str, object]) -> str:
    """Return the SHA-256 of a kind and its arguments in canonical JSON: what is approved is what has this digest."""
    return hashlib.sha256(f"{kind}\n{_canonical(arguments)}".encode()).hexdigest()


def _drafted(
    kind: ApprovalKind, arguments: dict[str, object], reason: str, now: datetime, requested_by: User | None
) -> Approval:
    actor = current().actor
    person = requested_by or person_behind(actor)
    # A key's own right was its scope; whoever made the key answers for it as a person.
    if person is not None and actor.kind != "api_key" and not may_request(person, kind):
        raise Forbidden(f"asking for “{kind.title}” needs the permission {kind.request_permission}")
    described = kind.describe(arguments)
    return Approval(
        kind=kind.name,
        title=(described.lines[0] if described.lines else kind.title)[:200],
        arguments=arguments,
        description=list(described.lines),
        digest=digest_of(kind.name, arguments),
        subject_type=described.subject[0],
        subject_id=described.subject[1],
        link=described.link,
        reason=reason,
        requester_kind="user" if requested_by else actor.kind,
        requester_id=str(requested_by.pk) if requested_by else actor.identifier,
        requester_label=(requested_by.get_username() if requested_by else actor.label)[:200],
        requested_by=person,
        requested_at=now,
        expires_at=now + kind.expires_after,
        remind_at=now + min(kind.remind_after, kind.expires_after / 2),
    )


def _facts(approval: Approval) -> dict[str, object]:
    return {
        "kind": approval.kind,
        "arguments": approval.arguments,
        "digest": approval.digest,
        "expires_at": approval.expires_at,
        "subject": f"{approval.subject_type} {approval.subject_id}".strip(),
    }


def _frozen(arguments: Mapping[str, object]) -> dict[str, object]:
    """Return the arguments as plain JSON; raises TypeError for what would not come back from the database as it was."""
    _refuse_floats(arguments)
    plain: dict[str, object] = json.loads(_canonical(arguments))
    return plain


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError("arguments of an approval are exact: give a number as text")
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def _canonical(arguments: Mapping[str, object]) -> str:
    return json.dumps(dict(arguments), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
