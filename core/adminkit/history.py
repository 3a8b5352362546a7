"""The history of one object, read from the audit log: there is no second record of changes."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.text import capfirst

HISTORY_LENGTH = 200


def history_page(
    model_admin: Any, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None
) -> HttpResponse:
    """Return the page of what was done to one object, newest first; asks for the view permission on it."""
    from core.models import AuditEntry  # models load after the admin kit

    obj = model_admin.get_object(request, object_id)
    if obj is None:
        raise Http404("there is no such object")
    if not model_admin.has_view_permission(request, obj):
        raise PermissionDenied
    entries = AuditEntry.objects.filter(subject_type=model_admin.opts.label_lower, subject_id=str(obj.pk))
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"History of {obj}",
        "subtitle": None,
        "entries": entries.order_by("-id")[:HISTORY_LENGTH],
        "history_length": HISTORY_LENGTH,
        "module_name": str(capfirst(model_admin.opts.verbose_name_plural)),
        "object": obj,
        "object_id": quote(object_id),
        "opts": model_admin.opts,
        "preserved_filters": model_admin.get_preserved_filters(request),
        **(extra_context or {}),
    }
    return TemplateResponse(request, "admin/object_history.html", context)
