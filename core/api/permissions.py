"""Whether the caller may do this: each method of a view names the scope it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

if TYPE_CHECKING:
    # At run time the views import their default permission, which is this module.
    from rest_framework.views import APIView


class HasScope(BasePermission):
    """Asks the identity for the scope of the method. A method without a scope is refused, except those not served."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return whether the caller may; raises PermissionDenied that names the missing scope."""
        identity: Any = request.auth
        if identity is None:
            return False
        required: dict[str, str] = getattr(view, "required_scopes", {})
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method not in required:
            # No handler: the view answers 405 (or the allowed methods), which gives nothing away.
            return method == "OPTIONS" or not hasattr(view, method.lower())
        scope = required[method]
        if identity.allows(scope):
            return True
        raise PermissionDenied(f"this needs the scope {scope}", code="scope_missing")
