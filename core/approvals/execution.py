"""Carrying out what was approved: exactly once, whichever worker comes first and wherever one is killed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog
from celery import current_app
from django.db import DatabaseError, InterfaceError, transaction
from django.db.models import F
from kombu.exceptions import KombuError, OperationalError

from core import audit
from core.api.problems import is_unavailable
from core.approvals.conditions import failed
from core.approvals.requests import digest_of
from core.choices import ApprovalStatus
from core.context import Actor, Context, acting
from core.errors import Refusal
from core.leases import claim, held, release
from core.models import Approval
from core.ports.approvals import ApprovalKind, approval_kinds

TASK = "core.carry_out_approval"
UNDER_WAY = (ApprovalStatus.APPROVED, ApprovalStatus.EXECUTING)

log = structlog.get_logger(__name__)


class _Taken(Exception):
    """Another worker was first."""


def send_on_commit(approval_id: UUID) -> None:
    """Tell a worker once the caller's transaction is committed; a lost message is sent again by the sweep."""
    transaction.on_commit(lambda: send(approval_id))


def send(approval_id: UUID) -> None:
    """Tell a worker that a request was approved."""
    try:
        current_app.send_task(TASK, kwargs={"approval_id": str(approval_id)})
    except (OperationalError, KombuError, OSError) as error:
        log.warning("approval_message_not_sent", approval=str(approval_id), reason=str(error))


def carry_out(approval_id: UUID, *, clock: Callable[[], datetime]) -> None:
    """Do what was approved; nothing when it is gone, was not approved, is done, or another worker is at it.

    A refusal or error of the act ends the request as failed, with the reason and a condition.
    """
    approval = Approval.objects.filter(pk=approval_id, status__in=UNDER_WAY).first()
    if approval is None:
        return
    with acting(_circumstances(approval)):
        if approval.kind not in approval_kinds:
            _end_in_failure(approval, f"no installed app carries out {approval.kind}", now=clock())
        elif digest_of(approval.kind, approval.arguments) != approval.digest:
            _end_in_failure(approval, "the arguments are not those that were approved", now=clock())
        elif approval_kinds.get(approval.kind).external:
            _outside(approval, approval_kinds.get(approval.kind), clock)
        else:
            _inside(approval, approval_kinds.get(approval.kind), clock())


def _inside(approval: Approval, kind: ApprovalKind, now: datetime) -> None:
    """Do the act and mark it done in one transaction: both or neither."""
    try:
        with transaction.atomic():
            mine = Approval.objects.filter(pk=approval.pk, status=ApprovalStatus.APPROVED)
            # The row stays locked until the end: whoever comes second waits here and finds it done.
            if not mine.update(status=ApprovalStatus.DONE, finished_at=now, attempt=F("attempt") + 1):
                raise _Taken
            result = kind.execute(approval.arguments, approval, now)
            Approval.objects.filter(pk=approval.pk).update(result=result[:500])
            _record(approval, ApprovalStatus.DONE, result, now)
    except _Taken:
        log.info("approval_already_carried_out", approval=str(approval.pk))
    except (DatabaseError, InterfaceError) as error:
        if is_unavailable(error):
            # Everything was rolled back and it is still approved: the sweep tries again.
            raise
        _explain(approval, error, now)
    except Exception as error:  # noqa: BLE001  # whatever the act raises ends as a row that a person can read
        _explain(approval, error, now)


def _outside(approval: Approval, kind: ApprovalKind, clock: Callable[[], datetime]) -> None:
    """Do the act outside any transaction, under a lease that fences off a worker thought dead."""
    now = clock()
    rows = Approval.objects.filter(pk=approval.pk, status__in=UNDER_WAY)
    taken = claim(rows, order_by=("pk",), limit=1, lease=kind.lease, now=now)
    if not taken:
        return
    mine = taken[0]
    if mine.attempt >= kind.attempts:
        message = "the worker was lost while it was at it; look whether it happened before you ask again"
        _end_in_failure(mine, message, now=now)
        return
    held(mine).update(status=ApprovalStatus.EXECUTING, attempt=F("attempt") + 1)
    try:
        result = kind.execute(mine.arguments, mine, now)
    except Exception as error:  # noqa: BLE001  # whatever the act raises ends as a row that a person can read
        _explain(mine, error, clock())
        return
    _finish(mine, result, clock())


def _finish(approval: Approval, result: str, now: datetime) -> None:
    with transaction.atomic():
        done = release(status=ApprovalStatus.DONE, finished_at=now, result=result[:500])
        if held(approval).update(**done):
            _record(approval, ApprovalStatus.DONE, result, now)
        else:
            log.warning("approval_lease_lost", approval=str(approval.pk), result=result)


def _explain(approval: Approval, error: Exception, now: datetime) -> None:
    log.warning("approval_not_carried_out", approval=str(approval.pk), kind=approval.kind, exc_info=error)
    reason = error.detail if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    _end_in_failure(approval, reason, now=now)


def _end_in_failure(approval: Approval, error: str, *, now: datetime) -> None:
    ended = release(status=ApprovalStatus.FAILED, finished_at=now, error=error[:1000])
    with transaction.atomic():
        rows = held(approval) if approval.lease_token else Approval.objects.filter(pk=approval.pk, lease_token=None)
        if rows.filter(status__in=UNDER_WAY).update(**ended):
            failed(approval, error, now=now)
            _record(approval, ApprovalStatus.FAILED, error, now)


def _record(approval: Approval, status: ApprovalStatus, outcome: str, now: datetime) -> None:
    after = {"status": status, "kind": approval.kind, "digest": approval.digest, "outcome": outcome[:500]}
    audit.record(f"approval.{status.value}", approval, now=now, after=after)


def _circumstances(approval: Approval) -> Context:
    """Act in the name of who asked; the reason names who let it happen."""
    actor = Actor(approval.requester_kind, approval.requester_id, approval.requester_label)  # type: ignore[arg-type]
    reason = f"{approval.reason} (approved by {approval.decided_by_label})"[:500]
    return Context(actor=actor, channel="task", request_id=f"approval-{approval.pk}", reason=reason)
