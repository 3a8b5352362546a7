"""Writes what came of attempts: to the messages, to the log of attempts, and to the health of their channels."""

from __future__ import annotations

import random
import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F

from alerts.channels import Outcome
from alerts.choices import NotificationKind, NotificationStatus
from alerts.models import Channel, DeliveryAttempt, Notification
from alerts.retrying import GONE_ANSWERS, circuit_until, delay
from alerts.services.delivery.claiming import Batch
from alerts.services.delivery.sending import Result
from alerts.services.delivery.standing_in import stand_in_for, tell_of_disabled
from core import audit
from core.context import SYSTEM
from core.leases import held, release

log = structlog.get_logger(__name__)


def settle(batch: Batch, results: Sequence[Result], now: datetime) -> None:
    """Write the results in one transaction, of the rows that this worker still holds; the others are another's now."""
    given_back = [result.row for result in results if result.outcome is None]
    tried = [(result, result.outcome) for result in results if result.outcome is not None]
    with transaction.atomic():
        for row in given_back:
            held(row).update(**release())
        ours = _still_held([result.row for result, _ in tried])
        kept = [(result, outcome) for result, outcome in tried if result.row.pk in ours]
        _write_attempts(kept)
        _write_sent([result.row for result, outcome in kept if outcome.verdict == "delivered"], now)
        for result, outcome in kept:
            if outcome.verdict != "delivered":
                _write_failure(result.row, outcome, now)
        _write_health(batch, kept, now)
    for result, outcome in kept:
        if outcome.verdict != "delivered":
            log.warning(
                "notification_not_delivered",
                notification=str(result.row.pk),
                to=_name(batch, result.row),
                attempt=result.row.attempts + 1,
                verdict=outcome.verdict,
                reason=outcome.error,
            )


def _still_held(rows: Sequence[Notification]) -> set[uuid.UUID]:
    """Return the rows whose lease is ours still, locked until the end of the transaction."""
    tokens = {row.lease_token for row in rows}
    mine = Notification.objects.filter(pk__in=[row.pk for row in rows], lease_token__in=tokens)
    return set(mine.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))


def _write_attempts(kept: Sequence[tuple[Result, Outcome]]) -> None:
    DeliveryAttempt.objects.bulk_create(
        [
            DeliveryAttempt(
                notification=result.row,
                number=result.row.attempts + 1,
                at=result.at,
                delivered=outcome.verdict == "delivered",
                status_code=outcome.status_code,
                milliseconds=result.milliseconds,
                error=outcome.error[:200],
                answer=outcome.answer[:1024],
            )
            for result, outcome in kept
        ]
    )


def _write_sent(rows: Sequence[Notification], now: datetime) -> None:
    if rows:
        Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
            **release(status=NotificationStatus.SENT, sent_at=now, attempts=F("attempts") + 1, last_error="")
        )


def _write_failure(row: Notification, outcome: Outcome, now: datetime) -> None:
    """Put the message back for later, or among the dead letters; a critical one goes by another channel as well."""
    attempts = row.attempts + 1
    wait = _wait(row, outcome)
    changes: dict[str, object] = {"attempts": attempts, "last_error": outcome.error[:500]}
    if wait is None:
        changes["status"] = NotificationStatus.DEAD
    else:
        changes["due_at"] = now + timedelta(seconds=wait)
    Notification.objects.filter(pk=row.pk).update(**release(**changes))
    if attempts >= 2 or wait is None:
        stand_in_for([row], now=now)


def _wait(row: Notification, outcome: Outcome) -> float | None:
    """Return the seconds until the next attempt, or None; for a test a person waits, so it is tried once."""
    if outcome.verdict == "final" or row.kind == NotificationKind.TEST:
        return None
    return delay(row.attempts + 1 - row.attempts_before, outcome.retry_after, random.uniform)


def _write_health(batch: Batch, kept: Sequence[tuple[Result, Outcome]], now: datetime) -> None:
    """Count what failed and what did not, channel by channel, in the order in which it happened."""
    by_channel: dict[uuid.UUID, list[Outcome]] = defaultdict(list)
    for result, outcome in kept:
        if result.row.channel_id is not None:
            by_channel[result.row.channel_id].append(outcome)
    for channel in Channel.objects.select_for_update().filter(pk__in=by_channel).order_by("pk"):
        for outcome in by_channel[channel.pk]:
            _count(channel, outcome, now)
        if channel.refusals >= GONE_ANSWERS and channel.enabled:
            _disable(channel, now)
        channel.save(update_fields=HEALTH)


HEALTH = ("failures", "refusals", "circuit_until", "last_sent_at", "last_error", "last_error_at", "enabled",
          "disabled_reason")  # fmt: skip


def _count(channel: Channel, outcome: Outcome, now: datetime) -> None:
    if outcome.verdict == "delivered":
        channel.failures = channel.refusals = 0
        channel.circuit_until = None
        channel.last_sent_at = now
        return
    channel.last_error, channel.last_error_at = outcome.error[:500], now
    if outcome.verdict == "retry":
        channel.failures += 1
        channel.refusals = 0
        channel.circuit_until = circuit_until(channel.failures, now)
    elif outcome.verdict == "gone":
        channel.refusals += 1
    elif outcome.status_code is not None:
        # It answered, though not to this message: the channel works.
        channel.failures = channel.refusals = 0
        channel.circuit_until = None


def _disable(channel: Channel, now: datetime) -> None:
    """Take a channel out whose address is gone, on the record, and tell people by another one."""
    channel.enabled = False
    channel.disabled_reason = f"{GONE_ANSWERS} times in a row: {channel.last_error}"[:300]
    audit.record(
        "channel.disabled",
        channel,
        now=now,
        before={"enabled": True},
        after={"enabled": False},
        reason=channel.disabled_reason,
        actor=SYSTEM,
    )
    tell_of_disabled(channel, now=now)


def _name(batch: Batch, row: Notification) -> str:
    channel = batch.channels.get(row.channel_id) if row.channel_id else None
    return channel.name if channel else f"contact {row.contact_id}"
