"""The outbox: what must be delivered is written here in the transaction that decided it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError as KombuError

from alerts.choices import SEVERITY_ORDER, NotificationKind
from alerts.messages import Message
from alerts.models import AlertGroup, Channel, ContactMethod, Incident, Notification

DELIVER = "alerts.tasks.deliver"
# After so long it is no news any more: what could not be sent becomes a dead letter.
GIVE_UP_AFTER = timedelta(hours=24)
# A message that wakes a worker is worth nothing once the schedule has done so.
NUDGE_SECONDS = 5
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to be written: to a channel or to a person's contact, never both.

    `dedup_key` (at most 200 characters) is what makes it this message and no other. `order_key` keeps the messages of
    one group or incident to one target in order; with one, a `closes` message (by default: a resolved one) replaces
    those of the same order key that were not sent yet. `due_at` in the future delays it.
    """

    dedup_key: str
    kind: str
    message: Message
    severity: str
    channel: Channel | None = None
    contact: ContactMethod | None = None
    group: AlertGroup | None = None
    incident: Incident | None = None
    order_key: str = ""
    due_at: datetime | None = None
    closes: bool | None = None
    origin: Notification | None = None


def enqueue(outgoing: Sequence[Outgoing], *, now: datetime) -> list[Notification]:
    """Write the messages in the caller's transaction and return those that are new; a known dedup_key writes nothing.

    Constant number of statements. Delivery is woken once the transaction has been committed.
    """
    rows = [_row(item, now) for item in outgoing]
    if not rows:
        return []
    with transaction.atomic():
        Notification.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
        written = set(Notification.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", flat=True))
    new = [row for row in rows if row.pk in written]
    if any(row.due_at <= now for row in new):
        nudge()
    return new


def nudge() -> None:
    """Wake delivery once the transaction has been committed, once however often this is called in it.

    A hint that may be lost: the schedule runs delivery every few seconds anyway.
    """
    connection = transaction.get_connection()
    if not any(call is _wake for _, call, *_ in connection.run_on_commit):
        transaction.on_commit(_wake)


def priority_of(severity: str, kind: str) -> int:
    """Return the place in the queue, 0 first: what a person waits for at a button, then by severity."""
    return 0 if kind == NotificationKind.TEST else 1 + SEVERITY_ORDER.index(severity)


def _wake() -> None:
    try:
        current_app.send_task(DELIVER, expires=NUDGE_SECONDS, retry=False)
    except (KombuError, OSError) as error:
        # The rows are there: the schedule delivers them.
        log.warning("delivery_not_woken", reason=str(error))


def _row(item: Outgoing, now: datetime) -> Notification:
    due_at = item.due_at or now
    closes = item.message.status == "resolved" if item.closes is None else item.closes
    return Notification(
        dedup_key=item.dedup_key,
        kind=item.kind,
        channel=item.channel,
        contact=item.contact,
        group=item.group,
        incident=item.incident,
        order_key=item.order_key,
        closes=closes and bool(item.order_key),
        origin=item.origin,
        severity=item.severity,
        priority=priority_of(item.severity, item.kind),
        payload=item.message.to_json(),
        due_at=due_at,
        created_at=now,
        deadline=due_at + GIVE_UP_AFTER,
    )
