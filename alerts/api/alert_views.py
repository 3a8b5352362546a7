"""Alerts over the API: listed, shown with their history, and acknowledged, released and resolved."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from alerts.choices import ACTIVE_STATES
from alerts.matching import matches, parse_matchers
from alerts.models import Alert, AlertEvent
from alerts.services import alerting
from alerts.services.alerting import Handled
from alerts.services.inhibition import inhibitors_of
from alerts.services.routetree import labels_of
from alerts.services.silences import current_silences, hidden_by
from core.api.authentication import caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import Conflict, Missing

READ, WRITE = "alerts:read", "alerts:write"
TAG = "alerts"
State = Literal["pending", "firing", "acknowledged", "resolved"]
SeverityName = Literal["critical", "high", "medium", "low", "info"]
Reason = Annotated[str, Meta(min_length=1, max_length=500, description="Why; kept in the audit log.")]


class InstanceQuery(PageQuery, kw_only=True):
    """Which alerts: by default those that fire or are acknowledged."""

    state: list[State] = []
    severity: list[SeverityName] = []
    filter: Annotated[str, Meta(max_length=2000, description='Matchers, such as alertname="Disk", host=~"db.*".')] = ""


class InstanceState(msgspec.Struct, kw_only=True):
    """An alert."""

    id: UUID
    fingerprint: str
    name: str
    state: State
    severity: SeverityName
    source: str
    labels: dict[str, str]
    annotations: dict[str, str]
    value: str
    rule_id: UUID | None
    generator_url: str
    starts_at: datetime
    ends_at: datetime | None
    last_seen_at: datetime
    resolved_at: datetime | None
    acknowledged_by: str
    acknowledged_until: datetime | None
    flap_count: int


class InstanceEvent(msgspec.Struct, kw_only=True):
    """One change of an alert."""

    seq: int
    kind: str
    at: datetime
    actor: str
    data: dict[str, Any]


class InstanceDetail(InstanceState, kw_only=True):
    """An alert with its history, and what keeps it from being told of."""

    silenced_by: list[UUID]
    inhibited_by: str
    events: list[InstanceEvent]


class AlertAcknowledgement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Take an alert on for so long; then it fires again."""

    reason: Reason
    seconds: Annotated[int, Meta(ge=60, le=30 * 86_400)] = 4 * 3600
    owner: Annotated[str, Meta(max_length=200, description="Who takes it on; by default the caller.")] = ""


class AlertReason(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Reason


Keys = Annotated[list[UUID], Meta(min_length=1, max_length=alerting.MOST_AT_ONCE)]


class BulkAlertAcknowledgement(AlertAcknowledgement, kw_only=True, forbid_unknown_fields=True):
    """Take several alerts on."""

    ids: Keys


class BulkAlertReason(AlertReason, kw_only=True, forbid_unknown_fields=True):
    """Several alerts, and why."""

    ids: Keys


class AlertBulkResult(msgspec.Struct, kw_only=True):
    """What happened to each alert, in the order of the request: changed, skipped (its state forbids it) or unknown."""

    results: list[tuple[UUID, Literal["changed", "skipped", "unknown"]]]


class InstanceList(WholeFleetView):
    """Alerts."""

    required_scopes = {"GET": READ}

    @operation("list_alerts", "List alerts", query=InstanceQuery, answers={200: CursorPage[InstanceState]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Alerts, the newest first. With matchers, a page may hold fewer than asked for, and still have a next."""
        wanted = query(request, InstanceQuery)
        matchers = parse_matchers(wanted.filter, pointer="/filter")
        rows: QuerySet[Alert] = Alert.objects.filter(state__in=wanted.state or ACTIVE_STATES)
        if wanted.severity:
            rows = rows.filter(severity__in=wanted.severity)
        page: CursorPage[Any] = paginate(request, rows, page=wanted, order=Order(), show=lambda alert: alert)
        found = [instance(alert) for alert in page.items if matches(matchers, labels_of(alert))]
        return answer(CursorPage(items=found, next=page.next))


class InstanceView(WholeFleetView):
    """One alert."""

    required_scopes = {"GET": READ}

    @operation("get_alert", "Show an alert", answers={200: InstanceDetail}, tag=TAG)
    def get(self, request: Request, alert_id: UUID) -> HttpResponse:
        """An alert with its history."""
        return answer(_detailed(_found(alert_id), timezone.now()))


class AcknowledgeAlert(WholeFleetView):
    """Somebody takes an alert on."""

    required_scopes = {"POST": WRITE}

    @operation(
        "acknowledge_alert", "Acknowledge an alert", body=AlertAcknowledgement, answers={200: InstanceState},
        problems=(409,), idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request, alert_id: UUID) -> HttpResponse:
        """Take an alert on; nobody is reminded of it until then. 409 when it does not fire."""
        wanted = decode(request, AlertAcknowledgement)
        return idempotent(request, lambda now: _one(_acknowledge([_found(alert_id)], wanted, request, now)))


class UnacknowledgeAlert(WholeFleetView):
    """Nobody has the alert any more."""

    required_scopes = {"POST": WRITE}

    @operation(
        "unacknowledge_alert", "Take an acknowledgement back", body=AlertReason, answers={200: InstanceState},
        problems=(409,), idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request, alert_id: UUID) -> HttpResponse:
        """Let an acknowledged alert fire again. 409 when it is not acknowledged."""
        reason, by = decode(request, AlertReason).reason, caller(request).name
        return idempotent(
            request,
            lambda now: _one(alerting.unacknowledge([_found(alert_id)], by=by, reason=reason, now=now)),
        )


class ResolveAlert(WholeFleetView):
    """An alert is over."""

    required_scopes = {"POST": WRITE}

    @operation(
        "resolve_alert", "Resolve an alert", body=AlertReason, answers={200: InstanceState}, problems=(409,),
        idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request, alert_id: UUID) -> HttpResponse:
        """End an alert by hand; who reports it again opens another. 409 when it is over already."""
        reason, by = decode(request, AlertReason).reason, caller(request).name
        return idempotent(
            request, lambda now: _one(alerting.resolve([_found(alert_id)], by=by, reason=reason, now=now))
        )


class AcknowledgeAlerts(WholeFleetView):
    """Somebody takes several alerts on."""

    required_scopes = {"POST": WRITE}

    @operation(
        "acknowledge_alerts", "Acknowledge alerts", body=BulkAlertAcknowledgement, answers={200: AlertBulkResult},
        idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Take several alerts on; those that do not fire are skipped."""
        wanted = decode(request, BulkAlertAcknowledgement)
        return idempotent(
            request,
            lambda now: _several(wanted.ids, lambda alerts: _acknowledge(alerts, wanted, request, now)),
        )


class UnacknowledgeAlerts(WholeFleetView):
    """Nobody has several alerts any more."""

    required_scopes = {"POST": WRITE}

    @operation(
        "unacknowledge_alerts", "Take acknowledgements back", body=BulkAlertReason, answers={200: AlertBulkResult},
        idempotent=True, tag=TAG,
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Let several alerts fire again; those that are not acknowledged are skipped."""
        wanted, by = decode(request, BulkAlertReason), caller(request).name
        return idempotent(
            request,
            lambda now: _several(
                wanted.ids, lambda alerts: alerting.unacknowledge(alerts, by=by, reason=wanted.reason, now=now)
            ),
        )


class ResolveAlerts(WholeFleetView):
    """Several alerts are over."""

    required_scopes = {"POST": WRITE}

    @operation(
        "resolve_alerts",
        "Resolve alerts",
        body=BulkAlertReason,
        answers={200: AlertBulkResult},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request) -> HttpResponse:
        """End several alerts by hand; those that are over already are skipped."""
        wanted, by = decode(request, BulkAlertReason), caller(request).name
        return idempotent(
            request,
            lambda now: _several(
                wanted.ids, lambda alerts: alerting.resolve(alerts, by=by, reason=wanted.reason, now=now)
            ),
        )


def instance(alert: Alert) -> InstanceState:
    """Return an alert for an answer."""
    return InstanceState(**_values(alert))


def _values(alert: Alert) -> dict[str, Any]:
    names = [name for name in InstanceState.__struct_fields__ if name != "flap_count"]
    return {**{name: getattr(alert, name) for name in names}, "flap_count": alert.flaps}


def _detailed(alert: Alert, now: datetime) -> InstanceDetail:
    active = alert.state in ACTIVE_STATES
    inhibitor = inhibitors_of([alert]).get(alert.pk) if active else None
    events = AlertEvent.objects.filter(alert=alert).order_by("seq")
    return InstanceDetail(
        **_values(alert),
        silenced_by=[silence.id for silence in hidden_by(current_silences(now), labels_of(alert))] if active else [],
        inhibited_by=inhibitor.fingerprint if inhibitor else "",
        events=[InstanceEvent(seq=e.seq, kind=e.kind, at=e.at, actor=e.actor, data=e.data) for e in events],
    )


def _found(alert_id: UUID) -> Alert:
    alert = Alert.objects.filter(pk=alert_id).first()
    if alert is None:
        raise Missing("there is no such alert")
    return alert


def _acknowledge(alerts: list[Alert], wanted: AlertAcknowledgement, request: Request, now: datetime) -> Handled:
    by, until = wanted.owner or caller(request).name, now + timedelta(seconds=wanted.seconds)
    return alerting.acknowledge(alerts, by=by, until=until, reason=wanted.reason, now=now)


def _one(handled: Handled) -> HttpResponse:
    if not handled.changed:
        state = handled.skipped[0].state
        raise Conflict(f"the alert is {state}", code="wrong_state")
    return answer(instance(handled.changed[0]))


def _several(ids: list[UUID], act: Any) -> HttpResponse:
    alerts = list(Alert.objects.filter(pk__in=ids))
    handled: Handled = act(alerts)
    what = {alert.pk: "changed" for alert in handled.changed} | {alert.pk: "skipped" for alert in handled.skipped}
    return answer(AlertBulkResult(results=[(key, what.get(key, "unknown")) for key in ids]))  # type: ignore[misc]  # words
