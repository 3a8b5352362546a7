"""The palette (Ctrl+K): pages, actions and objects that a person may see."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from unfold.dataclasses import SearchResult

from core.adminkit.large import LargeTableAdmin, limited_time
from core.adminkit.navigation import menu_items

RESULTS_PER_MODEL = 5
SHORTEST_TERM = 2


def search_everything(request: HttpRequest, term: str) -> list[SearchResult]:
    """Return pages by title, then "Add …" actions, then at most five objects of each searchable list."""
    words = term.strip().lower()
    if len(words) < SHORTEST_TERM:
        return []
    return [*_pages(request, words), *_additions(request, words), *_objects(request, term.strip())]


def _pages(request: HttpRequest, words: str) -> Iterator[SearchResult]:
    for item in menu_items(request):
        if words in item.title.lower() or words in item.section.lower():
            yield SearchResult(title=item.title, description=item.section, link=item.link, icon=item.icon)


def _additions(request: HttpRequest, words: str) -> Iterator[SearchResult]:
    for model, model_admin in admin.site._registry.items():
        name = str(model._meta.verbose_name)
        title = f"Add {name}"
        if words in title.lower() and model_admin.has_add_permission(request):
            link = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
            yield SearchResult(title=title, description="Action", link=link, icon="add")


def _objects(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    for model, model_admin in admin.site._registry.items():
        if model_admin.get_search_fields(request) and model_admin.has_view_permission(request):
            yield from _objects_of(request, model, model_admin, term)


def _objects_of(request: HttpRequest, model: Any, model_admin: Any, term: str) -> Iterator[SearchResult]:
    queryset, _ = model_admin.get_search_results(request, model_admin.get_queryset(request), term)
    related = model_admin.list_select_related
    if isinstance(related, list | tuple) and related:
        queryset = queryset.select_related(*related)
    seconds = model_admin.statement_timeout_seconds if isinstance(model_admin, LargeTableAdmin) else 5
    with limited_time(model, seconds):
        found = list(queryset.distinct()[:RESULTS_PER_MODEL])
    for obj in found:
        link = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[obj.pk])
        title = str(model._meta.verbose_name)
        yield SearchResult(title=str(obj), description=title[:1].upper() + title[1:], link=link, icon="data_object")
