"""Turns the refusals of services into messages on forms."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect

from core.adminkit import ModelAdmin
from core.errors import Refusal

_Model = TypeVar("_Model", bound=models.Model)

STYLES = {"all": ("css/costs.css",)}
SCRIPTS = ("js/costs.js",)


def reasons(refusal: Refusal) -> list[str]:
    """Return what a service complained of, in sentences."""
    return [error.detail for error in refusal.errors] or [refusal.detail]


class ServiceModelAdmin(ModelAdmin[_Model]):
    """A ModelAdmin that saves through services: they decide, audit and refuse; nothing is written past them."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show a refusal that only the service could know of (a race, mostly) as a message; nothing was saved."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Refusal as refusal:
            messages.error(request, " ".join(reasons(refusal)))
            return HttpResponseRedirect(request.get_full_path())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: _Model, message: Any) -> Any:
        # The service has written the audit entry.
        return None

    def log_change(self, request: HttpRequest, obj: _Model, message: Any) -> Any:
        return None
