"""Lists over tables that grow without end: no full count, no deep offset, no sort without an index, a time limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from django.contrib.admin import ShowFacets
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import OperationalError, connections, models, router, transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.functional import cached_property

from core.adminkit.base import ModelAdmin
from core.adminkit.theme import ThemeChangeList

_Model = TypeVar("_Model", bound=models.Model)

COUNT_LIMIT = 10_000
PAGE_LIMIT = 100
OLDER = "older"
QUERY_CANCELED = "57014"


def estimated_rows(table: str, connection: Any) -> int | None:
    """Return the planner's estimate of a PostgreSQL table's rows, partitions summed; None where there is none."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(c.reltuples) FROM pg_partition_tree(%s::regclass) t JOIN pg_class c ON c.oid = t.relid"
            " WHERE t.isleaf AND c.reltuples >= 0",
            [connection.ops.quote_name(table)],
        )
        (total,) = cursor.fetchone()
        if total is None:
            # pg_partition_tree knows partitioned tables only.
            cursor.execute(
                "SELECT reltuples FROM pg_class WHERE oid = %s::regclass", [connection.ops.quote_name(table)]
            )
            (total,) = cursor.fetchone()
    return int(total) if total is not None and total >= 0 else None


class EstimatingPaginator(Paginator):  # type: ignore[type-arg]  # generic only in the stubs
    """Counts at most 10,001 rows; a whole large table is estimated from the planner's statistics.

    At most 100 pages can be asked for by number: what lies deeper is reached by the key of the last row.
    """

    template_name = "admin/pagination_large.html"

    @cached_property
    def count(self) -> int:
        estimate = self._estimate()
        self.estimated = estimate is not None and estimate > COUNT_LIMIT
        if estimate is not None and self.estimated:
            return estimate
        rows: Any = self.object_list
        return int(rows.order_by()[: COUNT_LIMIT + 1].count())

    @cached_property
    def num_pages(self) -> int:
        return min(super().num_pages, PAGE_LIMIT)

    @property
    def count_text(self) -> str:
        """The number of rows in words: exact, "10,000+" or an estimate."""
        count = self.count
        if self.estimated:
            return f"about {round(count, -3):,}"
        return f"{COUNT_LIMIT:,}+" if count > COUNT_LIMIT else f"{count:,}"

    def _estimate(self) -> int | None:
        queryset: Any = self.object_list
        if queryset.query.where or queryset.query.is_sliced or queryset.query.distinct:
            return None
        return estimated_rows(queryset.model._meta.db_table, connections[queryset.db])


class LargeChangeList(ThemeChangeList):
    """Pages by number near the top, by key below; sorts by `sortable_by` columns only."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.older = request.GET.get(OLDER, "")
        super().__init__(request, *args, **kwargs)
        self.params.pop(OLDER, None)
        self.filter_params.pop(OLDER, None)

    def get_filters_params(self, params: Any = None) -> Any:
        kept = super().get_filters_params(params)
        kept.pop(OLDER, None)
        return kept

    def get_ordering(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> Any:
        ordering = super().get_ordering(request, queryset)
        usual = (str(name).lstrip("-") for name in self.model_admin.ordering or ())
        allowed = {*(self.sortable_by or ()), *usual, "pk"}
        if all(isinstance(name, str) and name.lstrip("-") in allowed for name in ordering):
            return ordering
        return list(self.model_admin.ordering or ("-pk",))

    def get_queryset(self, request: HttpRequest, *args: Any, **kwargs: Any) -> models.QuerySet[Any]:
        queryset: models.QuerySet[Any] = super().get_queryset(request, *args, **kwargs)
        self.by_key = _is_by_key(queryset)
        if self.older and self.by_key:
            try:
                return queryset.filter(pk__lt=self.model._meta.pk.to_python(self.older))
            except ValidationError:
                return queryset
        return queryset

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # The theme would offer "Show all" beside the title otherwise.
        self.full_result_count = self.result_count

    @property
    def older_link(self) -> str:
        """The address of the rows below the last one shown, or nothing at the end."""
        rows = list(self.result_list)
        if not self.by_key or len(rows) < self.list_per_page:
            return ""
        return str(self.get_query_string({OLDER: rows[-1].pk}))

    @property
    def newest_link(self) -> str:
        """The address of the top of the list."""
        return str(self.get_query_string())


def _is_by_key(queryset: models.QuerySet[Any]) -> bool:
    first = (queryset.query.order_by or ("",))[0]
    return first in {"-pk", f"-{queryset.model._meta.pk.name}"}


class LargeTableAdmin(ModelAdmin[_Model]):
    """A list whose time does not grow with its table; put it before the other base class.

    Search fields say "name__exact" or "name__startswith" and are indexed; headings sort only what `sortable_by`
    names. The system checks core.E081 to core.E086 hold these rules.
    """

    large = True
    ordering = ("-pk",)
    sortable_by: ClassVar[Any] = ()
    paginator: ClassVar[Any] = EstimatingPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_max_show_all = 0
    list_disable_select_all = True
    statement_timeout_seconds: float = 5

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return LargeChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[_Model], search_term: str
    ) -> tuple[models.QuerySet[_Model], bool]:
        """Find rows by the whole term, exactly or by its beginning, so that an index answers."""
        term = search_term.strip()
        if not term:
            return queryset, False
        wanted = models.Q()
        for lookup in self.get_search_fields(request):
            value = self._search_value(str(lookup), term)
            if value is not None:
                wanted |= models.Q((str(lookup), value))
        return (queryset.filter(wanted) if wanted else queryset.none()), False

    def _search_value(self, lookup: str, term: str) -> Any:
        """Return the term as the column's type, or None when it cannot be a value of it."""
        name = lookup.removesuffix("__exact")
        if name == lookup or "__" in name:
            return term
        field = self.opts.pk if name == "pk" else self.opts.get_field(name)
        try:
            # Validated as well: an address column of PostgreSQL cannot even be asked about a word.
            return field.clean(term, None)  # type: ignore[union-attr]  # search fields are columns
        except (ValidationError, ValueError):
            return None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        try:
            with limited_time(self.model, self.statement_timeout_seconds):
                return super().changelist_view(request, extra_context)
        except OperationalError as error:
            if not _was_canceled(error):
                raise
            return self._too_slow(request)

    def response_action(self, request: HttpRequest, queryset: models.QuerySet[_Model], *args: Any) -> Any:
        """Run a bulk action on the selected rows only; "all pages" of an endless table is refused."""
        data = request.POST.copy()
        data["select_across"] = "0"
        request.POST = data  # type: ignore[assignment]  # a copy of the same type
        return super().response_action(request, queryset)

    def _too_slow(self, request: HttpRequest) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": self.opts.verbose_name_plural,
            "opts": self.opts,
            "seconds": self.statement_timeout_seconds,
        }
        return TemplateResponse(request, "admin/too_slow.html", context, status=503)


@contextmanager
def limited_time(model: type[models.Model], seconds: float) -> Iterator[None]:
    """Cancel any statement of the block that runs longer than so many seconds, on PostgreSQL."""
    connection = connections[router.db_for_read(model)]
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{int(seconds * 1000)}ms"])
        yield


def _was_canceled(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", "") == QUERY_CANCELED
