"""The base of pages that save through services."""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponseRedirect

from core.adminkit import ModelAdmin, TabularInline
from core.errors import Refusal

_Model = TypeVar("_Model", bound=models.Model)
_Parent = TypeVar("_Parent", bound=models.Model)
_Child = TypeVar("_Child", bound=models.Model)


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


class LabelledInline(TabularInline[_Child, _Parent]):
    """Rows as a table whose fields carry their column's name, for who cannot see the heading."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            # A choice of related objects is wrapped with its buttons.
            widget: Any = getattr(field.widget, "widget", field.widget)
            widget.attrs.setdefault("aria-label", str(field.label or db_field.verbose_name))
        return field
