"""Heartbeats and runbooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from alerts.api.rule_views import ADMIN, READ, RuleView
from alerts.models import Heartbeat, Runbook
from alerts.services import heartbeats, runbooks
from alerts.services.runbooks import RunbookTerms
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.errors import Missing

WRITE, BEATS, BOOKS = "alerts:write", "heartbeats", "runbooks"
Slug = Annotated[str, Meta(max_length=100)]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Checklist = Annotated[list[str], Meta(max_length=100)]


class NewHeartbeat(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A system that will say that it is at work."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    description: Annotated[str, Meta(max_length=300)] = ""


class HeartbeatPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Another description."""

    description: Annotated[str, Meta(max_length=300)]


class HeartbeatState(msgspec.Struct, kw_only=True):
    """When a system was last heard of, and how often in all."""

    name: str
    description: str
    last_beat_at: datetime | None
    beats: int
    created_at: datetime


class NewRunbook(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to do when something happens: Markdown, and the steps that each incident ticks off."""

    title: Title
    text: str = ""
    checklist: Checklist = []
    slug: Slug = ""


class RunbookPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; with `version`, refused (409) when that is no longer the current one."""

    title: Title | UnsetType = UNSET
    text: str | UnsetType = UNSET
    checklist: Checklist | UnsetType = UNSET
    version: int | UnsetType = UNSET


class RunbookState(msgspec.Struct, kw_only=True):
    """A runbook as it is now."""

    slug: str
    title: str
    text: str
    checklist: list[str]
    version: int
    updated_at: datetime


class HeartbeatList(RuleView):
    """All heartbeats."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation(
        "list_heartbeats", "List heartbeats", query=PageQuery, answers={200: CursorPage[HeartbeatState]}, tag=BEATS
    )
    def get(self, request: Request) -> HttpResponse:
        """Heartbeats by name, with when each was last heard of."""
        order = Order("name", descending=False)
        page = query(request, PageQuery)
        return answer(paginate(request, Heartbeat.objects.all(), page=page, order=order, show=_heartbeat))

    @operation(
        "create_heartbeat",
        "Create a heartbeat",
        body=Annotated[NewHeartbeat, Meta(examples=[{"name": "nightly-import"}])],
        answers={201: HeartbeatState},
        idempotent=True,
        tag=BEATS,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a heartbeat. It is missed only once it has beaten and stops."""
        wanted = decode(request, NewHeartbeat)
        return idempotent(
            request,
            lambda now: answer(_heartbeat(heartbeats.create_heartbeat(wanted.name, wanted.description, now=now)), 201),
        )


class HeartbeatDetail(RuleView):
    """One heartbeat, and the address that a system beats at."""

    required_scopes = {"GET": READ, "POST": WRITE, "PATCH": ADMIN, "DELETE": ADMIN}

    @operation("get_heartbeat", "One heartbeat", answers={200: HeartbeatState}, tag=BEATS)
    def get(self, request: Request, name: str) -> HttpResponse:
        """When a system was last heard of."""
        found = Heartbeat.objects.filter(name=name).first()
        if found is None:
            raise Missing("there is no such heartbeat")
        return answer(_heartbeat(found))

    @operation("beat", "Beat", answers={200: HeartbeatState}, tag=BEATS)
    def post(self, request: Request, name: str) -> HttpResponse:
        """Say that the system is at work; without a body. Any number of times: the latest counts."""
        return answer(_heartbeat(heartbeats.beat(name, now=timezone.now())))

    @operation("change_heartbeat", "Change a heartbeat", body=HeartbeatPatch, answers={200: HeartbeatState}, tag=BEATS)
    def patch(self, request: Request, name: str) -> HttpResponse:
        """Change what is said of it."""
        wanted = decode(request, HeartbeatPatch)
        return answer(_heartbeat(heartbeats.change_heartbeat(name, wanted.description, now=timezone.now())))

    @operation("delete_heartbeat", "Delete a heartbeat", answers={204: None}, tag=BEATS)
    def delete(self, request: Request, name: str) -> HttpResponse:
        """Delete it: it is missed no longer."""
        heartbeats.delete_heartbeat(name, now=timezone.now())
        return HttpResponse(status=204)


class RunbookList(RuleView):
    """All runbooks."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_runbooks", "List runbooks", query=PageQuery, answers={200: CursorPage[RunbookState]}, tag=BOOKS)
    def get(self, request: Request) -> HttpResponse:
        """Runbooks by title."""
        order = Order("title", descending=False)
        page = query(request, PageQuery)
        return answer(paginate(request, Runbook.objects.all(), page=page, order=order, show=_runbook))

    @operation(
        "create_runbook",
        "Create a runbook",
        body=NewRunbook,
        answers={201: RunbookState},
        idempotent=True,
        tag=BOOKS,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a runbook, which rules name by its slug."""
        wanted = decode(request, NewRunbook)
        terms = RunbookTerms(**msgspec.structs.asdict(wanted))
        return idempotent(request, lambda now: answer(_runbook(runbooks.create_runbook(terms, now=now)), 201))


class RunbookDetail(RuleView):
    """One runbook."""

    required_scopes = {"GET": READ, "PATCH": ADMIN, "DELETE": ADMIN}

    @operation("get_runbook", "One runbook", answers={200: RunbookState}, tag=BOOKS)
    def get(self, request: Request, slug: str) -> HttpResponse:
        """A runbook as it is now."""
        return answer(_runbook(_found_runbook(slug)))

    @operation(
        "change_runbook",
        "Change a runbook",
        body=RunbookPatch,
        answers={200: RunbookState},
        problems=(409,),
        tag=BOOKS,
    )
    def patch(self, request: Request, slug: str) -> HttpResponse:
        """Give it its next version."""
        wanted, found = decode(request, RunbookPatch), _found_runbook(slug)
        terms = RunbookTerms(
            title=found.title if wanted.title is UNSET else wanted.title,
            text=found.text if wanted.text is UNSET else wanted.text,
            checklist=found.checklist if wanted.checklist is UNSET else wanted.checklist,
        )
        version = found.version if wanted.version is UNSET else wanted.version
        return answer(_runbook(runbooks.change_runbook(slug, terms, now=timezone.now(), version=version)))

    @operation("delete_runbook", "Delete a runbook", answers={204: None}, tag=BOOKS)
    def delete(self, request: Request, slug: str) -> HttpResponse:
        """Delete it: rules and incidents that named it name none."""
        runbooks.delete_runbook(slug, now=timezone.now())
        return HttpResponse(status=204)


def _found_runbook(slug: str) -> Runbook:
    runbook = Runbook.objects.filter(slug=slug).first()
    if runbook is None:
        raise Missing("there is no such runbook")
    return runbook


def _heartbeat(heartbeat: Heartbeat) -> HeartbeatState:
    return HeartbeatState(**{name: getattr(heartbeat, name) for name in HeartbeatState.__struct_fields__})


def _runbook(runbook: Runbook) -> RunbookState:
    return RunbookState(**{name: getattr(runbook, name) for name in RunbookState.__struct_fields__})
