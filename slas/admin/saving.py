"""The base of pages that save through services."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect

from core.adminkit import ModelAdmin
from core.errors import Refusal

_Model = TypeVar("_Model", bound=models.Model)


class SavesByService(ModelAdmin[_Model]):
    """A ModelAdmin whose refusals become messages; audit entries are written by the services."""

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show a refusal that only the service could know of as a message; nothing was saved."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Refusal as refusal:
            messages.error(request, " ".join([error.detail for error in refusal.errors] or [refusal.detail]))
            return HttpResponseRedirect(request.get_full_path())

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: _Model, message: Any) -> Any:
        # The service has written the audit entry.
        return None

    def log_change(self, request: HttpRequest, obj: _Model, message: Any) -> Any:
        return None

    def key(self, object_id: str) -> Any:
        """Return the primary key that an address names."""
        return self.opts.pk.to_python(object_id)
