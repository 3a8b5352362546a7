"""A ModelAdmin for facts: looked at, exported, never added to, changed or deleted."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, TypeVar

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest

from core.adminkit.base import ModelAdmin

_Model = TypeVar("_Model", bound=models.Model)


class ReadOnlyModelAdmin(ModelAdmin[_Model]):
    """Nobody, superusers included, adds, changes or deletes through these pages.

    A correction is an action that calls a service which writes another row.
    """

    read_only = True
    list_editable: ClassVar[Any] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> Any:
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def save_model(self, request: HttpRequest, obj: _Model, form: Any, change: bool) -> NoReturn:
        raise PermissionDenied

    def delete_model(self, request: HttpRequest, obj: _Model) -> NoReturn:
        raise PermissionDenied

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[_Model]) -> NoReturn:
        raise PermissionDenied
