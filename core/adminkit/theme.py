"""The theme's base classes, typed: this module and `core.adminkit.site` are where the theme is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import models

_Model = TypeVar("_Model", bound=models.Model)
_Parent = TypeVar("_Parent", bound=models.Model)
_Child = TypeVar("_Child", bound=models.Model)

if TYPE_CHECKING:
    from django.contrib import admin
    from django.contrib.admin.views.main import ChangeList as ThemeChangeList

    class ThemeModelAdmin(admin.ModelAdmin[_Model]):
        """What the theme adds to Django's class."""

        actions_list: Any
        actions_detail: Any
        actions_row: Any
        compressed_fields: bool
        list_before_template: str | None
        list_after_template: str | None
        list_disable_select_all: bool
        list_filter_sheet: bool
        list_filter_submit: bool
        list_fullwidth: bool
        change_form_before_template: str | None
        change_form_after_template: str | None
        change_form_datasets: Any
        warn_unsaved_form: bool

        def get_actions_detail(self, request: Any, object_id: Any) -> Any: ...
        def _filter_unfold_actions_by_permissions(self, request: Any, actions: Any, object_id: Any = None) -> Any: ...

    class ThemeTabularInline(admin.TabularInline[_Child, _Parent]):
        """What the theme adds to Django's class."""

        tab: bool
        per_page: int | None

    class ThemeStackedInline(admin.StackedInline[_Child, _Parent]):
        """What the theme adds to Django's class."""

        tab: bool

    class ThemeChecks:
        """The theme's checks of one ModelAdmin."""

        def check(self, admin_obj: Any, **kwargs: Any) -> list[Any]: ...

    ThemeDialogForm: Any
else:
    import sys

    # The theme takes these along when it can, and with them the driver of PostgreSQL: a tenth of the start on SQLite,
    # for widgets of fields that no model here has. None makes an import fail, which the theme is prepared for.
    _POSTGRESQL_FIELDS = "django.contrib.postgres.fields"
    _wanted_elsewhere = sys.modules.setdefault(_POSTGRESQL_FIELDS, None)

    from unfold.admin import ModelAdmin as _ModelAdmin
    from unfold.admin import StackedInline as _StackedInline
    from unfold.admin import TabularInline as _TabularInline
    from unfold.checks import UnfoldModelAdminChecks as ThemeChecks
    from unfold.views import ChangeList as ThemeChangeList

    if _wanted_elsewhere is None:
        del sys.modules[_POSTGRESQL_FIELDS]

    class _Subscriptable:
        """Lets `ModelAdmin[Budget]` be written at run time as it is for the type checker."""

        def __class_getitem__(cls, _: Any) -> Any:
            return cls

    class ThemeModelAdmin(_Subscriptable, _ModelAdmin):
        """The theme's ModelAdmin."""

    class ThemeTabularInline(_Subscriptable, _TabularInline):
        """The theme's tabular inline."""

    class ThemeStackedInline(_Subscriptable, _StackedInline):
        """The theme's stacked inline."""


__all__ = ["ThemeChangeList", "ThemeChecks", "ThemeModelAdmin", "ThemeStackedInline", "ThemeTabularInline"]
