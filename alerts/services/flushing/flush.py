"""Flushing groups: claimed for a while, looked at together, and each committed under the token of its claim."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import Case, DateTimeField, Q, Value, When

from alerts.choices import AlertState, NotificationKind
from alerts.lifecycle import worst
from alerts.messages import Message
from alerts.models import AlertGroup, AlertGroupMember, Channel, GroupNotice, Receiver
from alerts.notices import ACKNOWLEDGED, Decision, decide
from alerts.services import outbox
from alerts.services.flushing.standing import GroupStanding, is_active, read_standings
from alerts.services.flushing.telling import message_of
from alerts.services.incidents import group_resolved, open_for_group
from alerts.services.outbox import Outgoing
from alerts.services.routetree import RouteTree, load_tree
from alerts.tree import Branch
from core import leases

BATCH = 50
MOST_BATCHES = 100
LEASE = timedelta(seconds=60)
log = structlog.get_logger(__name__)


def run(now: datetime) -> int:
    """Flush the groups that are due; return how many. A group that fails does not keep the others from being told.

    Raises the first failure once all others are done: the failed group is due again when its lease is over.
    """
    tree = load_tree()
    if tree is None:
        return 0
    done, failures = 0, list[Exception]()
    for _ in range(MOST_BATCHES):
        due = AlertGroup.objects.filter(next_flush_at__lte=now)
        groups = leases.claim(due, order_by=("next_flush_at", "pk"), limit=BATCH, lease=LEASE, now=now)
        if not groups:
            break
        done += _flush_batch(groups, tree, now, failures)
    if failures:
        raise failures[0]
    return done


def _flush_batch(groups: Sequence[AlertGroup], tree: RouteTree, now: datetime, failures: list[Exception]) -> int:
    standings = read_standings(groups, now)
    branches = {group.pk: tree.branch(group.route_id) for group in groups}
    receivers = _receivers(branch.receiver for branch in branches.values())
    done = 0
    for group in groups:
        branch = branches[group.pk]
        flush = _Flush(standings[group.pk], branch, receivers.get(branch.receiver or 0), now)
        try:
            done += flush.commit()
        except Exception as error:
            log.exception("flush_failed", group=group.pk)
            failures.append(error)
    return done


def _receivers(keys: Iterable[int | None]) -> Mapping[int, Receiver]:
    wanted = {key for key in keys if key is not None}
    rows = Receiver.objects.filter(pk__in=wanted).prefetch_related("channels").select_related("escalation_policy")
    return {receiver.pk: receiver for receiver in rows}


@dataclass
class _Flush:
    """What is to be done about one group."""

    standing: GroupStanding
    branch: Branch
    receiver: Receiver | None
    now: datetime
    decisions: dict[Channel | None, Decision] = field(default_factory=dict)

    def commit(self) -> bool:
        """Decide and write everything in one transaction; False when another worker has the group by now."""
        muted = self.branch.muted_by(self.now)
        if not muted:
            self._decide()
        notifies = any(decision.notify for decision in self.decisions.values())
        with transaction.atomic():
            if not self._advance(notifies):
                return False
            if notifies:
                self._tell()
            self._write_notices()
            self._let_go()
        return True

    def _decide(self) -> None:
        firing, held = self.standing.told(), self.standing.held
        for channel in self._channels():
            notice = self.standing.notices.get(channel.pk if channel else None)
            told: dict[str, str] = notice.firing if notice else {}
            present = self._is_present(channel)
            self.decisions[channel] = decide(
                told,
                firing if present else {name: value for name, value in firing.items() if name in told},
                held,
                sends_resolved=self.receiver is None or self.receiver.send_resolved or channel is None,
                repeat_due=present and channel is not None and self._repeat_due(notice),
            )

    def _channels(self) -> list[Channel | None]:
        """Return the channels of the receiver, those that were told before, and None for the incident."""
        found: dict[object, Channel | None] = {}
        if self.receiver is not None:
            found = {channel.pk: channel for channel in self.receiver.channels.all() if channel.enabled}
            if self.receiver.opens_incident:
                found[None] = None
        for key, notice in self.standing.notices.items():
            if notice.firing and (notice.channel is None or notice.channel.enabled):
                found.setdefault(key, notice.channel)
        return list(found.values())

    def _is_present(self, channel: Channel | None) -> bool:
        """Say whether a channel (None: the incident) is still told of what is new, or only of what is over."""
        if self.receiver is None:
            return False
        return self.receiver.opens_incident if channel is None else channel in self.receiver.channels.all()

    def _repeat_due(self, notice: GroupNotice | None) -> bool:
        return notice is not None and notice.notified_at + self.branch.repeat <= self.now

    def _advance(self, notifies: bool) -> int:
        """Move the group on while it is this worker's; whoever routed to it meanwhile makes it due again."""
        group, now = self.standing.group, self.now
        group.flush_seq += notifies
        group.last_notified_at = now if notifies else group.last_notified_at
        firing = [alert.severity for alert in self.standing.firing.values()]
        group.severity = worst(firing) if firing else group.severity
        due = self._next_flush()
        again = min(due, now + self.branch.interval) if due else now + self.branch.interval
        undisturbed = When(changes=group.changes, then=Value(due, DateTimeField()))
        return leases.held(group).update(
            **leases.release(
                next_flush_at=Case(undisturbed, default=Value(again, DateTimeField())),
                flushed_at=now if self._occupied() else None,
                flush_seq=group.flush_seq,
                last_notified_at=group.last_notified_at,
                severity=group.severity,
            )
        )

    def _occupied(self) -> bool:
        return bool(self.standing.firing or self.standing.held or self._still_told())

    def _still_told(self) -> set[str]:
        """Return what any channel will have been told to fire after this flush."""
        told = {name for decision in self.decisions.values() for name in decision.told}
        if not self.decisions:
            told |= {name for notice in self.standing.notices.values() for name in notice.firing}
        return told

    def _next_flush(self) -> datetime | None:
        """Return when there is something to look at again though no alert changes; None when never."""
        waits = not self.decisions and self._occupied()
        waits |= any(held.until is None for held in self.standing.held.values())
        times = [self.now + self.branch.interval] if waits else []
        times += [held.until for held in self.standing.held.values() if held.until is not None]
        times += [at for channel in self.decisions if (at := self._repeat_at(channel)) is not None]
        return min(times, default=None)

    def _repeat_at(self, channel: Channel | None) -> datetime | None:
        """Return when a channel is reminded of what it was told; nobody is of what is acknowledged."""
        decision = self.decisions[channel]
        wakeful = any(not value.startswith(ACKNOWLEDGED) for value in decision.told.values())
        if channel is None or not wakeful or not self._is_present(channel):
            return None
        notice = self.standing.notices.get(channel.pk)
        last = self.now if decision.notify or notice is None else notice.notified_at
        at = last + self.branch.repeat
        return at if at > self.now else self.now + self.branch.interval

    def _tell(self) -> None:
        outgoing = []
        for channel, decision in self.decisions.items():
            if not decision.notify:
                continue
            if channel is None:
                self._tell_incident(decision)
                continue
            message = message_of(self.standing, self.branch, decision)
            outgoing.append(self._outgoing(channel, message))
        outbox.enqueue(outgoing, now=self.now)

    def _outgoing(self, channel: Channel, message: Message) -> Outgoing:
        group = self.standing.group
        return Outgoing(
            dedup_key=f"{group.pk}:{group.flush_seq}:{channel.pk}",
            kind=NotificationKind.GROUP,
            message=message,
            severity=message.severity,
            channel=channel,
            group=group,
            order_key=f"group:{group.pk}",
        )

    def _tell_incident(self, decision: Decision) -> None:
        group, alerts = self.standing.group, list(self.standing.firing.values())
        if not decision.told:
            group_resolved(group, now=self.now)
        elif alerts and self.receiver is not None:
            message = message_of(self.standing, self.branch, decision)
            open_for_group(group, receiver=self.receiver, alerts=alerts, message=message, now=self.now)

    def _write_notices(self) -> None:
        """Keep what each channel was told; by the unique constraint there is one row per group and channel."""
        for channel, decision in self.decisions.items():
            notice = self.standing.notices.get(channel.pk if channel else None)
            if notice is None:
                if decision.told:
                    GroupNotice.objects.create(
                        group=self.standing.group, channel=channel, firing=decision.told, notified_at=self.now
                    )
                continue
            if decision.notify or decision.told != notice.firing:
                at = self.now if decision.notify else notice.notified_at
                GroupNotice.objects.filter(pk=notice.pk).update(firing=decision.told, notified_at=at)

    def _let_go(self) -> None:
        """Take out of the group what is over and need not be told of any more."""
        told = self._still_told()
        active = {member.alert.fingerprint for member in self.standing.members if is_active(member)}
        gone = [
            member.pk
            for member in self.standing.members
            if not is_active(member) and (member.alert.fingerprint in active or member.alert.fingerprint not in told)
        ]
        if gone:
            # Asked again of the rows: one may have come back while this was decided.
            over = Q(left_at__isnull=False) | Q(alert__state=AlertState.RESOLVED)
            AlertGroupMember.objects.filter(over, pk__in=gone).delete()
