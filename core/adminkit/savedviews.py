"""Saved views: the filters, search and order of a list under a name, for oneself or for everybody who may see it."""

from __future__ import annotations

from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from core import audit
from core.adminkit.theme import ThemeModelAdmin

_Model = TypeVar("_Model", bound=models.Model)

# Where in the list one is, not what the list shows.
_POSITION = ("p", "older", "e", "_popup", "_to_field")


class SavedViewForm(forms.Form):
    """What is asked when a list is saved."""

    name = forms.CharField(max_length=80)
    query = forms.CharField(max_length=1000, required=False)
    shared = forms.BooleanField(required=False)

    def clean_query(self) -> str:
        """Keep filters, search and order; drop the place in the list."""
        query = QueryDict(self.cleaned_data["query"].removeprefix("?"), mutable=True)
        for name in _POSITION:
            query.pop(name, None)
        return query.urlencode()


class SavedViewsMixin(ThemeModelAdmin[_Model]):
    """Shows saved views above a list and keeps new ones."""

    saved_views = True

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        return [
            path("views/save/", wrap(self.save_view), name=f"{name}_save_view"),
            path("views/<int:view_id>/delete/", wrap(self.delete_view_by_id), name=f"{name}_delete_view"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        shown = self.saved_views and request.method == "GET" and "_popup" not in request.GET
        views = {"saved_view_list": self._views_of(request)} if shown else {}
        return super().changelist_view(request, {**views, **(extra_context or {})})

    def _views_of(self, request: HttpRequest) -> list[dict[str, Any]]:
        from core.models import SavedView  # models load after the admin kit

        here = QueryDict(request.GET.urlencode(), mutable=True)
        for name in _POSITION:
            here.pop(name, None)
        mine = models.Q(owner=request.user.pk) | models.Q(shared=True)
        rows = SavedView.objects.filter(mine, page=self.opts.label_lower).order_by("name", "id")[:50]
        return [
            {
                "view": row,
                "own": row.owner_id == request.user.pk,
                "active": bool(row.query) and QueryDict(row.query).dict() == here.dict(),
            }
            for row in rows
        ]

    def save_view(self, request: HttpRequest) -> HttpResponse:
        """Keep the posted query under a name; a name of one's own is used again for the new query."""
        self._require_view(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        form = SavedViewForm(request.POST)
        if not form.is_valid():
            messages.error(request, "The view was not saved: give it a name of at most 80 characters.")
            return redirect(self._list_address())
        values = form.cleaned_data
        self._write_view(request, values["name"], values["query"], shared=values["shared"])
        messages.success(request, f"Saved the view “{values['name']}”.")
        return redirect(f"{self._list_address()}?{values['query']}")

    def _write_view(self, request: HttpRequest, name: str, query: str, *, shared: bool) -> None:
        from core.models import SavedView  # models load after the admin kit

        now = timezone.now()
        key = {"owner_id": request.user.pk, "page": self.opts.label_lower, "name": name}
        with transaction.atomic():
            if not SavedView.objects.filter(**key).update(query=query, shared=shared):
                try:
                    with transaction.atomic():
                        SavedView.objects.create(**key, query=query, shared=shared, created_at=now)
                except IntegrityError:
                    # Saved under the same name in another tab just now.
                    SavedView.objects.filter(**key).update(query=query, shared=shared)
            view = SavedView.objects.get(**key)
            audit.record("savedview.saved", view, now=now, after={"name": name, "query": query, "shared": shared})

    def delete_view_by_id(self, request: HttpRequest, view_id: int) -> HttpResponse:
        """Remove a view of one's own; somebody else's is left alone."""
        from core.models import SavedView  # models load after the admin kit

        self._require_view(request)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        with transaction.atomic():
            own = SavedView.objects.filter(pk=view_id, owner=request.user.pk, page=self.opts.label_lower)
            view = own.first()
            if view is None:
                raise PermissionDenied
            audit.record("savedview.deleted", view, now=timezone.now(), before={"name": view.name, "query": view.query})
            view.delete()
        messages.success(request, f"Removed the view “{view.name}”.")
        return redirect(self._list_address())

    def _require_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def _list_address(self) -> str:
        return reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist")
