"""Deciding: a second person approves or refuses, who asked may withdraw; a conditional UPDATE decides who was first."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from core import audit
from core.approvals.conditions import decided
from core.approvals.execution import send_on_commit
from core.approvals.people import objection, person_behind
from core.choices import ApprovalStatus
from core.context import current
from core.errors import Conflict, FieldError, Forbidden, Invalid, Missing
from core.models import Approval
from core.ports.approvals import approval_kinds


def approve(approval_id: UUID, *, by: User, now: datetime, reason: str = "", digest: str = "") -> Approval:
    """Let a request happen; a worker carries it out at once. `digest` is that of the request the person was shown.

    Raises Missing, Forbidden for whoever asked or may not decide, and Conflict when it was decided, has expired, is
    not what was shown, or who asked has been deactivated meanwhile.
    """
    approval = _found(approval_id)
    _require_second_person(approval, by)
    if digest and digest != approval.digest:
        raise Conflict("this is not the request that was shown; look at it again", code="not_as_shown")
    if approval.requested_by is not None and not approval.requested_by.is_active:
        raise Conflict(f"{approval.requester_label}, who asked for this, has been deactivated", code="requester_gone")
    with transaction.atomic():
        _decide(approval, ApprovalStatus.APPROVED, by=by, now=now, reason=reason)
        send_on_commit(approval.pk)
    return _found(approval_id)


def refuse(approval_id: UUID, *, by: User, now: datetime, reason: str) -> Approval:
    """End a request without anything happening. Raises as `approve` does, and Invalid without a reason."""
    if not reason.strip():
        raise Invalid("say why it is refused", errors=[FieldError("/reason", "required", "a reason is required")])
    approval = _found(approval_id)
    _require_second_person(approval, by)
    with transaction.atomic():
        _decide(approval, ApprovalStatus.REFUSED, by=by, now=now, reason=reason)
        close(approval, ApprovalStatus.REFUSED, now=now)
    return _found(approval_id)


def withdraw(approval_id: UUID, *, now: datetime, reason: str = "") -> Approval:
    """Take a request back. Only who asked may: the person, or the key; raises Forbidden for others, and Conflict."""
    approval = _found(approval_id)
    actor = current().actor
    person = person_behind(actor)
    same_key = (actor.kind, actor.identifier) == (approval.requester_kind, approval.requester_id)
    if not same_key and (person is None or actor.kind == "api_key" or person != approval.requested_by):
        raise Forbidden("only who asked can withdraw a request; others refuse it")
    with transaction.atomic():
        _decide(approval, ApprovalStatus.WITHDRAWN, by=None, now=now, reason=reason)
        close(approval, ApprovalStatus.WITHDRAWN, now=now)
    return _found(approval_id)


def close(approval: Approval, status: ApprovalStatus, *, now: datetime) -> None:
    """Tell the app whose act it was that nothing will happen, in the transaction that says so."""
    if approval.kind in approval_kinds:
        closed = approval_kinds.get(approval.kind).closed
        if closed is not None:
            closed(approval.arguments, status.value, now)


def _found(approval_id: UUID) -> Approval:
    approval = Approval.objects.select_related("requested_by", "decided_by").filter(pk=approval_id).first()
    if approval is None:
        raise Missing("there is no such request")
    return approval


def _require_second_person(approval: Approval, user: User) -> None:
    why_not = objection(approval, user)
    if why_not:
        raise Forbidden(why_not, code="not_for_this_person")


def _decide(approval: Approval, status: ApprovalStatus, *, by: User | None, now: datetime, reason: str) -> None:
    """Move a waiting request to its decision and write it down; raises Conflict for whoever comes second or late."""
    label = by.get_username() if by is not None else current().actor.label
    waiting = Approval.objects.filter(pk=approval.pk, status=ApprovalStatus.WAITING, expires_at__gt=now)
    changed = waiting.update(
        status=status,
        decided_by=by,
        decided_by_label=label[:200],
        decided_at=now,
        decision_reason=reason.strip()[:500],
        finished_at=None if status == ApprovalStatus.APPROVED else now,
    )
    if not changed:
        raise Conflict(_why_too_late(_found(approval.pk), now), code="approval_decided")
    decided(approval, now=now)
    audit.record(
        f"approval.{status.value}",
        approval,
        now=now,
        before={"status": ApprovalStatus.WAITING},
        after={"status": status, "kind": approval.kind, "digest": approval.digest},
        reason=reason.strip(),
    )


def _why_too_late(approval: Approval, now: datetime) -> str:
    if approval.status in {ApprovalStatus.WAITING, ApprovalStatus.EXPIRED}:
        return f"the request expired at {approval.expires_at.isoformat(timespec='minutes')}"
    if approval.status == ApprovalStatus.WITHDRAWN:
        return f"the request was withdrawn by {approval.decided_by_label}"
    decision = "refused" if approval.status == ApprovalStatus.REFUSED else "approved"
    return f"the request was {decision} by {approval.decided_by_label} already"
