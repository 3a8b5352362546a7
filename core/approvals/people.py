"""Who may ask, who may decide, and why somebody may not: the rule of four eyes."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from core.context import Actor, current
from core.models import ApiKey, Approval
from core.ports.approvals import ApprovalKind, approval_kinds


def person_behind(actor: Actor) -> User | None:
    """Return who acts: the user, or the one who made the key that acts; None for the platform itself."""
    if actor.kind == "user":
        return User.objects.filter(pk=actor.identifier).first()
    if actor.kind == "api_key":
        key = ApiKey.objects.select_related("owner").filter(pk=actor.identifier).first()
        return key.owner if key is not None else None
    return None


def may_request(user: User, kind: ApprovalKind) -> bool:
    """Return whether this person may ask for such an act."""
    return user.is_active and user.has_perm(kind.request_permission)


def may_decide(user: User, kind: ApprovalKind) -> bool:
    """Return whether this person may decide about such acts, other people's that is."""
    return user.is_active and user.has_perm(kind.approve_permission)


def objection(approval: Approval, user: User) -> str:
    """Return why this person may not decide about this request; empty when they may.

    Two accounts with one e-mail address are one person, and so are a key and who made it.
    """
    if current().actor.kind == "api_key":
        return "approvals are decided by people: a key cannot show who holds it"
    if not user.is_active:
        return "this account is not active"
    if approval.kind not in approval_kinds:
        return f"no installed app carries out {approval.kind} any more"
    kind = approval_kinds.get(approval.kind)
    if not may_decide(user, kind):
        return f"deciding about “{kind.title}” needs the permission {kind.approve_permission}"
    asked = approval.requested_by
    if asked is not None and (asked.pk == user.pk or _same_mailbox(asked, user)):
        return "whoever asked cannot decide: it takes a second person"
    return ""


def visible_to(user: User) -> QuerySet[Approval]:
    """Return the requests that concern this person: their own, those they may decide, all for who reads the audit."""
    rows = Approval.objects.all()
    if user.has_perm("core.view_auditentry"):
        return rows
    decidable = [kind.name for kind in approval_kinds if may_decide(user, kind)]
    return rows.filter(Q(requested_by=user.pk) | Q(kind__in=decidable))


def _same_mailbox(one: User, other: User) -> bool:
    return bool(one.email) and one.email.casefold() == other.email.casefold()
