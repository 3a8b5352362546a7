"""Error budget policies, and the freezes that a deployment asks for before it changes something."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
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
from core.approvals import request_approval
from core.errors import FieldError, Invalid, Missing
from core.money import to_text
from slas.api.objects import Freeze, show_freeze
from slas.api.services import Name, Slug
from slas.models import BudgetPolicy
from slas.services import policies


class PolicyStep(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is done once this share of the error budget is used: 0.5 is half of it, 1 all."""

    consumed_from: Annotated[Decimal, Meta(extra={"gt": 0})]
    action: Literal["notify", "approval", "freeze", "incident"]
    message: Annotated[str, Meta(max_length=300)] = ""


class NewPolicy(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A policy with all its steps."""

    slug: Slug
    name: Name
    description: str = ""
    steps: Annotated[list[PolicyStep], Meta(max_length=20)] = []


class PolicyReplacement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What a policy is to be; steps that are left out go."""

    name: Name
    description: str = ""
    steps: Annotated[list[PolicyStep], Meta(max_length=20)] = []


class PolicyStepState(msgspec.Struct, kw_only=True):
    """One step of a policy."""

    consumed_from: str
    action: str
    message: str


class BudgetPolicyState(msgspec.Struct, kw_only=True):
    """An error budget policy and its steps, in the order in which they take effect."""

    slug: str
    name: str
    description: str
    steps: list[PolicyStepState]


class FreezeQuery(msgspec.Struct, kw_only=True):
    """For what: a service by its slug, or by the entity it stands for."""

    service: str = ""
    entity_type: str = ""
    entity_id: str = ""


class FreezesAnswer(msgspec.Struct, kw_only=True):
    """Whether changes may be made: `frozen` no, `approval_required` only with a second person's consent."""

    frozen: bool
    approval_required: bool
    freezes: list[Freeze]


class FreezeLift(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """For how many hours changes are to pass, and why."""

    hours: Annotated[int, Meta(ge=1, le=168)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class LiftAsked(msgspec.Struct, kw_only=True):
    """The request that a second person decides."""

    approval_id: UUID
    status: Literal["waiting"] = "waiting"


class PolicyList(ApiView):
    """All error budget policies."""

    required_scopes = {"GET": "slas:read", "POST": "slas:admin"}

    @operation(
        "list_budget_policies", "List error budget policies", query=PageQuery,
        answers={200: CursorPage[BudgetPolicyState]}, tag="slas",
    )  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """Policies with their steps."""
        caller(request).require_unbound()
        rows = BudgetPolicy.objects.prefetch_related("steps")
        return answer(paginate(request, rows, page=query(request, PageQuery), order=Order(), show=_shown))

    @operation(
        "create_budget_policy", "Create an error budget policy", body=NewPolicy, answers={201: BudgetPolicyState},
        problems=(409,), idempotent=True, tag="slas",
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Make a policy."""
        caller(request).require_unbound()
        wanted = decode(request, NewPolicy)

        def make(now: datetime) -> HttpResponse:
            values = {"slug": wanted.slug, "name": wanted.name, "description": wanted.description}
            return answer(_shown(policies.save_policy(None, values, _steps(wanted.steps), now=now)), 201)

        return idempotent(request, make)


class PolicyDetail(ApiView):
    """One error budget policy."""

    required_scopes = {"GET": "slas:read", "PUT": "slas:admin"}

    @operation(
        "get_budget_policy",
        "Read an error budget policy",
        answers={200: BudgetPolicyState},
        problems=(404,),
        tag="slas",
    )
    def get(self, request: Request, slug: str) -> HttpResponse:
        """One policy."""
        caller(request).require_unbound()
        return answer(_shown(_policy(slug)))

    @operation(
        "replace_budget_policy", "Replace an error budget policy", body=PolicyReplacement,
        answers={200: BudgetPolicyState},
        problems=(404,), tag="slas",
    )  # fmt: skip
    def put(self, request: Request, slug: str) -> HttpResponse:
        """Replace a policy and its steps; objectives follow with the next evaluation."""
        caller(request).require_unbound()
        wanted, policy = decode(request, PolicyReplacement), _policy(slug)

        def replace(now: datetime) -> HttpResponse:
            values = {"name": wanted.name, "description": wanted.description}
            return answer(_shown(policies.save_policy(policy, values, _steps(wanted.steps), now=now)))

        return idempotent(request, replace)


class FreezeList(ApiView):
    """What stops changes just now."""

    required_scopes = {"GET": "slas:read"}

    @operation(
        "list_freezes", "Ask whether changes are frozen", query=FreezeQuery, answers={200: FreezesAnswer}, tag="slas"
    )
    def get(self, request: Request) -> HttpResponse:
        """Freezes in force; with `service`, or an entity, only those of that one. None means: go ahead."""
        wanted = query(request, FreezeQuery)
        if bool(wanted.entity_type) != bool(wanted.entity_id):
            detail = "an entity is named by its type and its id"
            raise Invalid(detail, errors=[FieldError("/entity_id", "required", detail)])
        entity = (wanted.entity_type, wanted.entity_id) if wanted.entity_type else caller(request).entity
        if entity:
            caller(request).require_entity(*entity)
        found = [
            show_freeze(row) for row in policies.freezes(now=timezone.now(), service=wanted.service, entity=entity)
        ]
        actions = {freeze.action for freeze in found}
        return answer(
            FreezesAnswer(frozen="freeze" in actions, approval_required="approval" in actions, freezes=found)
        )  # fmt: skip


class FreezeLiftView(ApiView):
    """A way past one freeze."""

    required_scopes = {"POST": "slas:write"}

    @operation(
        "ask_to_lift_freeze", "Ask to lift a freeze", body=FreezeLift, answers={202: LiftAsked}, problems=(404, 409),
        idempotent=True, tag="slas",
    )  # fmt: skip
    def post(self, request: Request, freeze_id: UUID) -> HttpResponse:
        """Ask a second person to let changes pass for some hours."""
        caller(request).require_unbound()
        wanted = decode(request, FreezeLift)

        def ask(now: datetime) -> HttpResponse:
            arguments = {"freeze": str(freeze_id), "hours": wanted.hours}
            approval = request_approval(policies.LIFT, arguments, reason=wanted.reason, now=now)
            return answer(LiftAsked(approval_id=approval.pk), 202)

        return idempotent(request, ask)


def _policy(slug: str) -> BudgetPolicy:
    found = BudgetPolicy.objects.filter(slug=slug).first()
    if found is None:
        raise Missing("There is no such error budget policy.")
    return found


def _steps(steps: list[PolicyStep]) -> list[dict[str, Any]]:
    return [{"consumed_from": step.consumed_from, "action": step.action, "message": step.message} for step in steps]


def _shown(policy: BudgetPolicy) -> BudgetPolicyState:
    steps = sorted(policy.steps.all(), key=lambda step: (step.consumed_from, step.pk))
    return BudgetPolicyState(
        slug=policy.slug,
        name=policy.name,
        description=policy.description,
        steps=[
            PolicyStepState(consumed_from=to_text(step.consumed_from), action=step.action, message=step.message)
            for step in steps
        ],
    )
