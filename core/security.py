"""Tells the recorders of the port `security` what happened, with who, from where and in which request."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache

import structlog
from django.db import DatabaseError, transaction

from core.context import Actor, current
from core.ports.security import Outcome, SecurityFact, actor_pages, audited_acts, security_recorders

log = structlog.get_logger(__name__)


def record_security_event(
    kind: str,
    *,
    now: datetime,
    outcome: Outcome = "success",
    actor: Actor | None = None,
    api_key: str = "",
    count: int = 1,
    data: Mapping[str, object] | None = None,
) -> bool:
    """Tell that something happened, in the caller's transaction; False when a recorder could not keep it.

    Address, client and request come from the context. Raises nothing: the act that is told about goes on.
    """
    context = current()
    fact = SecurityFact(
        kind=kind,
        outcome=outcome,
        at=now,
        actor=actor or context.actor,
        channel=context.channel,
        api_key=api_key,
        address=plain_address(context.address),
        network=network_of(context.address),
        user_agent=context.user_agent[:200],
        request_id=context.request_id,
        count=count,
        data=dict(data or {}),
    )
    kept = [_kept(recorder.write, recorder.name, fact) for recorder in security_recorders]
    return all(kept)


def record_audited(
    action: str, subject_type: str, subject_id: str, *, now: datetime, actor: Actor, reason: str = "", api_key: str = ""
) -> None:
    """Tell of an act that was just written to the audit log, when it is one that matters here."""
    act = next((act for act in audited_acts if act.covers(action, subject_type)), None)
    if act is None:
        return
    data = {"action": action, "subject_type": subject_type, "subject_id": subject_id, "reason": reason[:200]}
    record_security_event(act.kind, now=now, actor=actor, data=data, api_key=api_key)


def actor_link(kind: str, value: str) -> tuple[str, str]:
    """Return (address, permission) of the page on what an actor, key or address did; empty when there is none."""
    page = next(iter(actor_pages), None)
    return (page.link(kind, value), page.permission) if page is not None and value else ("", "")


@lru_cache(maxsize=10_000)
def plain_address(text: str) -> str:
    """Return an address as it is stored: IPv4 in its own form also when it came wrapped; empty for what is none."""
    try:
        address = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return ""
    wrapped = getattr(address, "ipv4_mapped", None)
    return str(wrapped or address)


@lru_cache(maxsize=10_000)
def network_of(text: str) -> str:
    """Return the network of an address: /24 of IPv4, /48 of IPv6, which is what one site usually has."""
    plain = plain_address(text)
    if not plain:
        return ""
    bits = 48 if ":" in plain else 24
    return str(ipaddress.ip_network(f"{plain}/{bits}", strict=False))


def _kept(write: Callable[[SecurityFact], None], name: str, fact: SecurityFact) -> bool:
    try:
        # A savepoint of its own: on PostgreSQL a failed insert would take the caller's transaction with it.
        with transaction.atomic():
            write(fact)
    except DatabaseError as error:
        log.error(
            "security_event_not_kept", recorder=name, kind=fact.kind, actor_id=fact.actor.identifier, why=str(error)
        )
        return False
    return True
