"""System checks of admin pages: what would be slow on a large table, or would change a fact, is refused at start-up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import checks
from django.core.exceptions import FieldDoesNotExist
from django.db import models

from core.adminkit.theme import ThemeChecks

INDEXED_LOOKUPS = ("__exact", "__startswith")


class KitChecks(ThemeChecks):
    """Django's and the theme's checks of a ModelAdmin, and ours for large tables and facts."""

    def check(self, admin_obj: Any, **kwargs: Any) -> list[Any]:
        found = [*super().check(admin_obj, **kwargs), *_read_only(admin_obj)]
        return [*found, *_large(admin_obj)] if getattr(admin_obj, "large", False) else found

    def _check_unfold_action_permission_methods(self, obj: Any) -> list[Any]:
        # The theme asks the database whether the permissions exist, before there is one to ask.
        return []


def _error(admin_obj: Any, number: int, message: str, hint: str) -> checks.Error:
    return checks.Error(message, hint=hint, obj=admin_obj.__class__, id=f"core.E{number:03}")


def _read_only(admin_obj: Any) -> Iterator[checks.Error]:
    if getattr(admin_obj, "read_only", False) and admin_obj.list_editable:
        yield _error(admin_obj, 80, "A read-only list has editable columns.", "Remove list_editable.")


def _large(admin_obj: Any) -> Iterator[checks.CheckMessage]:
    from core.adminkit.large import EstimatingPaginator  # that module needs this one

    if admin_obj.date_hierarchy:
        hint = "Use period_filter(...) of core.adminkit in list_filter."
        yield _error(admin_obj, 81, "date_hierarchy reads a whole large table.", hint)
    if not issubclass(admin_obj.paginator, EstimatingPaginator) or admin_obj.show_full_result_count:
        hint = "Keep LargeTableAdmin's paginator and show_full_result_count."
        yield _error(admin_obj, 82, "A large table is counted in full.", hint)
    yield from _unindexed_ordering(admin_obj)
    yield from _unindexed_search(admin_obj)
    yield from _distinct_filters(admin_obj)


def _unindexed_search(admin_obj: Any) -> Iterator[checks.CheckMessage]:
    indexed = {"pk", *leading_columns(admin_obj.model)}
    for field in map(str, admin_obj.search_fields):
        column, _, lookup = field.rpartition("__")
        # What lies behind a relation is another table, and small.
        hint = "Write name__exact or name__startswith, where name is the first column of an index."
        if f"__{lookup}" not in INDEXED_LOOKUPS:
            yield _error(admin_obj, 84, f"Searching {field!r} scans a large table.", hint)
        elif "__" not in column and column not in indexed:
            message = f"Searching {field!r} has no index to use on a large table."
            yield checks.Info(message, hint=hint, obj=admin_obj.__class__, id="core.I084")


def _unindexed_ordering(admin_obj: Any) -> Iterator[checks.Error]:
    orders = [
        (admin_obj.ordering or admin_obj.opts.ordering or ("pk",))[:1],
        *((name,) for name in _sortable(admin_obj)),
    ]
    for order in orders:
        name = str(order[0]).lstrip("-")
        if name not in {"pk", admin_obj.opts.pk.name} and name not in leading_columns(admin_obj.model):
            hint = "Order by -pk, or by the first column of an index."
            yield _error(admin_obj, 83, f"A large table is sorted by {name!r} without an index.", hint)


def _sortable(admin_obj: Any) -> tuple[str, ...]:
    # None means every column to Django.
    return tuple(admin_obj.list_display if admin_obj.sortable_by is None else admin_obj.sortable_by)


def _distinct_filters(admin_obj: Any) -> Iterator[checks.Error]:
    for item in admin_obj.list_filter:
        if not isinstance(item, str):
            continue
        try:
            field = admin_obj.opts.get_field(item)
        except FieldDoesNotExist:
            continue
        if not (field.choices or field.is_relation or isinstance(field, models.BooleanField)):
            hint = "Filter by columns with choices, by relations to small tables, or by a period."
            yield _error(admin_obj, 85, f"The filter on {item!r} needs every distinct value of a large table.", hint)


def leading_columns(model: type[models.Model]) -> set[str]:
    """Return the names of the columns by which some index of the table can be read in order."""
    options = model._meta
    found = {field.name for field in options.concrete_fields if getattr(field, "db_index", False) or field.unique}
    found |= {str(index.fields[0]) for index in options.indexes if index.fields and index.condition is None}
    unique = [item for item in options.constraints if isinstance(item, models.UniqueConstraint)]
    found |= {str(item.fields[0]) for item in unique if item.fields and item.condition is None}
    return {name.lstrip("-") for name in found}
