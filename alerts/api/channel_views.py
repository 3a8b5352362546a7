"""Channels and messages over the API."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta
from rest_framework.request import Request

from alerts.api.channel_shapes import (
    EXAMPLE,
    ChannelPatch,
    ChannelQuery,
    ChannelState,
    NewChannel,
    NotificationDetail,
    NotificationQuery,
    NotificationState,
    ReasonGiven,
    Tested,
    detailed,
    listed,
    shown,
    tested,
)
from alerts.models import Channel, Notification
from alerts.services import channels, notifications
from alerts.services.channels import ChannelTerms
from core.api.authentication import SessionIdentity, caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.context import current
from core.errors import FieldError, Invalid, Missing

SIGNED = "give one or two of your own, such as whsec_ and 32 random bytes in Base64: the API never shows one"


class ChannelList(WholeFleetView):
    """All channels: make one, list them."""

    required_scopes = {"GET": "alerts:read", "POST": "alerts:admin"}

    @operation(
        "list_channels", "List channels", query=ChannelQuery, answers={200: CursorPage[ChannelState]}, tag="alerts"
    )
    def get(self, request: Request) -> HttpResponse:
        """Channels with how they are doing, the newest first; secrets by name only."""
        wanted = query(request, ChannelQuery)
        rows = Channel.objects.all()
        exact = {"kind": wanted.kind, "enabled": wanted.enabled}
        rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
        return answer(paginate(request, rows, page=wanted, order=Order(), show=shown))

    @operation(
        "create_channel",
        "Create a channel",
        body=Annotated[NewChannel, Meta(examples=[EXAMPLE])],
        answers={201: ChannelState},
        idempotent=True,
        tag="alerts",
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a channel; send a test to see it work."""
        wanted = decode(request, NewChannel)
        if wanted.kind == "webhook" and not wanted.secrets.get("secrets"):
            raise Invalid("a webhook is signed", errors=[FieldError("/secrets/secrets", "required", SIGNED)])
        return idempotent(request, lambda now: _created(request, wanted, now))


class ChannelDetail(WholeFleetView):
    """One channel."""

    required_scopes = {"GET": "alerts:read", "PATCH": "alerts:admin", "DELETE": "alerts:admin"}

    @operation("get_channel", "How a channel is doing", answers={200: ChannelState}, tag="alerts")
    def get(self, request: Request, channel_id: UUID) -> HttpResponse:
        """Its settings, which secrets are set, and its health."""
        return answer(shown(_channel(channel_id)))

    @operation(
        "change_channel",
        "Change a channel",
        body=ChannelPatch,
        answers={200: ChannelState},
        problems=(409,),
        tag="alerts",
    )
    def patch(self, request: Request, channel_id: UUID) -> HttpResponse:
        """Change settings, replace secrets, or switch it off and on with a reason."""
        wanted = decode(request, ChannelPatch)
        _change(request, _channel(channel_id), wanted, timezone.now())
        return answer(shown(_channel(channel_id)))

    @operation("delete_channel", "Delete a channel", answers={204: None}, problems=(409,), tag="alerts")
    def delete(self, request: Request, channel_id: UUID) -> HttpResponse:
        """Remove it with what it delivered; refused while receivers use it or messages wait for it."""
        channels.delete_channel(channel_id, now=timezone.now())
        return HttpResponse(status=204)


class ChannelTest(WholeFleetView):
    """A test message by one channel."""

    required_scopes = {"POST": "alerts:admin"}

    @operation("test_channel", "Send a test message", answers={200: Tested}, tag="alerts")
    def post(self, request: Request, channel_id: UUID) -> HttpResponse:
        """Send a test now, the way every message goes, and answer with what came of it."""
        attempt = channels.send_test(channel_id, by=current().actor.label, now=timezone.now())
        return answer(tested(attempt))


class NotificationList(WholeFleetView):
    """Messages on their way and delivered."""

    required_scopes = {"GET": "alerts:read"}

    @operation(
        "list_notifications",
        "List notifications",
        query=NotificationQuery,
        answers={200: CursorPage[NotificationState]},
        tag="alerts",
    )
    def get(self, request: Request) -> HttpResponse:
        """Messages, the newest first; `status=dead` are the dead letters."""
        wanted = query(request, NotificationQuery)
        exact: dict[str, Any] = {"status": wanted.status, "channel": wanted.channel, "incident": wanted.incident}
        rows = Notification.objects.filter(**{name: value for name, value in exact.items() if value is not None})
        return answer(paginate(request, rows, page=wanted, order=Order(), show=listed))


class NotificationView(WholeFleetView):
    """One message."""

    required_scopes = {"GET": "alerts:read"}

    @operation("get_notification", "One notification", answers={200: NotificationDetail}, tag="alerts")
    def get(self, request: Request, notification_id: UUID) -> HttpResponse:
        """What it says, and every attempt to deliver it."""
        row = Notification.objects.filter(pk=notification_id).first()
        if row is None:
            raise Missing("there is no such notification")
        return answer(detailed(row))


class NotificationResend(WholeFleetView):
    """A message once more."""

    required_scopes = {"POST": "alerts:write"}

    @operation(
        "resend_notification",
        "Send a notification again",
        body=ReasonGiven,
        answers={200: NotificationState},
        idempotent=True,
        tag="alerts",
    )
    def post(self, request: Request, notification_id: UUID) -> HttpResponse:
        """Put it back into the queue under its own id, with a fresh schedule of retries."""
        wanted = decode(request, ReasonGiven)
        return idempotent(
            request,
            lambda now: answer(listed(notifications.resend_one(notification_id, reason=wanted.reason, now=now))),
        )


class NotificationCancel(WholeFleetView):
    """A message taken back."""

    required_scopes = {"POST": "alerts:write"}

    @operation(
        "cancel_notification",
        "Take a notification back",
        body=ReasonGiven,
        answers={200: NotificationState},
        idempotent=True,
        tag="alerts",
    )
    def post(self, request: Request, notification_id: UUID) -> HttpResponse:
        """Send it no more; what was sent already cannot be taken back."""
        wanted = decode(request, ReasonGiven)
        return idempotent(
            request,
            lambda now: answer(listed(notifications.cancel_one(notification_id, reason=wanted.reason, now=now))),
        )


def _created(request: Request, wanted: NewChannel, now: datetime) -> HttpResponse:
    terms = ChannelTerms(
        name=wanted.name,
        kind=wanted.kind,
        config=wanted.config,
        secrets=wanted.secrets,
        rate_per_minute=wanted.rate_per_minute,
        failover=wanted.failover,
    )
    made = channels.create_channel(terms, superuser=_is_superuser(request), now=now)
    location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{made.channel.pk}")
    return answer(shown(made.channel), 201, {"Location": location})


@transaction.atomic
def _change(request: Request, channel: Channel, wanted: ChannelPatch, now: datetime) -> None:
    """Make all changes or none."""
    if any(value is not UNSET for value in (wanted.name, wanted.config, wanted.secrets, wanted.rate_per_minute,
                                            wanted.failover)):  # fmt: skip
        terms = ChannelTerms(
            name=channel.name if wanted.name is UNSET else wanted.name,
            kind=channel.kind,
            config=channel.config if wanted.config is UNSET else wanted.config,
            secrets={} if wanted.secrets is UNSET else wanted.secrets,
            rate_per_minute=channel.rate_per_minute if wanted.rate_per_minute is UNSET else wanted.rate_per_minute,
            failover=channel.failover_id if wanted.failover is UNSET else wanted.failover,
        )
        channels.change_channel(channel.pk, terms, superuser=_is_superuser(request), now=now)
    if wanted.enabled is not UNSET:
        if not wanted.reason.strip():
            detail = "switching a channel off or on needs a reason"
            raise Invalid(detail, errors=[FieldError("/reason", "required", detail)])
        channels.set_enabled(channel.pk, enabled=wanted.enabled, reason=wanted.reason, now=now)


def _channel(channel_id: UUID) -> Channel:
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None:
        raise Missing("there is no such channel")
    return channel


def _is_superuser(request: Request) -> bool:
    """Say whether a superuser asks in person; a key is never one."""
    identity = caller(request)
    return isinstance(identity, SessionIdentity) and identity.user.is_superuser
