"""A ModelAdmin whose every change is in the audit log, in the same transaction, with what was before and after."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from django.db import models, transaction
from django.http import HttpRequest
from django.utils import timezone

from core import audit
from core.adminkit.base import ModelAdmin
from core.adminkit.snapshot import differences, snapshot

_Model = TypeVar("_Model", bound=models.Model)


class AuditedModelAdmin(ModelAdmin[_Model]):
    """Writes one audit entry per add, change and delete made in the admin, rows of inlines included.

    The admin's own transaction holds both the change and its entry. `audit_hidden` names columns whose values are
    kept out of the log; that they changed is still said.
    """

    audit_hidden: ClassVar[tuple[str, ...]] = ("password", "digest")

    def save_model(self, request: HttpRequest, obj: _Model, form: Any, change: bool) -> None:
        if change:
            stored = self.model._base_manager.get(pk=obj.pk)
            request._audit_before = snapshot(stored, self.audit_hidden)  # type: ignore[attr-defined]  # one request's memory
            request._audit_hidden_changed = tuple(  # type: ignore[attr-defined]
                name for name in self.audit_hidden if getattr(stored, name, None) != getattr(obj, name, None)
            )
        super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        rows = [
            *({"added": str(obj)} for obj in formset.new_objects),
            *({"changed": str(obj), "fields": list(fields)} for obj, fields in formset.changed_objects),
            *({"deleted": str(obj)} for obj in formset.deleted_objects),
        ]
        if rows:
            related = getattr(request, "_audit_related", {})
            request._audit_related = {**related, formset.model._meta.label_lower: rows}  # type: ignore[attr-defined]

    def log_addition(self, request: HttpRequest, obj: _Model, message: Any) -> Any:
        after = {**snapshot(obj, self.audit_hidden), **self._related(request)}
        self._record("added", obj, after=after)

    def log_change(self, request: HttpRequest, obj: _Model, message: Any) -> Any:
        fresh = self.model._base_manager.get(pk=obj.pk)
        before = getattr(request, "_audit_before", {})
        changed = getattr(request, "_audit_hidden_changed", ())
        old, new = differences(before, snapshot(fresh, self.audit_hidden), changed)
        related = self._related(request)
        if old or new or related:
            self._record("changed", obj, before=old, after={**new, **related})

    def log_deletions(self, request: HttpRequest, queryset: Iterable[_Model]) -> Any:
        # Recorded where the rows are deleted: Django calls this before, outside any transaction, for the bulk action.
        return None

    def delete_model(self, request: HttpRequest, obj: _Model) -> None:
        with transaction.atomic():
            self._record("deleted", obj, before=snapshot(obj, self.audit_hidden))
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[_Model]) -> None:
        with transaction.atomic():
            for obj in queryset:
                self._record("deleted", obj, before=snapshot(obj, self.audit_hidden))
            super().delete_queryset(request, queryset)

    def _related(self, request: HttpRequest) -> dict[str, Any]:
        related = getattr(request, "_audit_related", {})
        return {"related": related} if related else {}

    def _record(self, act: str, obj: _Model, *, before: Any = None, after: Any = None) -> None:
        audit.record(f"{self.opts.model_name}.{act}", obj, now=timezone.now(), before=before, after=after)
