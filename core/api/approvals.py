"""Approvals over the API: read, withdrawn by who asked, decided by signed-in people and never by a key."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from core import approvals
from core.api.authentication import Identity, SessionIdentity, caller
from core.api.decoding import decode
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import Forbidden, Missing
from core.models import ApiKey, Approval

Status = Literal["waiting", "approved", "executing", "done", "failed", "refused", "withdrawn", "expired"]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]


class ApprovalState(msgspec.Struct, kw_only=True):
    """A request that a second person decides. `digest` is the SHA-256 of kind and arguments: send it when deciding."""

    approval_id: UUID
    kind: str
    title: str
    description: list[str]
    arguments: dict[str, Any]
    digest: str
    status: str
    reason: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    decided_by: str
    decided_at: datetime | None
    decision_reason: str
    finished_at: datetime | None
    result: str
    error: str


class ApprovalQuery(PageQuery, kw_only=True):
    """Which requests are listed."""

    status: Status | None = None
    kind: str | None = None


class Decision(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why it is decided so. With the `digest` that was shown, another request than that one is never decided about."""

    reason: Reason
    digest: Annotated[str, Meta(max_length=64)] = ""


class Withdrawal(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why it is taken back."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class ApprovalList(ApiView):
    """All requests the caller may see."""

    required_scopes = {"GET": "approvals:read"}

    @operation(
        "list_approvals",
        "List requests for approval",
        query=ApprovalQuery,
        answers={200: CursorPage[ApprovalState]},
        tag="approvals",
    )
    def get(self, request: Request) -> HttpResponse:
        """The newest first: a person's own and those they may decide; a bound key sees what it asked for itself."""
        wanted = query(request, ApprovalQuery)
        exact = {"status": wanted.status, "kind": wanted.kind}
        rows = _visible(caller(request)).filter(**{name: value for name, value in exact.items() if value is not None})
        return answer(paginate(request, rows, page=wanted, order=Order(), show=shown))


class ApprovalDetail(ApiView):
    """One request."""

    required_scopes = {"GET": "approvals:read"}

    @operation("get_approval", "Get a request for approval", answers={200: ApprovalState}, tag="approvals")
    def get(self, request: Request, approval_id: UUID) -> HttpResponse:
        """What exactly was asked for, by whom and why, who decided, and what came of it."""
        return answer(shown(_found(request, approval_id)))


class ApprovalApprove(ApiView):
    """Letting a request happen."""

    required_scopes = {"POST": "approvals:write"}

    @operation(
        "approve_request",
        "Approve a request",
        body=Decision,
        answers={200: ApprovalState},
        problems=(409,),
        tag="approvals",
    )
    def post(self, request: Request, approval_id: UUID) -> HttpResponse:
        """Let it happen. Only a signed-in person who did not ask can: a key is refused, whoever made it (403)."""
        decision, person = decode(request, Decision), _person(caller(request))
        now = timezone.now()
        approval = _found(request, approval_id)
        decided = approvals.approve(approval.pk, by=person, now=now, reason=decision.reason, digest=decision.digest)
        return answer(shown(decided))


class ApprovalRefuse(ApiView):
    """Ending a request."""

    required_scopes = {"POST": "approvals:write"}

    @operation(
        "refuse_request",
        "Refuse a request",
        body=Decision,
        answers={200: ApprovalState},
        problems=(409,),
        tag="approvals",
    )
    def post(self, request: Request, approval_id: UUID) -> HttpResponse:
        """End it without anything happening. Only a signed-in person who did not ask can."""
        decision, person = decode(request, Decision), _person(caller(request))
        approval = _found(request, approval_id)
        return answer(shown(approvals.refuse(approval.pk, by=person, now=timezone.now(), reason=decision.reason)))


class ApprovalWithdraw(ApiView):
    """Taking one's own request back."""

    required_scopes = {"POST": "approvals:write"}

    @operation(
        "withdraw_request",
        "Withdraw a request",
        body=Withdrawal,
        answers={200: ApprovalState},
        problems=(409,),
        tag="approvals",
    )
    def post(self, request: Request, approval_id: UUID) -> HttpResponse:
        """Take back what this person, or this key, asked for."""
        wanted = decode(request, Withdrawal)
        approval = _found(request, approval_id)
        return answer(shown(approvals.withdraw(approval.pk, now=timezone.now(), reason=wanted.reason)))


def _person(identity: Identity) -> Any:
    """Return the signed-in person. A key names its maker, not its holder, so no key proves that a person decided."""
    if not isinstance(identity, SessionIdentity):
        raise Forbidden("approvals are decided by signed-in people, not by keys", code="person_required")
    return identity.user


def _visible(identity: Identity) -> QuerySet[Approval]:
    if isinstance(identity, SessionIdentity):
        return approvals.visible_to(identity.user)  # type: ignore[arg-type]  # the project's user model
    if identity.entity is None:
        return Approval.objects.all()
    keys = [str(key) for key in ApiKey.objects.filter(family=identity.family).values_list("pk", flat=True)]
    return Approval.objects.filter(requester_kind="api_key", requester_id__in=keys)


def _found(request: Request, approval_id: UUID) -> Approval:
    approval = _visible(caller(request)).filter(pk=approval_id).first()
    if approval is None:
        raise Missing("there is no such request")
    return approval


def shown(approval: Approval) -> ApprovalState:
    """Return a request for an answer."""
    return ApprovalState(
        approval_id=approval.pk,
        kind=approval.kind,
        title=approval.title,
        description=approval.description,
        arguments=approval.arguments,
        digest=approval.digest,
        status=approval.status,
        reason=approval.reason,
        requested_by=approval.requester_label,
        requested_at=approval.requested_at,
        expires_at=approval.expires_at,
        decided_by=approval.decided_by_label,
        decided_at=approval.decided_at,
        decision_reason=approval.decision_reason,
        finished_at=approval.finished_at,
        result=approval.result,
        error=approval.error,
    )
