"""The one-time link by which the first administrator is made: there is no default password anywhere."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from core import audit
from core.context import Actor
from core.errors import Conflict, Missing
from core.models import SetupLink

LIFETIME = timedelta(hours=24)
SETUP_ACTOR = Actor("system", "setup", "set-up link")


def is_needed() -> bool:
    """Say whether no active superuser with a usable password exists yet."""
    people = get_user_model()._default_manager.filter(is_superuser=True, is_active=True).exclude(password="")
    return not people.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX).exists()


def create_setup_link(now: datetime) -> str:
    """Make a link, valid for 24 hours, and return its path; every older one stops working.

    Raises Conflict when an administrator exists already. Only the digest is kept, so the path cannot be shown again.
    """
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        if not is_needed():
            raise Conflict("an administrator exists already", code="setup_done")
        _open_links(now).update(expires_at=now)
        SetupLink.objects.create(digest=_digest(token), created_at=now, expires_at=now + LIFETIME)
    # In the query, not in the path: the access log writes paths.
    return f"{reverse('setup')}?{urlencode({'token': token})}"


def is_valid(token: str, now: datetime) -> bool:
    """Say whether the link could be used now."""
    return bool(token) and _open_links(now).filter(digest=_digest(token)).exists() and is_needed()


def use_setup_link(token: str, *, username: str, email: str, password: str, now: datetime) -> AbstractBaseUser:
    """Make the first administrator and return it; the link, and any other one, is used up with it.

    Raises Missing for a link that is unknown, old or used, Conflict when an administrator exists by now. Of two
    people with the link at once, one wins.
    """
    with transaction.atomic():
        # One order for everybody: whoever locks the open links first decides.
        links = {link.digest: link for link in _open_links(now).select_for_update().order_by("pk")}
        link = links.get(_digest(token))
        if link is None or not SetupLink.objects.filter(pk=link.pk, used_at=None).update(used_at=now):
            raise Missing("this set-up link is unknown, too old, or was used already", code="setup_link_gone")
        if not is_needed():
            raise Conflict("an administrator exists already", code="setup_done")
        _open_links(now).update(expires_at=now)
        user = get_user_model()._default_manager.create_superuser(username=username, email=email, password=password)
        facts = {"username": username, "email": email, "is_superuser": True}
        audit.record("user.set_up", user, now=now, after=facts, actor=SETUP_ACTOR)
    return user


def _open_links(now: datetime) -> QuerySet[SetupLink]:
    return SetupLink.objects.filter(used_at=None, expires_at__gt=now)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
