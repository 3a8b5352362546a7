"""The home page: panels by permission, isolated, with honest empty states; search; first steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from config import home
from core.models import ConditionRecord
from core.ports import Registry
from core.ports.panels import Chart, Figure, Panel, Series, Table, panels
from core.tests.admin_rows import ROWS
from core.tests.people import administrator, person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Registry[Panel]:
    """An open registry with nothing in it, in the place of the real one."""
    registry: Registry[Panel] = Registry("test panels", key=lambda panel: panel.key)
    monkeypatch.setattr(home, "panels", registry)
    return registry


def _giving(*items: Figure | Chart | Table) -> Callable[[datetime], Sequence[Figure | Chart | Table]]:
    return lambda _now: items


def _home(user: Any) -> str:
    return signed_in(user).get("/admin/").content.decode()


def test_home__panel__is_shown_to_who_has_its_permission_only(offered: Registry[Panel]) -> None:
    offered.register(Panel("core.a", "A", "core.view_job", _giving(Figure("Seen", "42", link="/rows/"))))
    offered.register(Panel("core.b", "B", "core.view_apikey", _giving(Figure("Hidden", "43"))))

    page = _home(person(permissions=("core.view_job",)))

    assert '<a href="/rows/" class="af-figure-value">42</a>' in page
    assert "Hidden" not in page


def test_home__panel_for_groups__is_not_shown_to_others(offered: Registry[Panel]) -> None:
    offered.register(Panel("costs.a", "A", "costs.view_budget", _giving(Figure("Spend", "1")), groups=("finance",)))

    assert "Spend" in _home(person("f", roles=("finance",)))
    assert "Spend" not in _home(person("v", roles=("finance_viewer",)))


def test_home__panel_that_fails__shows_so_and_the_others_stay(offered: Registry[Panel]) -> None:
    def broken(now: datetime) -> Sequence[Figure]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM no_such_table")
        return []

    offered.register(Panel("core.a", "Broken panel", "core.view_job", broken, order=1))

    def counting(now: datetime) -> Sequence[Figure]:
        return [Figure("Conditions", str(ConditionRecord.objects.count()))]

    offered.register(Panel("core.b", "Good", "core.view_job", counting, order=2))

    page = _home(person(permissions=("core.view_job",)))

    assert "Broken panel" in page
    assert "This panel could not be computed" in page
    assert "no_such_table" not in page
    assert '<span class="af-figure-value">0</span>' in page


def test_home__panel_without_data__says_the_next_step(offered: Registry[Panel]) -> None:
    offered.register(Panel("core.a", "Spend", "core.view_job", _giving(), empty="Send a first cost."))

    assert "Send a first cost." in _home(person(permissions=("core.view_job",)))


def test_home__chart_and_table__have_their_numbers_as_text_with_links(offered: Registry[Panel]) -> None:
    chart = Chart("Spend by day", "stacked", ["2026-03-01"], [Series("llm_api", [1.5])], "USD", "/rows/?day={label}")
    table = Table("Top <agents>", ("Agent", "Spend"), [(("a&b", "1.50"), "/agents/1/")])
    offered.register(Panel("costs.a", "A", "core.view_job", _giving(chart, table)))

    page = _home(person(permissions=("core.view_job",)))

    assert '<th scope="row"><a href="/rows/?day=2026-03-01">2026-03-01</a></th><td class="af-number">1.5</td>' in page
    assert '<a href="/agents/1/">a&amp;b</a>' in page
    assert "Top &lt;agents&gt;" in page
    assert 'role="img"' in page


def test_home__order__is_by_panel_and_sections_by_app(offered: Registry[Panel]) -> None:
    for key, order in (("core.z", 30), ("costs.y", 10), ("costs.x", 20)):
        offered.register(Panel(key, key, "core.view_job", _giving(Figure(key, "1")), order=order))

    context = signed_in(person(permissions=("core.view_job",))).get("/admin/").context

    assert [(section.title, [panel.key for panel in section.panels]) for section in context["sections"]] == [
        ("Costs", ["costs.y", "costs.x"]),
        ("Platform", ["core.z"]),
    ]


def test_home__as_of_and_currency__are_said(settings: Any) -> None:
    settings.BASE_CURRENCY = "EUR"

    page = _home(person(permissions=("core.view_job",)))

    assert "amounts in EUR unless said otherwise" in page
    assert "As of <time" in page


def test_home__real_panels__build_for_every_role_without_failing() -> None:
    ROWS["core.conditionrecord"](6)
    ROWS["core.job"](6)

    page = _home(administrator())

    assert "This panel could not be computed" not in page
    assert "core.conditions" in panels
    assert "3 critical or high" in page or "critical or high" in page


def test_first_steps__new_installation__are_listed_for_an_administrator_only() -> None:
    assert "0 of 4 done" in _home(administrator())
    assert "First steps" not in _home(person(roles=("finance",)))


def test_first_steps__with_a_key__show_the_command_for_the_first_cost() -> None:
    ROWS["core.apikey"](1)

    page = _home(administrator())

    assert "1 of 4 done" in page
    assert "curl -X POST http://testserver/api/v1/financial/costs" in page


@pytest.fixture
def searching() -> Client:
    ROWS["core.job"](1)
    return signed_in(administrator())


def _titles(client: Client, term: str) -> list[str]:
    answer = client.get("/admin/search/", {"s": term, "extended": "1"})
    return [result.title for result in answer.context["results"]] if answer.context else []


def test_search__word__finds_pages_actions_and_objects(searching: Client) -> None:
    titles = _titles(searching, "job")

    assert "Jobs" in titles
    assert any(title.startswith("job-") for title in titles)
    assert "Add API key" in _titles(searching, "api key")


def test_search__what_one_may_not_see__is_not_found() -> None:
    ROWS["core.job"](1)
    client = signed_in(person(permissions=("core.view_conditionrecord",)))

    assert _titles(client, "job") == []
    assert client.get("/admin/search/").content == b""


def test_search__permission_taken_away__is_gone_with_the_next_key(searching: Client) -> None:
    user = person("kim", permissions=("core.view_job", "core.change_job"))
    client = signed_in(user)
    assert _titles(client, "job-")
    user.user_permissions.clear()

    assert _titles(client, "job-") == []


def test_footer_and_badge__say_version_and_environment(settings: Any) -> None:
    page = _home(person(permissions=("core.view_job",)))

    assert f"Agent Factory {settings.VERSION}" in page
    assert "Development" in page
