"""Silences over the API: made, looked at before they are made, changed, ended."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.db.models import Q
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from alerts.api.alert_views import InstanceState, instance
from alerts.matching import as_json, parse_matchers, stored_matchers
from alerts.models import Silence
from alerts.services import silences
from alerts.services.silences import SilenceTerms, state_of
from alerts.services.silences.reading import span_of
from core.api.authentication import caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import Missing

READ, WRITE = "alerts:read", "alerts:write"
TAG = "silences"
Status = Literal["pending", "active", "expired"]


class MatcherState(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One condition on a label; expressions are RE2's and match the whole value."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    op: Literal["=", "!=", "=~", "!~"] = "="
    value: Annotated[str, Meta(max_length=10_240)]


Matchers = Annotated[list[MatcherState], Meta(min_length=1, max_length=64)]
Comment = Annotated[str, Meta(min_length=1, max_length=1000, description="Why.")]
EXAMPLE = {
    "matchers": [{"name": "alertname", "op": "=", "value": "DiskFull"}],
    "starts_at": "2026-11-22T01:00:00+01:00",
    "ends_at": "2026-11-22T05:00:00+01:00",
    "comment": "nightly backup",
    "recurrence": "FREQ=WEEKLY;BYDAY=SU",
    "recurs_until": "2027-06-30T00:00:00Z",
    "time_zone": "Europe/Paris",
}


class NewSilence(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A silence. The span repeats by `recurrence` (an RRULE) in the local time of `time_zone`, up to an end."""

    matchers: Matchers
    starts_at: datetime | None = None
    ends_at: datetime
    comment: Comment
    recurrence: Annotated[str, Meta(max_length=300)] = ""
    recurs_until: datetime | None = None
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    remind_before_seconds: Annotated[int, Meta(ge=60, le=30 * 86_400)] | None = None


class SilenceQuery(PageQuery, kw_only=True):
    """Which silences: by default those that hold or will."""

    over: bool = False


class SilenceDetails(msgspec.Struct, kw_only=True):
    """A silence. `span_starts_at` and `span_ends_at` are the span that holds now, comes next or was the last."""

    id: UUID
    state: Status
    matchers: list[MatcherState]
    starts_at: datetime
    ends_at: datetime
    recurrence: str
    recurs_until: datetime | None
    time_zone: str
    span_starts_at: datetime
    span_ends_at: datetime
    over_at: datetime
    comment: str
    created_by: str
    created_at: datetime
    expired_at: datetime | None
    remind_before_seconds: int | None


class SilencePreviewRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Matchers to try."""

    matchers: Matchers


class SilencePreview(msgspec.Struct, kw_only=True):
    """What matchers would hide now; `complete` is false when there were too many alerts to look at all."""

    count: int
    complete: bool
    alerts: list[InstanceState]


class SilenceEnd(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why it ends."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class SilenceList(WholeFleetView):
    """Silences."""

    required_scopes = {"GET": READ, "POST": WRITE}

    @operation("list_silences", "List silences", query=SilenceQuery, answers={200: CursorPage[SilenceDetails]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Silences that hold or will, the newest first; with `over=true` those that are over."""
        wanted, now = query(request, SilenceQuery), timezone.now()
        lasting = Q(expired_at=None, over_at__gt=now)
        rows = Silence.objects.filter(~lasting if wanted.over else lasting)
        return answer(
            paginate(request, rows, page=wanted, order=Order("created_at"), show=lambda row: details(row, now))
        )

    @operation(
        "create_silence", "Make a silence", body=Annotated[NewSilence, Meta(examples=[EXAMPLE])],
        answers={201: SilenceDetails}, idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Hide what matches from now, or from a start, to an end; once, or by a recurrence rule."""
        wanted = decode(request, NewSilence)
        return idempotent(request, lambda now: self._made(request, wanted, now))

    def _made(self, request: Request, wanted: NewSilence, now: datetime) -> HttpResponse:
        silence = silences.create_silence(_terms(wanted, now), by=caller(request).name, now=now)
        location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{silence.pk}")
        return answer(details(silence, now), 201, {"Location": location})


class SilenceDetail(WholeFleetView):
    """One silence."""

    required_scopes = {"GET": READ, "PUT": WRITE, "DELETE": WRITE}

    @operation("get_silence", "Show a silence", answers={200: SilenceDetails}, tag=TAG)
    def get(self, request: Request, silence_id: UUID) -> HttpResponse:
        """One silence, also one that is over."""
        return answer(details(_found(silence_id), timezone.now()))

    @operation(
        "change_silence", "Change a silence", body=NewSilence, answers={200: SilenceDetails}, problems=(409,), tag=TAG
    )
    def put(self, request: Request, silence_id: UUID) -> HttpResponse:
        """Change a silence that is not over. What is active and would hide something else gets another id."""
        wanted, now = decode(request, NewSilence), timezone.now()
        changed = silences.update_silence(silence_id, _terms(wanted, now), by=caller(request).name, now=now)
        return answer(details(changed, now))

    @operation("end_silence", "End a silence", answers={204: None}, tag=TAG)
    def delete(self, request: Request, silence_id: UUID) -> HttpResponse:
        """End a silence now, also one that would come back."""
        silences.expire_silence(silence_id, now=timezone.now())
        return HttpResponse(status=204)


class SilencePreviewView(WholeFleetView):
    """What a silence would hide."""

    required_scopes = {"POST": READ}

    @operation(
        "preview_silence", "Look what a silence hides", body=SilencePreviewRequest, answers={200: SilencePreview},
        tag=TAG,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Return the alerts that match now, the newest 50 of them in full. Changes nothing."""
        wanted = decode(request, SilencePreviewRequest)
        found = silences.preview(parse_matchers(_plain(wanted.matchers), pointer="/matchers"))
        return answer(
            SilencePreview(count=found.count, complete=found.complete, alerts=[instance(a) for a in found.alerts])
        )


def details(silence: Silence, now: datetime) -> SilenceDetails:
    """Return a silence for an answer."""
    span = span_of(silence, now)
    own = (
        "id", "starts_at", "ends_at", "recurrence", "recurs_until", "time_zone", "over_at", "comment", "created_by",
        "created_at", "expired_at", "remind_before_seconds",
    )  # fmt: skip
    return SilenceDetails(
        **{name: getattr(silence, name) for name in own},
        state=state_of(silence, now),
        matchers=[MatcherState(**item) for item in as_json(stored_matchers(silence.matchers))],  # type: ignore[arg-type]  # an operator
        span_starts_at=span.start,
        span_ends_at=span.end,
    )


def _terms(wanted: NewSilence, now: datetime) -> SilenceTerms:
    values = msgspec.structs.asdict(wanted)
    matchers = parse_matchers(_plain(wanted.matchers), pointer="/matchers")
    return SilenceTerms(**{**values, "matchers": matchers, "starts_at": wanted.starts_at or now})


def _plain(matchers: list[MatcherState]) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(matcher) for matcher in matchers]


def _found(silence_id: UUID) -> Silence:
    silence = Silence.objects.filter(pk=silence_id).first()
    if silence is None:
        raise Missing("there is no such silence")
    return silence
