"""The addresses of Alertmanager's API v2. Errors are a JSON text, as its clients expect them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.request import Request

from alerts.api.alertmanager.configuration import configuration
from alerts.api.alertmanager.listing import active_alerts, groups_of, wanted_of
from alerts.api.alertmanager.shapes import (
    AlertGroupShape,
    AlertmanagerStatus,
    ClusterStatus,
    GettableAlert,
    GettableSilence,
    OriginalConfig,
    PostableAlert,
    PostableSilence,
    ReceiverName,
    SilenceCreated,
    VersionInfo,
    matcher_of,
    report_of,
    shown_silence,
)
from alerts.matching import Matcher, parse_matchers, stored_matchers
from alerts.models import Receiver, Silence
from alerts.reports import Report
from alerts.services.intake import record
from alerts.services.silences import SilenceTerms, create_silence, expire_silence, update_silence
from core.api.authentication import caller
from core.api.body import read_body
from core.api.problems import Problem
from core.api.rendering import CONTENT_TYPE, answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import Invalid, Missing

READ, WRITE = "alerts:read", "alerts:write"
TAG = "alertmanager"
# As long as Alertmanager itself shows silences that are over.
SHOWN_AFTER_END = timedelta(hours=120)
STARTED = timezone.now()
REFUSALS_SHOWN = 20
_alerts = msgspec.json.Decoder(list[PostableAlert])
_silence = msgspec.json.Decoder(PostableSilence)
_encode = msgspec.json.Encoder().encode


class AlertmanagerView(ApiView):
    """An address of Alertmanager's: parameters it does not know are ignored, errors are a text in JSON."""

    error_types = (CONTENT_TYPE,)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse keys that are bound to one entity: alerts and silences speak of everything."""
        super().initial(request, *args, **kwargs)
        caller(request).require_unbound()

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]  # a plain response
        """Answer with the sentence of the problem alone; senseless values are 400 here."""
        problem: Any = super().handle_exception(exc)
        detail = json.loads(problem.content).get("detail", "")
        status = 400 if problem.status_code in {413, 415, 422} else problem.status_code
        response = answer(detail, status, {k: problem[k] for k in ("WWW-Authenticate", "Retry-After") if k in problem})
        response.keeps_its_form = True  # type: ignore[attr-defined]  # not a problem document: read by the middleware
        return response


class StatusView(AlertmanagerView):
    """What amtool asks before every command."""

    required_scopes = {"GET": READ}

    @operation("alertmanager_status", "Show the routing tree", answers={200: AlertmanagerStatus}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """The version, and the routing tree as Alertmanager's configuration file."""
        version = VersionInfo(f"0.25.0+agent-factory.{settings.VERSION}", "", "", "", "", "")
        status = AlertmanagerStatus(
            cluster=ClusterStatus("disabled", []),
            version_info=version,
            config=OriginalConfig(configuration()),
            uptime=STARTED,
        )
        return answer(status)


class ReceiversView(AlertmanagerView):
    """Who can be told."""

    required_scopes = {"GET": READ}

    @operation("alertmanager_receivers", "List receivers by name", answers={200: list[ReceiverName]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Every receiver, by name."""
        return answer([ReceiverName(name) for name in Receiver.objects.values_list("name", flat=True)])


class AlertsView(AlertmanagerView):
    """Alerts, sent and listed."""

    required_scopes = {"GET": READ, "POST": WRITE}

    @operation("alertmanager_alerts", "List alerts that fire", answers={200: list[GettableAlert]}, tag=TAG)
    def get(self, request: Request) -> HttpResponseBase:
        """Every alert that fires, as a stream.

        Parameters: filter (several), receiver, active, silenced, inhibited, unprocessed.
        """
        now = timezone.now()
        wanted = wanted_of(request._request.GET)
        return StreamingHttpResponse(_stream(active_alerts(wanted, now)), content_type=CONTENT_TYPE)

    @operation("alertmanager_send_alerts", "Send alerts", body=list[PostableAlert], answers={200: None}, tag=TAG)
    def post(self, request: Request) -> HttpResponse:
        """Take alerts in; they are stored when this answers. Send them again before their end, or they are resolved.

        An alert that makes no sense does not lose the others: they are stored, and the answer is 400 with the reasons.
        """
        now = timezone.now()
        reports, refused = _reports(_decoded(request, _alerts), now)
        with transaction.atomic():
            record(reports, now=now)
        if refused:
            raise Problem(400, "; ".join(refused[:REFUSALS_SHOWN]))
        return HttpResponse(status=200, content_type=CONTENT_TYPE)


class GroupsView(AlertmanagerView):
    """Alerts as they are told of together."""

    required_scopes = {"GET": READ}

    @operation("alertmanager_groups", "List groups of alerts", answers={200: list[AlertGroupShape]}, tag=TAG)
    def get(self, request: Request) -> HttpResponseBase:
        """Every group with its alerts that fire, as a stream; the parameters are those of the list of alerts."""
        wanted = wanted_of(request._request.GET)
        found = groups_of(wanted, timezone.now())
        shown = (AlertGroupShape(dict(labels), ReceiverName(name), alerts) for labels, name, alerts in found)
        return StreamingHttpResponse(_stream(shown), content_type=CONTENT_TYPE)


class SilencesView(AlertmanagerView):
    """Silences, made and listed."""

    required_scopes = {"GET": READ, "POST": WRITE}

    @operation("alertmanager_silences", "List silences", answers={200: list[GettableSilence]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Silences that hold or will, and those that ended in the last five days. Parameter: filter."""
        now = timezone.now()
        filters = [m for text in request._request.GET.getlist("filter") for m in parse_matchers(text)]
        recent = now - SHOWN_AFTER_END
        rows = Silence.objects.filter(Q(expired_at=None) | Q(expired_at__gt=recent), over_at__gt=recent)
        return answer([shown_silence(row, now) for row in rows if _has_all(row, filters)])

    @operation(
        "alertmanager_set_silence",
        "Make or change a silence",
        body=PostableSilence,
        answers={200: SilenceCreated},
        problems=(404,),
        tag=TAG,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a silence; with an id, change it. What is active and hides something else then gets another id."""
        wanted, now = _decoded(request, _silence), timezone.now()
        terms = SilenceTerms(
            matchers=parse_matchers([matcher_of(shape) for shape in wanted.matchers], pointer="/matchers"),
            starts_at=wanted.starts_at,
            ends_at=wanted.ends_at,
            comment=wanted.comment,
        )
        by = wanted.created_by.strip()[:200] or caller(request).name
        if not wanted.id:
            made = create_silence(terms, by=by, now=now)
        else:
            made = update_silence(_key(wanted.id), terms, by=by, now=now)
        return answer(SilenceCreated(str(made.pk)))


class SilenceView(AlertmanagerView):
    """One silence."""

    required_scopes = {"GET": READ, "DELETE": WRITE}

    @operation("alertmanager_silence", "Show a silence", answers={200: GettableSilence}, tag=TAG)
    def get(self, request: Request, silence_id: str) -> HttpResponse:
        """One silence, also one that is over."""
        silence = Silence.objects.filter(pk=_key(silence_id)).first()
        if silence is None:
            raise Missing("there is no such silence")
        return answer(shown_silence(silence, timezone.now()))

    @operation("alertmanager_expire_silence", "End a silence", answers={200: None}, tag=TAG)
    def delete(self, request: Request, silence_id: str) -> HttpResponse:
        """End a silence now."""
        expire_silence(_key(silence_id), now=timezone.now())
        return HttpResponse(status=200, content_type=CONTENT_TYPE)


def _decoded(request: Request | HttpRequest, decoder: msgspec.json.Decoder[Any]) -> Any:
    try:
        return decoder.decode(read_body(request))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, str(error) or "the body is no JSON", code="malformed") from error


def _reports(alerts: list[PostableAlert], now: datetime) -> tuple[list[Report], list[str]]:
    reports, refused = [], []
    for alert in alerts:
        try:
            reports.append(report_of(alert, now))
        except Invalid as invalid:
            refused.append(invalid.detail)
    return reports, refused


def _has_all(silence: Silence, filters: list[Matcher]) -> bool:
    # A filter asks for a condition of the silence itself, as Alertmanager has it.
    own = set(stored_matchers(silence.matchers))
    return all(matcher in own for matcher in filters)


def _key(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Missing("there is no such silence") from error


def _stream(items: Iterator[Any]) -> Iterator[bytes]:
    """Yield a JSON list, a few hundred items at a time."""
    yield b"["
    comma = b""
    while part := list(islice(items, 200)):
        yield comma + _encode(part)[1:-1]
        comma = b","
    yield b"]"
