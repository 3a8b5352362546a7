"""Who asks: a machine by its key, or a person by the session of the admin."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request

from core import apikeys
from core.api.throttling import count_failure
from core.apikeys import ApiKeyIdentity
from core.context import Actor, set_actor
from core.ports.scopes import scopes

REALM = 'Bearer realm="Agent Factory"'
_USERS = uuid.UUID("6a2c1f3e-6d0b-4d55-9b43-5f0a7a1f8e21")


@dataclass(frozen=True, slots=True)
class SessionIdentity:
    """The signed-in person behind a request; each scope asks for its Django permission."""

    user: AbstractUser
    actor: Actor
    family: uuid.UUID
    entity: tuple[str, str] | None = None
    expires_at: datetime | None = None

    @property
    def source(self) -> str:
        """The namespace of this person's idempotency keys."""
        return f"user:{self.user.pk}"

    @property
    def name(self) -> str:
        """The login name."""
        return self.user.get_username()

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes whose permission the person has."""
        return frozenset(scope.name for scope in scopes if self.user.has_perm(scope.permission))

    def allows(self, scope: str) -> bool:
        """Return whether the person has the permission that stands for this scope; the empty scope means anybody."""
        return not scope or self.user.has_perm(scopes.get(scope).permission)

    def require_entity(self, entity_type: str, entity_id: str) -> None:
        """Accept every entity: people are limited by their permissions."""

    def require_unbound(self) -> None:
        """Accept: people are bound to no entity."""


Identity = ApiKeyIdentity | SessionIdentity


def caller(request: Request) -> Identity:
    """Return who asks: `request.auth` with its type. Raises NotAuthenticated when nobody does."""
    identity: object = request.auth
    if not isinstance(identity, ApiKeyIdentity | SessionIdentity):
        raise NotAuthenticated
    return identity


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer af_…`; a header that opens nothing is refused, never passed on to the session."""

    def authenticate(self, request: Request) -> tuple[Any, ApiKeyIdentity] | None:
        """Return the key's identity; None without the header; raises AuthenticationFailed for a header of no use."""
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        kind, _, secret = header.partition(" ")
        if kind.lower() != "bearer":
            raise self._refused(request, "send the key as Authorization: Bearer <key>")
        try:
            identity = apikeys.authenticate(secret.strip(), timezone.now())
        except apikeys.KeyRefused as refused:
            raise self._refused(request, refused.detail, f"key_{refused.code}") from refused
        set_actor(identity.actor)
        return None, identity

    def authenticate_header(self, request: Request) -> str:
        """Return the WWW-Authenticate of a 401 (RFC 6750, section 3)."""
        if "HTTP_AUTHORIZATION" in request.META:
            return f'{REALM}, error="invalid_token"'
        return REALM

    def _refused(self, request: Request, detail: str, code: str = "key_unknown") -> AuthenticationFailed:
        count_failure(request)
        return AuthenticationFailed(detail, code)


class PageSessionAuthentication(SessionAuthentication):
    """The admin's session, with CSRF enforced on unsafe methods."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the signed-in person; None without a session; raises PermissionDenied for a missing CSRF token."""
        found = super().authenticate(request)
        if found is None:
            return None
        user: Any = found[0]
        actor = Actor("user", str(user.pk), user.get_username())
        set_actor(actor)
        return user, SessionIdentity(user, actor, uuid.uuid5(_USERS, str(user.pk)))

    def enforce_csrf(self, request: Request) -> None:
        """Raise PermissionDenied for a missing or wrong token."""
        # Asked of Django's own request: the framework's would try to parse the body as a form.
        super().enforce_csrf(request._request)  # type: ignore[arg-type]  # a plain request will do
