"""Escalation policies, one's own contact methods, and one's own calendar addresses."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from alerts.api.incident_shapes import Severities, user_named
from alerts.api.incident_views import named
from alerts.api.oncall_views import ADMIN, READ, TAG, feed_address
from alerts.models import Channel, ContactMethod, EscalationPolicy, EscalationStep, OnCallSchedule
from alerts.services import calendars, policies
from alerts.services.policies import MethodTerms, PolicyTerms, StepTerms
from core.api.authentication import SessionIdentity, caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ANY, WholeFleetView
from core.errors import FieldError, Forbidden, Invalid, Missing
from core.models import ApiKey

Kinds = Literal["email", "slack", "teams", "pagerduty", "webhook", "apprise", "log"]
Minutes = Annotated[int, Meta(ge=0, le=1440)]


class StepBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One step: a person by login name, a schedule by slug or a channel by name, and how long it waits."""

    user: Annotated[str, Meta(max_length=150)] = ""
    schedule: Annotated[str, Meta(max_length=100)] = ""
    channel: Annotated[str, Meta(max_length=120)] = ""
    wait_minutes: Minutes = 5


class PolicyBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A policy: its steps in order, and how often they are gone through again."""

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    steps: Annotated[list[StepBody], Meta(min_length=1, max_length=50)]
    repeats: Annotated[int, Meta(ge=0, le=20)] = 0
    is_default: bool = False


class StepAnswer(msgspec.Struct, kw_only=True):
    """One step."""

    user: str
    schedule: str
    channel: str
    wait_minutes: int


class PolicyState(msgspec.Struct, kw_only=True):
    """A policy."""

    id: int
    name: str
    repeats: int
    is_default: bool
    steps: list[StepAnswer]


class MethodBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A way to reach oneself: used so long after a page, and only from this severity upwards."""

    address: Annotated[str, Meta(min_length=1, max_length=500)]
    kind: Kinds = "email"
    delay_minutes: Minutes = 0
    least_severity: Severities = "info"
    enabled: bool = True


class MethodPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different."""

    address: Annotated[str, Meta(min_length=1, max_length=500)] | UnsetType = UNSET
    kind: Kinds | UnsetType = UNSET
    delay_minutes: Minutes | UnsetType = UNSET
    least_severity: Severities | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class MethodState(msgspec.Struct, kw_only=True):
    """A contact method."""

    id: int
    kind: str
    address: str
    delay_minutes: int
    least_severity: str
    enabled: bool


class FeedBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which schedule; without one, one's own turns in all of them."""

    schedule: UUID | None = None


class FeedState(msgspec.Struct, kw_only=True):
    """A secret address, shown this once; it replaces the one before."""

    id: int
    address: str


class PolicyList(WholeFleetView):
    """All escalation policies."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_policies", "List policies", query=PageQuery, answers={200: CursorPage[PolicyState]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Policies, the newest first."""
        wanted = query(request, PageQuery)
        rows = EscalationPolicy.objects.prefetch_related("steps__user", "steps__schedule", "steps__channel")
        return answer(paginate(request, rows, page=wanted, order=Order(), show=_policy))

    @operation("create_policy", "Create a policy", body=PolicyBody, answers={201: PolicyState},
               idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Make a policy; the default one is for incidents that name none."""
        terms = _terms(decode(request, PolicyBody))
        return idempotent(request, lambda now: answer(_policy(policies.create_policy(terms, now=now)), 201))


class PolicyDetail(WholeFleetView):
    """One escalation policy."""

    required_scopes = {"GET": READ, "PUT": ADMIN, "DELETE": ADMIN}

    @operation("get_policy", "A policy", answers={200: PolicyState}, tag=TAG)
    def get(self, request: Request, policy_id: int) -> HttpResponse:
        """The policy with its steps."""
        return answer(_policy(policies.get_policy(policy_id)))

    @operation("change_policy", "Change a policy", body=PolicyBody, answers={200: PolicyState},
               problems=(409,), tag=TAG)  # fmt: skip
    def put(self, request: Request, policy_id: int) -> HttpResponse:
        """Replace it; incidents that escalate already go on by what they began with."""
        policies.get_policy(policy_id)
        terms = _terms(decode(request, PolicyBody))
        return answer(_policy(policies.change_policy(policy_id, terms, now=timezone.now())))

    @operation("delete_policy", "Delete a policy", answers={204: None}, tag=TAG)
    def delete(self, request: Request, policy_id: int) -> HttpResponse:
        """Delete it; incidents that escalate by it go on."""
        policies.delete_policy(policy_id, now=timezone.now())
        return HttpResponse(status=204)


class MethodList(WholeFleetView):
    """One's own contact methods."""

    required_scopes = {"GET": ANY, "POST": ANY}

    @operation("list_contact_methods", "Own contact methods", query=PageQuery,
               answers={200: CursorPage[MethodState]}, tag=TAG)  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """By what the person behind the session, or the owner of the key, is paged."""
        wanted = query(request, PageQuery)
        rows = ContactMethod.objects.filter(user=_oneself(request))
        return answer(paginate(request, rows, page=wanted, order=Order(), show=_method))

    @operation("add_contact_method", "Add a contact method", body=MethodBody, answers={201: MethodState},
               idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Add a way to be reached."""
        wanted, user = decode(request, MethodBody), _oneself(request)
        terms = MethodTerms(**msgspec.structs.asdict(wanted))
        return idempotent(request, lambda now: answer(_method(policies.save_method(user, terms, now=now)), 201))


class MethodDetail(WholeFleetView):
    """One contact method of one's own."""

    required_scopes = {"PATCH": ANY, "DELETE": ANY}

    @operation("change_contact_method", "Change a contact method", body=MethodPatch, answers={200: MethodState},
               problems=(409,), tag=TAG)  # fmt: skip
    def patch(self, request: Request, method_id: int) -> HttpResponse:
        """Change it."""
        method, wanted = _own(request, method_id), decode(request, MethodPatch)
        names = ("kind", "address", "delay_minutes", "least_severity", "enabled")
        values = {name: getattr(wanted, name) for name in names}
        terms = MethodTerms(
            **{name: getattr(method, name) if values[name] is UNSET else values[name] for name in names}
        )
        return answer(_method(policies.save_method(method.user, terms, method=method, now=timezone.now())))

    @operation("delete_contact_method", "Delete a contact method", answers={204: None}, tag=TAG)
    def delete(self, request: Request, method_id: int) -> HttpResponse:
        """Delete it; without any, one is reached at the e-mail address of the account."""
        policies.delete_method(_own(request, method_id), now=timezone.now())
        return HttpResponse(status=204)


class FeedList(WholeFleetView):
    """One's own calendar addresses."""

    required_scopes = {"POST": READ}

    @operation("create_calendar_feed", "Get a calendar address", body=FeedBody, answers={201: FeedState},
               idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Get a secret address for a calendar program; it needs no key, and one before it ends."""
        wanted, user = decode(request, FeedBody), _oneself(request)
        schedule = None if wanted.schedule is None else named(OnCallSchedule, "pk", wanted.schedule, "/schedule")

        def made(now: datetime) -> HttpResponse:
            new = calendars.new_feed(user, schedule, now=now)
            return answer(FeedState(id=new.feed.pk, address=feed_address(request._request, new.token)), 201)

        return idempotent(request, made)


class FeedDetail(WholeFleetView):
    """One calendar address."""

    required_scopes = {"DELETE": READ}

    @operation("delete_calendar_feed", "End a calendar address", answers={204: None}, tag=TAG)
    def delete(self, request: Request, feed_id: int) -> HttpResponse:
        """End it: it opens nothing any more."""
        calendars.end_feed(_oneself(request), feed_id, now=timezone.now())
        return HttpResponse(status=204)


def _oneself(request: Request) -> User:
    """Return the person behind the session, or the owner of the key. Raises Forbidden for a key without one."""
    identity = caller(request)
    if isinstance(identity, SessionIdentity):
        return User.objects.get(pk=identity.user.pk)
    key = ApiKey.objects.select_related("owner").filter(pk=identity.id).first()
    if key is None or key.owner is None:
        raise Forbidden("this key has no owner whose contact methods could be meant", code="no_owner")
    return User.objects.get(pk=key.owner.pk)


def _own(request: Request, method_id: int) -> ContactMethod:
    method = ContactMethod.objects.select_related("user").filter(user=_oneself(request), pk=method_id).first()
    if method is None:
        raise Missing("You have no such contact method.")
    return method


def _terms(body: PolicyBody) -> PolicyTerms:
    steps = [_step(step, f"/steps/{number}") for number, step in enumerate(body.steps)]
    return PolicyTerms(name=body.name, steps=steps, repeats=body.repeats, is_default=body.is_default)


def _step(body: StepBody, pointer: str) -> StepTerms:
    given = [name for name in ("user", "schedule", "channel") if getattr(body, name)]
    if len(given) != 1:
        detail = "A step tells one: a user, a schedule or a channel."
        raise Invalid(detail, errors=[FieldError(pointer, "one_target", detail)])
    if body.user:
        return StepTerms(user_named(body.user, f"{pointer}/user"), body.wait_minutes)
    if body.schedule:
        return StepTerms(named(OnCallSchedule, "slug", body.schedule, f"{pointer}/schedule"), body.wait_minutes)
    return StepTerms(named(Channel, "name", body.channel, f"{pointer}/channel"), body.wait_minutes)


def _policy(policy: EscalationPolicy) -> PolicyState:
    return PolicyState(
        id=policy.pk,
        name=policy.name,
        repeats=policy.repeats,
        is_default=policy.is_default,
        steps=[_step_state(step) for step in policy.steps.all()],
    )


def _step_state(step: EscalationStep) -> StepAnswer:
    return StepAnswer(
        user=step.user.get_username() if step.user else "",
        schedule=step.schedule.slug if step.schedule else "",
        channel=step.channel.name if step.channel else "",
        wait_minutes=step.wait_minutes,
    )


def _method(method: ContactMethod) -> MethodState:
    return MethodState(
        id=method.pk,
        kind=method.kind,
        address=method.address,
        delay_minutes=method.delay_minutes,
        least_severity=method.least_severity,
        enabled=method.enabled,
    )
