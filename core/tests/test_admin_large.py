"""Lists over large tables: counting, paging, searching, ordering, time limits, and the checks that hold the rules."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin as django_admin
from django.core import checks
from django.core.paginator import Paginator
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.adminkit import EstimatingPaginator, LargeTableAdmin, ReadOnlyModelAdmin, large
from core.models import AuditEntry, ConditionRecord
from core.tests.admin_rows import NOW
from core.tests.people import administrator, signed_in

LIST = "/admin/core/auditentry/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return signed_in(administrator())


def _entries(count: int, **values: Any) -> list[AuditEntry]:
    common = {
        "at": NOW,
        "actor_kind": "user",
        "actor_id": "1",
        "channel": "admin",
        "subject_type": "core.job",
        **values,
    }
    rows = [AuditEntry(action="thing.changed", subject_id=f"job-{number}", **common) for number in range(count)]
    return AuditEntry.objects.bulk_create(rows)


def _shown(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'href="/admin/core/auditentry/(\d+)/change/', page)]


def test_list__default__shows_the_newest_first_with_an_exact_small_count(admin: Client) -> None:
    rows = _entries(60)

    page = admin.get(LIST).content.decode()

    newest = sorted((row.pk for row in rows), reverse=True)
    assert _shown(page) == newest[:50]
    assert f"{AuditEntry.objects.count()} audit entries" in page
    assert "Show all" not in page


def test_list__older__continues_below_the_last_key_with_the_filters(admin: Client) -> None:
    rows = sorted(row.pk for row in _entries(120))
    first = admin.get(f"{LIST}?actor_kind__exact=user").content.decode()
    link = re.search(r'href="(\?[^"]*older=\d+)">Older', first)
    assert link is not None
    assert "actor_kind__exact=user" in link.group(1)

    second = admin.get(LIST + link.group(1).replace("&amp;", "&")).content.decode()

    assert _shown(second) == sorted(rows[20:70], reverse=True)
    assert ">Newest</a>" in second


def test_list__end_of_the_table__has_no_older_link(admin: Client) -> None:
    _entries(30)

    assert ">Older</a>" not in admin.get(LIST).content.decode()


def test_list__more_rows_than_are_counted__says_so(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "COUNT_LIMIT", 40)
    _entries(60)

    assert "40+ audit entries" in admin.get(f"{LIST}?actor_kind__exact=user").content.decode()


def test_paginator__many_pages__ends_at_the_hundredth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "PAGE_LIMIT", 3)
    _entries(50)

    assert EstimatingPaginator(AuditEntry.objects.order_by("-pk"), 10).num_pages == 3


def test_list__sort_by_a_column_without_an_index__is_ignored(admin: Client) -> None:
    _entries(3)

    with CaptureQueriesContext(
        connection,
    ) as queries:
        admin.get(f"{LIST}?o=5")

    listed = [
        query["sql"] for query in queries if "ORDER BY" in query["sql"] and 'FROM "core_auditentry"' in query["sql"]
    ]
    assert listed
    assert all('ORDER BY "core_auditentry"."id" DESC' in sql for sql in listed)


@pytest.mark.parametrize(("term", "found"), [("job-7", ["job-7"]), ("JOB-7", []), ("job", []), (" job-7 ", ["job-7"])])
def test_search__exact_subject__finds_it_and_nothing_like_it(admin: Client, term: str, found: list[str]) -> None:
    _entries(10)

    page = admin.get(LIST, {"q": term}).content.decode()

    assert re.findall(r"core\.job (job-\d+)<", page) == found


def test_list__bulk_action_over_all_pages__takes_the_selected_only(admin: Client) -> None:
    seen: list[list[int]] = []

    class Probe(LargeTableAdmin[AuditEntry]):
        actions = ("look",)

        def look(self, request: Any, queryset: Any) -> None:
            seen.append(sorted(queryset.values_list("pk", flat=True)))

    rows = _entries(5)
    request = admin.get(LIST).wsgi_request
    request.method = "POST"
    data = f"action=look&_selected_action={rows[0].pk}&select_across=1&index=0"
    request.POST = QueryDict(data)

    Probe(AuditEntry, django_admin.site).response_action(request, AuditEntry.objects.all())

    assert seen == [[rows[0].pk]]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_list__statement_runs_too_long__says_so_plainly(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _entries(1)
    model_admin = django_admin.site._registry[AuditEntry]
    monkeypatch.setattr(model_admin, "statement_timeout_seconds", 0.05, raising=False)

    def slowly(self: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(2)")
        return 0

    monkeypatch.setattr(EstimatingPaginator, "count", property(slowly))

    answer = admin.get(LIST)

    assert answer.status_code == 503
    assert "This list took too long" in answer.content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_count__whole_table__is_the_planners_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "COUNT_LIMIT", 40)
    _entries(120)
    rows = AuditEntry.objects.count()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE core_auditentry")
    paginator = EstimatingPaginator(AuditEntry.objects.order_by("-pk"), 50)

    with CaptureQueriesContext(connection) as queries:
        assert (paginator.count, paginator.count_text) == (rows, "about 0")

    assert not [query for query in queries if "COUNT(*)" in query["sql"]]


class Slow(LargeTableAdmin[ConditionRecord], ReadOnlyModelAdmin[ConditionRecord]):
    date_hierarchy = "raised_at"
    paginator = Paginator
    ordering = ("summary",)
    search_fields = ("summary", "source__exact", "key__exact")
    list_filter = ("source", "severity", "firing")
    sortable_by = ("labels",)
    list_editable = ("severity",)
    list_display = ("summary", "severity")


def test_checks__everything_slow__is_named() -> None:
    found = {(error.id, error.msg) for error in Slow(ConditionRecord, django_admin.site).check()}

    assert found >= {
        ("core.E080", "A read-only list has editable columns."),
        ("core.E081", "date_hierarchy reads a whole large table."),
        ("core.E082", "A large table is counted in full."),
        ("core.E083", "A large table is sorted by 'summary' without an index."),
        ("core.E083", "A large table is sorted by 'labels' without an index."),
        ("core.E084", "Searching 'summary' scans a large table."),
        ("core.I084", "Searching 'key__exact' has no index to use on a large table."),
        ("core.E085", "The filter on 'source' needs every distinct value of a large table."),
    }
    assert len(found) == 8


def test_checks__registered_admins__have_no_errors() -> None:
    found = [message for item in django_admin.site._registry.values() for message in item.check()]
    errors = [message for message in found if message.level >= checks.ERROR]

    assert errors == []
