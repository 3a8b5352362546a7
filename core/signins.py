"""What Django and allauth signal around accounts, told as security facts: sign-ins, second factors, rights, passwords.

Signals are sent whatever door was used, so a superuser made on the command line is told like one made on a page.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.conf import settings
from django.contrib.auth.models import Group, Permission, User
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models import Q
from django.db.models.signals import m2m_changed, post_save, pre_save
from django.utils import timezone

from core.context import Actor
from core.ports.security import AuditedAct, audited_acts
from core.security import record_security_event

ACTS = (
    AuditedAct("api_key.changed", action="api_key."),
    AuditedAct("data.exported", action="list.exported"),
    AuditedAct("data.exported", action="job.file_fetched"),
    AuditedAct("password.changed", action="user.password_changed"),
    AuditedAct("approval.decided", action="approval.approved"),
    AuditedAct("approval.decided", action="approval.refused"),
)
RIGHTS = "rights.granted"


def register() -> None:
    """Listen to the signals and name the audit entries that matter; called once, from the app's ready()."""
    for act in ACTS:
        audited_acts.register(act)
    for signal, receiver in (
        (user_logged_in, signed_in),
        (user_login_failed, sign_in_failed),
        (user_logged_out, signed_out),
        (mfa.authenticator_added, factor_added),
        (mfa.authenticator_removed, factor_removed),
        (mfa.authenticator_reset, factor_reset),
        (mfa.authentication_failed, factor_failed),
        (account.password_changed, password_changed),
        (account.password_reset, password_changed),
        (account.password_set, password_changed),
    ):
        signal.connect(receiver, dispatch_uid=f"core.signins.{receiver.__name__}")
    pre_save.connect(_remember_superuser, sender=User, dispatch_uid="core.signins.before")
    post_save.connect(superuser_made, sender=User, dispatch_uid="core.signins.after")
    m2m_changed.connect(role_granted, sender=User.groups.through, dispatch_uid="core.signins.groups")
    m2m_changed.connect(role_granted, sender=User.user_permissions.through, dispatch_uid="core.signins.permissions")
    m2m_changed.connect(role_widened, sender=Group.permissions.through, dispatch_uid="core.signins.roles")


def signed_in(sender: object, user: Any, **_: object) -> None:
    """Tell of a sign-in, with whether this person can give others their rights."""
    administrator = bool(user.is_superuser or user.has_perm("auth.change_user"))
    _tell("login", user, data={"administrator": administrator})


def sign_in_failed(sender: object, credentials: Mapping[str, Any], **_: object) -> None:
    """Tell of a failed sign-in. A name that no account has is kept as a digest: it may be somebody's password."""
    name = next((str(credentials[key]) for key in ("username", "email", "login") if credentials.get(key)), "")
    user = (
        User.objects.filter(Q(username__iexact=name) | Q(email__iexact=name)).order_by("pk").first() if name else None
    )
    actor = _actor(user) if user is not None else Actor("user", "", _unknown(name))
    data = {"known": user is not None, "name": actor.label}
    record_security_event("login", now=timezone.now(), outcome="failure", actor=actor, data=data)


def signed_out(sender: object, user: Any, **_: object) -> None:
    """Tell of a sign-out."""
    if user is not None:
        _tell("logout", user)


def factor_added(sender: object, user: Any, authenticator: Any, **_: object) -> None:
    """Tell of a new second factor."""
    _tell("mfa.added", user, data={"type": str(authenticator.type)})


def factor_removed(sender: object, user: Any, authenticator: Any, **_: object) -> None:
    """Tell of a second factor that is gone."""
    _tell("mfa.removed", user, data={"type": str(authenticator.type)})


def factor_reset(sender: object, user: Any, authenticator: Any, **_: object) -> None:
    """Tell of recovery codes made anew."""
    _tell("mfa.reset", user, data={"type": str(authenticator.type)})


def factor_failed(sender: object, user: Any, **_: object) -> None:
    """Tell of a wrong code."""
    record_security_event("mfa.failed", now=timezone.now(), outcome="failure", actor=_actor(user))


def password_changed(sender: object, user: Any, **_: object) -> None:
    """Tell of a person's own new password."""
    _tell("password.changed", user)


def _remember_superuser(sender: object, instance: User, update_fields: Any = None, **_: object) -> None:
    instance._was_superuser = (  # type: ignore[attr-defined]  # until the signal after the save
        bool(instance.is_superuser)
        if update_fields is not None and "is_superuser" not in update_fields
        else instance.is_superuser and User.objects.filter(pk=instance.pk, is_superuser=True).exists()
    )


def superuser_made(sender: object, instance: User, **_: object) -> None:
    """Tell when somebody becomes a superuser."""
    if instance.is_superuser and not getattr(instance, "_was_superuser", True):
        _granted(instance, "superuser", [])


def role_granted(
    sender: object, *, instance: Any, action: str, reverse: bool, model: Any, pk_set: set[Any] | None, **_: object
) -> None:
    """Tell when somebody gets a role or a permission; `reverse` is the relation seen from the role."""
    if action != "post_add" or not pk_set:
        return
    what = "role" if sender is User.groups.through else "permission"
    if reverse:
        for user in User.objects.filter(pk__in=pk_set).order_by("pk"):
            _granted(user, what, [str(instance)])
    else:
        _granted(instance, what, sorted(str(row) for row in model.objects.filter(pk__in=pk_set)))


def role_widened(
    sender: object, *, instance: Any, action: str, reverse: bool, pk_set: set[Any] | None, **_: object
) -> None:
    """Tell when a role gets more permissions; those that the platform itself completes do not pass here."""
    if action == "post_add" and pk_set and not reverse:
        names = sorted(Permission.objects.filter(pk__in=pk_set).values_list("codename", flat=True))
        data = {"what": "role_permissions", "names": names[:20], "role": str(instance)}
        record_security_event("role.changed", now=timezone.now(), data=data)


def _granted(user: User, what: str, names: list[str]) -> None:
    data = {"what": what, "names": names[:20], "to": user.get_username(), "to_id": str(user.pk)}
    record_security_event(RIGHTS, now=timezone.now(), data=data)


def _tell(kind: str, user: Any, *, data: Mapping[str, object] | None = None) -> None:
    facts = {"name": user.get_username(), **(data or {})}
    record_security_event(kind, now=timezone.now(), actor=_actor(user), data=facts)


def _actor(user: Any) -> Actor:
    return Actor("user", str(user.pk), user.get_username())


def _unknown(name: str) -> str:
    digest = hmac.new(settings.SECRET_KEY.encode(), name.casefold().encode(), hashlib.sha256).hexdigest()
    return f"unknown account {digest[:10]}" if name else "no name"
