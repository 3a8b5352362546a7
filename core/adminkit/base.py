"""The base of every admin page of a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.contrib.admin.utils import unquote
from django.db import models
from django.http import HttpRequest, HttpResponse

from core.adminkit.actions import permitted
from core.adminkit.checks import KitChecks
from core.adminkit.export import ExportMixin
from core.adminkit.history import history_page
from core.adminkit.savedviews import SavedViewsMixin
from core.adminkit.theme import ThemeStackedInline, ThemeTabularInline
from core.adminkit.widgets import MoneyInput
from core.money import MoneyField

_Model = TypeVar("_Model", bound=models.Model)
_Parent = TypeVar("_Parent", bound=models.Model)
_Child = TypeVar("_Child", bound=models.Model)

MONEY_WIDGET: dict[Any, dict[str, Any]] = {MoneyField: {"widget": MoneyInput}}


class EmptyState:
    """What an empty list shows: an icon, a sentence, the next step and, optionally, a command to copy.

    `snippet` may hold {url}, which becomes this installation's own address.
    """

    def __init__(
        self,
        title: str,
        text: str,
        *,
        icon: str = "inbox",
        step: str = "",
        link: str | Callable[[], str] = "",
        snippet: str = "",
    ) -> None:
        self.title = title
        self.text = text
        self.icon = icon
        self.step = step
        self._link = link
        self._snippet = snippet

    @property
    def link(self) -> str:
        """The address of the next step; computed late, when the addresses are known."""
        return str(self._link() if callable(self._link) else self._link)

    def snippet(self, request: HttpRequest) -> str:
        """Return the command with this installation's address in it."""
        return self._snippet.replace("{url}", request.build_absolute_uri("/").rstrip("/"))


class ModelAdmin(ExportMixin[_Model], SavedViewsMixin[_Model]):
    """Every admin page of a model: in the menu by permission, exportable, with saved views and an empty state.

    `menu_section` (default: by app), `menu_icon` and `menu_order` place it in the menu, `in_menu = False` hides it.
    """

    checks_class = KitChecks
    list_per_page = 50
    list_max_show_all = 200
    list_before_template: str | None = "admin/list_tools.html"
    list_filter_sheet = True
    compressed_fields = True
    warn_unsaved_form = True
    formfield_overrides: ClassVar[Any] = MONEY_WIDGET
    empty_state: EmptyState | None = None
    menu_section: str = ""
    menu_icon: str = "list"
    menu_order: int = 100
    in_menu: bool = True

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the audit entries of one object."""
        return history_page(self, request, unquote(object_id), extra_context)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist: Any = super().get_changelist_instance(request)
        state = self.empty_state
        # Called by the template when the list is empty; a job that exports the list has no address to put in it.
        changelist.empty_snippet = lambda: state.snippet(request) if state else ""
        return changelist

    def details(self, obj: _Model) -> dict[str, Any]:
        """Return what the templates before and after the form of an object need; overridden where there are such."""
        return {}

    def render_change_form(  # noqa: PLR0917  # Django's signature
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> Any:
        if obj is not None:
            # After a refused form the object holds what was typed; the page shows what is stored.
            stored = obj if request.method == "GET" else self.get_object(request, str(obj.pk))
            context = {**(self.details(stored) if stored is not None else {}), **context}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _filter_unfold_actions_by_permissions(
        self, request: HttpRequest, actions: list[Any], object_id: Any = None
    ) -> list[Any]:
        # The theme would hand the bare id to has_change_permission(request, obj).
        obj = self.get_object(request, unquote(str(object_id))) if actions and object_id else None
        return [item for item in actions if permitted(self, request, item.method.allowed_permissions, obj)]


class TabularInline(ThemeTabularInline[_Child, _Parent]):
    """Related rows as a table on their parent's page."""

    extra = 0
    formfield_overrides: ClassVar[Any] = {**ThemeTabularInline.formfield_overrides, **MONEY_WIDGET}


class StackedInline(ThemeStackedInline[_Child, _Parent]):
    """Related rows as small forms on their parent's page."""

    extra = 0
    formfield_overrides: ClassVar[Any] = {**ThemeStackedInline.formfield_overrides, **MONEY_WIDGET}


class ReadOnlyInline(TabularInline[_Child, _Parent]):
    """Related facts: shown, never added, changed or removed."""

    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
