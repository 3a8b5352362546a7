"""Admin actions: always with named permissions, never by a bare GET, with a dialog where a reason is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from core.errors import Refusal

Variant = Literal["default", "primary", "success", "info", "warning", "danger"]
_Function = TypeVar("_Function", bound=Callable[..., Any])


class DialogForm(BaseDialogForm):  # type: ignore[misc]  # the theme ships no types
    """A form shown in a dialog: asks for nothing but a confirmation until fields are added."""


class ReasonForm(DialogForm):
    """A dialog that asks why; the reason belongs into the audit entry."""

    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the audit log with your name.",
    )


@dataclass(frozen=True, slots=True)
class Dialog:
    """What an action asks before it does anything: a title, a sentence on the effect, and a form."""

    title: str
    description: str = ""
    form: type[DialogForm] = DialogForm
    submit: str = "Confirm"

    def theme(self) -> dict[str, Any]:
        """Return the dialog in the shape the theme's templates read."""
        return {
            "title": self.title,
            "description": self.description,
            "form_class": self.form,
            "form_submit_text": self.submit,
        }


def action(
    *,
    description: str,
    permissions: Sequence[str],
    dialog: Dialog | None = None,
    safe: bool = False,
    url_path: str | None = None,
    icon: str | None = None,
    variant: Variant = "default",
    attrs: Mapping[str, Any] | None = None,
) -> Callable[[_Function], Any]:
    """Make a method of a ModelAdmin an action; list it in `actions` (bulk), `actions_list`, `_row` or `_detail`.

    `permissions` are names of `has_<name>_permission` methods or full "app.codename" ones; all must hold, and they
    are asked about the object in hand. Called with (request, queryset) in bulk, (request, object_id=...) on a row or
    an object, (request) on a list; with a dialog the valid form comes right after the request. Unless `safe` (a
    download, a way to another page) an action by address always asks in a dialog, so that no link changes anything.
    A ValidationError or Refusal of the service is shown on the form, or as a message in bulk.
    """

    def decorate(function: _Function) -> Any:
        steps = _Steps(function, tuple(permissions), dialog, safe=safe, description=description)

        @wraps(function)
        def inner(model_admin: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse | None:
            if args and isinstance(args[0], QuerySet):
                return steps.in_bulk(model_admin, request, args[0])
            return steps.by_address(model_admin, request, kwargs)

        marks = {
            "allowed_permissions": tuple(permissions),
            "short_description": description,
            "icon": icon,
            "variant": ActionVariant(variant),
            "attrs": dict(attrs or {}),
            "dialog": steps.asked.theme() if steps.asked else None,
            "original_function_name": function.__name__,
        }
        # Read by Django and by the theme.
        for name, value in {**marks, **({"url_path": url_path} if url_path else {})}.items():
            setattr(inner, name, value)
        return inner

    return decorate


class _Steps:
    """What happens between the click and the method: permission, dialog, the act, and where one lands."""

    def __init__(
        self,
        function: Callable[..., Any],
        permissions: tuple[str, ...],
        dialog: Dialog | None,
        *,
        safe: bool,
        description: str,
    ) -> None:
        self.function = function
        self.permissions = permissions
        self.dialog = dialog
        self.asked = dialog or (None if safe else Dialog(description, "Nothing happens until you confirm."))

    def act(self, model_admin: Any, request: HttpRequest, form: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the method; with a dialog of its own, the form comes first."""
        return self.function(model_admin, request, *([form] if self.dialog else []), *args, **kwargs)

    def in_bulk(self, model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """Run over the selected rows, after a page that asks when there is a dialog."""
        if not permitted(model_admin, request, self.permissions):
            raise PermissionDenied
        form = None
        if self.dialog:
            data = request.POST if "_form_submitted" in request.POST else None
            form = self.dialog.form(data=data, request=request)
            if not form.is_valid():
                return _bulk_confirmation(model_admin, request, queryset, self.dialog, form)
        try:
            result: HttpResponse | None = self.act(model_admin, request, form, queryset)
        except (ValidationError, Refusal) as error:
            model_admin.message_user(request, "; ".join(_sentences(error)), messages.ERROR)
            return None
        return result

    def by_address(self, model_admin: Any, request: HttpRequest, kwargs: dict[str, Any]) -> HttpResponse:
        """Run for the object or list that the address names; a GET only ever asks."""
        obj = _object(model_admin, request, kwargs)
        if not permitted(model_admin, request, self.permissions, obj):
            raise PermissionDenied
        if self.asked is None:
            return self.act(model_admin, request, None, **kwargs) or _back(model_admin, request, kwargs)
        data = request.POST if request.method == "POST" else None
        form = self.asked.form(data=data, request=request, object_id=kwargs.get("object_id"))
        if data is not None and form.is_valid():
            try:
                result = self.act(model_admin, request, form, **kwargs)
                return _leave(request, result or _back(model_admin, request, kwargs))
            except (ValidationError, Refusal) as error:
                add_refusal(form, error)
        return _dialog_page(model_admin, request, self.asked, form)


def _object(model_admin: Any, request: HttpRequest, kwargs: dict[str, Any]) -> Any:
    if "object_id" not in kwargs:
        return None
    obj = model_admin.get_object(request, unquote(kwargs["object_id"]))
    if obj is None:
        raise Http404("there is no such object")
    return obj


def permitted(model_admin: Any, request: HttpRequest, permissions: Sequence[str], obj: Any = None) -> bool:
    """Say whether every named permission holds for this person, asked about `obj` when there is one."""
    for name in permissions:
        if "." in name:
            if not request.user.has_perm(name):
                return False
            continue
        check = getattr(model_admin, f"has_{name}_permission")
        if not (check(request, obj) if obj is not None else check(request)):
            return False
    return True


def add_refusal(form: forms.Form, error: ValidationError | Refusal) -> None:
    """Show on a form why a service refused: at the fields it names, otherwise above them."""
    if isinstance(error, ValidationError):
        form.add_error(None, ValidationError(error.messages))
        return
    for item in error.errors:
        name = item.pointer.strip("/").split("/")[0]
        form.add_error(name if name in form.fields else None, item.detail)
    if not error.errors:
        form.add_error(None, error.detail)


def _sentences(error: ValidationError | Refusal) -> list[str]:
    if isinstance(error, ValidationError):
        return error.messages
    return [error.detail, *(f"{item.pointer.lstrip('/')}: {item.detail}" for item in error.errors)]


def _bulk_confirmation(
    model_admin: Any, request: HttpRequest, queryset: QuerySet[Any], dialog: Dialog, form: Any
) -> HttpResponse:
    context = {
        **model_admin.admin_site.each_context(request),
        "title": dialog.title,
        "dialog": dialog,
        "form": form,
        "objects": list(queryset[:20]),
        "object_count": queryset.count(),
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "action_name": request.POST.get("action", ""),
        "select_across": request.POST.get("select_across", "0"),
        "checkbox_name": ACTION_CHECKBOX_NAME,
        "model": model_admin.opts,
    }
    return TemplateResponse(request, "admin/confirm_action.html", context)


def _dialog_page(model_admin: Any, request: HttpRequest, dialog: Dialog, form: Any) -> HttpResponse:
    context = {"dialog": dialog.theme(), "form": form, "form_submit_text": dialog.submit}
    if request.headers.get("HX-Request") == "true":
        return TemplateResponse(request, "unfold/helpers/dialog.html", context)
    # Opened in a tab of its own, or without scripts: the same form as a page.
    page = {**model_admin.admin_site.each_context(request), "title": dialog.title}
    return TemplateResponse(request, "admin/dialog_page.html", {**page, **context})


def _leave(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Turn a redirect into one the dialog follows: a plain 302 would be loaded into it."""
    if request.headers.get("HX-Request") == "true" and isinstance(response, HttpResponseRedirect):
        return HttpResponse(headers={"HX-Redirect": response.url})
    return response


def _back(model_admin: Any, request: HttpRequest, kwargs: dict[str, Any]) -> HttpResponse:
    return HttpResponseRedirect(_address_after(model_admin, request, kwargs))


def _address_after(model_admin: Any, request: HttpRequest, kwargs: dict[str, Any]) -> str:
    name = f"{model_admin.admin_site.name}:{model_admin.opts.app_label}_{model_admin.opts.model_name}"
    changelist = reverse(f"{name}_changelist")
    if "object_id" not in kwargs:
        return changelist
    came_from = urlsplit(request.headers.get("HX-Current-URL", ""))
    if came_from.path == changelist:
        return f"{changelist}?{came_from.query}" if came_from.query else changelist
    return reverse(f"{name}_change", args=[kwargs["object_id"]])
