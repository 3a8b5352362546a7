"""Budgets in the admin: added, raised, paused and read; every act through its service, with a reason."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.models import AuditEntry
from core.tests.people import administrator, person, signed_in
from costs.models import Budget, BudgetRevision, Entity, Reservation
from costs.services.budgets import budget_status
from costs.tests.budgeting import AGENT, budget, hold, spend

LIST = "/admin/costs/budget/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return signed_in(administrator())


@pytest.fixture
def spent() -> Budget:
    """A hard budget of 10 of which 6 are spent and 3 set aside."""
    now = timezone.now()
    made = budget(now, "10")
    spend(now, "6")
    hold(now, "3")
    return made


def _act(client: Client, made: Budget, action: str, **values: Any) -> Any:
    return client.post(f"{LIST}{made.pk}/{action}/", {"_form_submitted": "on", **values})


def test_list__shows_used_remaining_and_state(client: Client, spent: Budget) -> None:
    page = client.get(LIST).content.decode()

    for words in ("6.00 of 10.00 USD", "60.0%", "1.00 USD, 3.00 set aside", "Within"):
        assert words in page


def test_page__shows_figures_burn_down_spenders_and_decisions(client: Client, spent: Budget) -> None:
    context = client.get(f"{LIST}{spent.pk}/change/").context

    figures = {figure.label: figure.value for figure in context["budget_figures"]}
    assert (figures["Spent"], figures["Set aside"], figures["Remaining"]) == ("6.00 USD", "3.00 USD", "1.00 USD")
    series = {
        series.label: [value for value in series.values if value is not None]
        for series in context["budget_chart"].series
    }
    assert series["Spent"][-1] == 6.0
    assert set(series["Limit"]) == {10.0}
    spenders, thresholds, decisions, periods = context["budget_tables"]
    assert [cells[:2] for cells, _ in spenders.rows] == [["agent:writer", "6.00 USD"]]
    assert [cells[0] for cells, _ in thresholds.rows] == ["80% of actual", "100% of actual"]
    assert [cells[1] for cells, _ in decisions.rows] == ["10.00 USD"]
    assert [cells[3] for cells, _ in periods.rows] == ["60.0%"]


def test_page__figure_of_spent__leads_to_exactly_what_was_counted(client: Client, spent: Budget) -> None:
    spend(timezone.now(), "5", entity=("agent", "somebody-else"))
    figure = client.get(f"{LIST}{spent.pk}/change/").context["budget_figures"][0]

    rows = client.get(figure.link).context["cl"].result_list

    assert [row.amount for row in rows] == [Decimal(6)]


def test_add__valid__is_made_by_the_service_and_counts_what_was_spent(client: Client) -> None:
    spend(timezone.now(), "4")
    entity = Entity.objects.get(entity_type=AGENT[0], entity_id=AGENT[1])

    answer = client.post(f"{LIST}add/", _form(entity=entity.pk, mode="hard"))

    made = Budget.objects.get()
    assert answer.status_code == 302
    status = budget_status(made, timezone.now())
    assert (status.limit, status.spent, status.alert_threshold) == (Decimal("12.5"), Decimal(4), Decimal("0.75"))
    assert made.owner is not None
    assert AuditEntry.objects.get(action="budget.created").actor_label == "root"


def _form(**values: Any) -> dict[str, Any]:
    usual = {
        "name": "Writers", "amount": "12.5", "currency": "USD", "period": "monthly", "anchor": "1", "time_zone": "UTC",
        "mode": "soft", "alert_percent": "75", "forecast_percent": "", "provider": "", "model": "", "cost_type": "",
        "entity": "",
    }  # fmt: skip
    return usual | values


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"amount": "-1"}, "amount"),
        ({"amount": "1.0000000000001"}, "amount"),
        ({"name": ""}, "name"),
        ({"anchor": "40"}, "anchor"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"currency": "EUR"}, "currency"),
        ({"alert_percent": "0"}, "alert_percent"),
        ({"period": "weekly", "anchor": "9"}, "anchor"),
    ],
)
def test_add__senseless__says_it_at_the_field_and_makes_nothing(
    client: Client, values: dict[str, str], field: str
) -> None:
    answer = client.post(f"{LIST}add/", _form(**values))

    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors
    assert not Budget.objects.exists()


def test_raise__for_good__is_in_force_at_once(client: Client, spent: Budget) -> None:
    _act(client, spent, "raise", amount="25", reason="more work")

    assert budget_status(spent, timezone.now()).limit == Decimal(25)
    entry = AuditEntry.objects.get(action="budget.raised")
    assert (entry.reason, entry.actor_label, entry.after["amount"]) == ("more work", "root", "25")


def test_raise__until_a_moment__ends_by_itself(client: Client, spent: Budget) -> None:
    until = timezone.localtime() + timedelta(hours=2)

    _act(client, spent, "raise", amount="25", reason="peak", until=until.strftime("%Y-%m-%dT%H:%M"))

    assert budget_status(spent, timezone.now()).limit == Decimal(25)
    assert budget_status(spent, timezone.now() + timedelta(hours=3)).limit == Decimal(10)


@pytest.mark.parametrize(
    "values",
    [{"amount": "25"}, {"amount": "-5", "reason": "x"}, {"reason": "x"},
     {"amount": "5", "reason": "lower for a while", "until": "2099-01-01T00:00"},
     {"amount": "25", "reason": "x", "until": "2020-01-01T00:00"}],
)  # fmt: skip
def test_raise__senseless__says_why_and_changes_nothing(client: Client, spent: Budget, values: dict[str, str]) -> None:
    answer = _act(client, spent, "raise", **values)

    assert answer.status_code == 200
    assert BudgetRevision.objects.count() == 1


def test_raise__by_get__asks_and_changes_nothing(client: Client, spent: Budget) -> None:
    answer = client.get(f"{LIST}{spent.pk}/raise/", headers={"HX-Request": "true"})

    assert "Now 10.00 USD, of which 6.00 is spent and 3.00 set aside." in answer.content.decode()
    assert BudgetRevision.objects.count() == 1


def test_mode__changed__counts_on_and_says_what_it_does(client: Client, spent: Budget) -> None:
    dialog = client.get(f"{LIST}{spent.pk}/mode/").content.decode()
    _act(client, spent, "mode", mode="monitor", reason="only watch")

    spent.refresh_from_db()
    assert "Today a hard limit would leave 1.00 USD of 10.00 USD." in dialog
    assert spent.mode == "monitor"
    assert budget_status(spent, timezone.now()).spent == Decimal(6)
    assert AuditEntry.objects.get(action="budget.changed").reason == "only watch"


def test_pause_and_resume__one_and_many__report_what_changed(client: Client, spent: Budget) -> None:
    other = budget(timezone.now(), "5", name="Other")
    _act(client, spent, "pause", reason="holidays")
    selected = {"action": "pause", "_selected_action": [str(spent.pk), str(other.pk)], "_form_submitted": "on",
                "reason": "all of them"}  # fmt: skip

    answer = client.post(LIST, selected, follow=True)

    assert not Budget.objects.filter(active=True).exists()
    assert [str(message) for message in answer.context["messages"]][-1].startswith("1 budget(s) paused")
    _act(client, spent, "resume", reason="back")
    assert list(Budget.objects.filter(active=True)) == [spent]
    assert AuditEntry.objects.filter(action="budget.paused").count() == 2


def test_archive__keeps_its_page_and_takes_its_actions_away(client: Client, spent: Budget) -> None:
    _act(client, spent, "archive", reason="over")

    assert client.get(LIST).context["cl"].result_count == 0
    assert client.get(f"{LIST}?state=archived").context["cl"].result_count == 1
    page = client.get(f"{LIST}{spent.pk}/change/")
    assert page.status_code == 200
    assert b'name="_save"' not in page.content
    assert _act(client, spent, "raise", amount="99", reason="x").status_code == 403


def test_change_form__other_scope__is_counted_anew(client: Client, spent: Budget) -> None:
    spend(timezone.now(), "2", entity=("agent", "other"))
    other = Entity.objects.get(entity_id="other")
    form = {"name": "Renamed", "entity": other.pk, "cost_type": "", "provider": "", "model": "", "owner": ""}

    client.post(f"{LIST}{spent.pk}/change/", form)

    spent.refresh_from_db()
    assert (spent.name, spent.entity) == ("Renamed", other)
    assert budget_status(spent, timezone.now()).spent == Decimal(2)


@pytest.mark.parametrize("role", ["finance_viewer", "auditor"])
@pytest.mark.parametrize("action", ["raise", "mode", "pause", "archive"])
def test_actions__by_a_reader__are_refused_and_not_offered(spent: Budget, role: str, action: str) -> None:
    client = signed_in(person(roles=(role,)))

    answer = _act(client, spent, action, amount="99", mode="monitor", reason="x")

    assert answer.status_code == 403
    assert "Raise or lower" not in client.get(f"{LIST}{spent.pk}/change/").content.decode()
    assert BudgetRevision.objects.count() == 1
    spent.refresh_from_db()
    assert (spent.mode, spent.active, spent.archived_at) == ("hard", True, None)


def test_release__pending_reservation__gives_the_money_back_with_the_reason(client: Client, spent: Budget) -> None:
    reservation = Reservation.objects.get()

    client.post(
        f"/admin/costs/reservation/{reservation.pk}/release/", {"_form_submitted": "on", "reason": "agent is gone"}
    )

    reservation.refresh_from_db()
    assert reservation.status == "released"
    assert budget_status(spent, timezone.now()).reserved == 0
    entry = AuditEntry.objects.get(action="reservation.released")
    assert (entry.reason, entry.actor_label, entry.before["amount"]) == ("agent is gone", "root", "3")


def test_release__twice__is_not_offered_any_more(client: Client, spent: Budget) -> None:
    reservation = Reservation.objects.get()
    address = f"/admin/costs/reservation/{reservation.pk}/release/"
    client.post(address, {"_form_submitted": "on", "reason": "x"})

    assert client.post(address, {"_form_submitted": "on", "reason": "x"}).status_code == 403
    assert budget_status(spent, timezone.now()).reserved == 0
