"""Exclusions: announced, asked for afterwards, moved and withdrawn."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from msgspec import Meta
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import Missing
from slas.api.objects import ExclusionState, show_exclusion
from slas.api.services import service_of
from slas.models import Exclusion, Sli
from slas.services import exclusions
from slas.services.exclusions import ExclusionTerms

Reason = Annotated[str, Meta(min_length=1, max_length=500)]


class NewExclusion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A span, in whole minutes, that is not to count. Without a service it is taken out of everything.

    `recurrence` is an RRULE line with COUNT or UNTIL, in the local time of `time_zone`. A span that has begun already
    waits for a second person's approval.
    """

    starts_at: datetime
    ends_at: datetime
    category: Literal["planned", "customer", "force_majeure", "bad_data"]
    reason: Reason
    service: Annotated[str, Meta(max_length=100)] = ""
    sli_id: UUID | None = None
    recurrence: Annotated[str, Meta(max_length=300)] = ""
    time_zone: Annotated[str, Meta(max_length=64)] = ""
    applies_to: Literal["slo", "sla", "both"] = "both"
    announced_at: datetime | None = None


class ExclusionMove(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Another span for an exclusion, and why."""

    starts_at: datetime
    ends_at: datetime
    reason: Reason


class ExclusionWithdrawal(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why an exclusion is taken back."""

    reason: Reason


class ExclusionQuery(PageQuery, kw_only=True):
    """Which exclusions are listed."""

    service: str = ""


class ExclusionList(ApiView):
    """All exclusions."""

    required_scopes = {"GET": "slas:read", "POST": "slas:write"}

    @operation(
        "list_exclusions",
        "List exclusions",
        query=ExclusionQuery,
        answers={200: CursorPage[ExclusionState]},
        tag="slas",
    )
    def get(self, request: Request) -> HttpResponse:
        """Exclusions, newest first, the withdrawn ones included."""
        caller(request).require_unbound()
        wanted = query(request, ExclusionQuery)
        rows = Exclusion.objects.select_related("service")
        rows = rows.filter(service__slug=wanted.service) if wanted.service else rows
        return answer(paginate(request, rows, page=wanted, order=Order(), show=show_exclusion))

    @operation(
        "create_exclusion", "Exclude a span of time", body=NewExclusion, answers={201: ExclusionState},
        problems=(404, 409), idempotent=True, tag="slas",
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Exclude a span: one in the future at once, one that has begun when a second person approves."""
        caller(request).require_unbound()
        wanted = decode(request, NewExclusion)
        sli = Sli.objects.filter(pk=wanted.sli_id).first() if wanted.sli_id else None
        if wanted.sli_id and sli is None:
            raise Missing("There is no such indicator.")
        terms = ExclusionTerms(
            wanted.starts_at, wanted.ends_at, wanted.category, wanted.reason,
            service_of(slug=wanted.service) if wanted.service else None, sli, wanted.recurrence, wanted.time_zone,
            wanted.applies_to, wanted.announced_at,
        )  # fmt: skip
        return idempotent(request, lambda now: answer(show_exclusion(exclusions.exclude(terms, now=now)), 201))


class ExclusionDetail(ApiView):
    """One exclusion."""

    required_scopes = {"GET": "slas:read", "PATCH": "slas:write"}

    @operation("get_exclusion", "Read an exclusion", answers={200: ExclusionState}, problems=(404,), tag="slas")
    def get(self, request: Request, exclusion_id: UUID) -> HttpResponse:
        """One exclusion, also a withdrawn one."""
        caller(request).require_unbound()
        found = Exclusion.objects.select_related("service").filter(pk=exclusion_id).first()
        if found is None:
            raise Missing("There is no such exclusion.")
        return answer(show_exclusion(found))

    @operation(
        "move_exclusion", "Move an exclusion", body=ExclusionMove, answers={200: ExclusionState}, problems=(404, 409),
        tag="slas",
    )  # fmt: skip
    def patch(self, request: Request, exclusion_id: UUID) -> HttpResponse:
        """Move an exclusion. Where the past is touched, a new one takes its place and waits for an approval."""
        caller(request).require_unbound()
        wanted = decode(request, ExclusionMove)

        def move(now: datetime) -> HttpResponse:
            moved = exclusions.change(
                exclusion_id, starts_at=wanted.starts_at, ends_at=wanted.ends_at, reason=wanted.reason, now=now
            )
            return answer(show_exclusion(moved))

        return idempotent(request, move)


class ExclusionWithdraw(ApiView):
    """The end of one exclusion."""

    required_scopes = {"POST": "slas:write"}

    @operation(
        "withdraw_exclusion", "Withdraw an exclusion", body=ExclusionWithdrawal, answers={200: ExclusionState},
        problems=(404, 409), tag="slas",
    )  # fmt: skip
    def post(self, request: Request, exclusion_id: UUID) -> HttpResponse:
        """Let everything that the exclusion has taken out count again, except in frozen days."""
        caller(request).require_unbound()
        wanted = decode(request, ExclusionWithdrawal)
        return idempotent(
            request,
            lambda now: answer(show_exclusion(exclusions.withdraw(exclusion_id, reason=wanted.reason, now=now))),
        )
