"""The pages of objectives: forms go through services, pages explain their numbers, a second person lifts a freeze."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core import approvals
from core.models import Approval, AuditEntry
from core.tests.people import administrator, person, signed_in
from slas import buckets
from slas.buckets import Aggregate
from slas.models import BudgetPolicy, Exclusion, PolicyStepFiring, Service, Sli, Slo, SloRevision
from slas.objective_panels import objectives_panel
from slas.services import policies
from slas.services.evaluating import evaluate
from slas.tests.objectives import service, sli, slo
from slas.tests.rows_objectives import policy

pytestmark = pytest.mark.django_db
PLAIN = {"description": "", "config": "{}", "alerting": "{}"}


def burning(**changes: Any) -> Slo:
    now = timezone.now()
    indicator = sli()
    buckets.record_events(indicator, [Aggregate(now - timedelta(minutes=2), 90, 100)], now=now)
    made = slo(indicator, **changes)
    evaluate(now)
    return made


def test_forms__of_service_indicator_and_objective__make_them_with_an_audit_entry_each() -> None:
    client = signed_in(administrator())
    client.post("/admin/slas/service/add/", {"slug": "a", "name": "A", "tier": 1, "labels": "{}", "description": ""})
    made = Service.objects.get()
    given = {"service": made.pk, "slug": "speed", "name": "Speed", "kind": "latency", "source": "push",
             "operator": "lte", "threshold": "800", "unit": "ms", "lateness_seconds": 172800, **PLAIN}  # fmt: skip
    client.post("/admin/slas/sli/add/?kind=latency", given)
    indicator = Sli.objects.get()
    given = {"service": made.pk, "sli": indicator.pk, "slug": "speed", "name": "Speed", "target": "0.95",
             "window": "rolling", "window_days": 28, "time_zone": "Europe/Paris", "budgeting": "occurrences",
             **PLAIN}  # fmt: skip

    client.post("/admin/slas/slo/add/", given)

    assert Slo.objects.get().target == Decimal("0.95")
    assert SloRevision.objects.get().created_by == "root"
    actions = AuditEntry.objects.filter(action__contains="created").values_list("action", flat=True)
    assert {"service.created", "sli.created", "slo.created"} <= set(actions)


def test_form__of_an_objective_with_mistakes__says_them_at_their_fields() -> None:
    indicator = sli()
    given = {"service": indicator.service_id, "sli": indicator.pk, "slug": "x", "name": "X", "target": "1.5",
             "window": "calendar", "window_days": 28, "time_zone": "Mars", "budgeting": "timeslices",
             **PLAIN}  # fmt: skip

    page = signed_in(administrator()).post("/admin/slas/slo/add/", given).content.decode()

    for text in ("a share above 0 and below 1", "no time zone such as", "has no slices to budget in"):
        assert text in page
    assert not Slo.objects.exists()


def test_page__of_an_objective__explains_its_number_and_links_to_the_rows() -> None:
    objective = burning()
    client = signed_in(administrator())

    page = client.get(f"/admin/slas/slo/{objective.pk}/change/").content.decode()

    assert "Of 100 events between" in page
    assert "90 were good: 90 %" in page
    assert "10,000 % of that error budget is used and -9,900 % is left" in page
    assert f"/admin/slas/sli-rows/{objective.sli_id}/?from=" in page
    assert client.get(f"/admin/slas/slo/{slo().pk}/change/").content.decode().count("that is not 100 %") == 1


def test_board__of_many_objectives__makes_as_many_queries_as_of_one() -> None:
    client = signed_in(administrator())
    burning()
    client.get("/admin/slas/board/")
    with CaptureQueriesContext(connection) as one:
        assert client.get("/admin/slas/board/").status_code == 200
    for _ in range(5):
        burning()

    with CaptureQueriesContext(connection) as many:
        page = client.get("/admin/slas/board/?state=exhausted").content.decode()

    assert len(many) == len(one)
    assert page.count("slas-card ") == 6


def test_board__without_the_permission__is_forbidden() -> None:
    assert signed_in(person("eve", roles=("finance",))).get("/admin/slas/board/").status_code == 403


def test_rows__of_a_window__show_what_was_measured() -> None:
    objective = burning()
    now = int(timezone.now().timestamp())
    client = signed_in(administrator())

    page = client.get(f"/admin/slas/sli-rows/{objective.sli_id}/?from={now - 3600}&to={now}").content.decode()

    assert "90 good of 100 events" in page
    assert client.get(f"/admin/slas/sli-rows/{objective.sli_id}/?from=x&to=1").status_code == 404


def test_policy__with_steps__is_made_by_its_form() -> None:
    given = {"slug": "p", "name": "P", "description": "", "steps-TOTAL_FORMS": 1, "steps-INITIAL_FORMS": 0,
             "steps-0-consumed_from": "1", "steps-0-action": "freeze", "steps-0-message": "Only fixes"}  # fmt: skip

    signed_in(administrator()).post("/admin/slas/budgetpolicy/add/", given)

    assert BudgetPolicy.objects.get().steps.values_list("consumed_from", "action").get() == (Decimal(1), "freeze")


def test_freeze__lifted_by_a_second_person__lets_changes_through_for_its_hours(run_on_commit: Any) -> None:
    burning(policy=policy(("1", "freeze")))
    firing = PolicyStepFiring.objects.get()
    asks = person("maria", permissions=("slas.view_slo", "slas.view_policystepfiring"))
    otto = person("otto", permissions=("slas.view_slo", "slas.change_slo", "core.view_approval"))
    client = signed_in(asks)

    client.post(
        f"/admin/slas/policystepfiring/{firing.pk}/lift/",
        {"_form_submitted": "on", "hours": 4, "reason": "security fix"},
    )

    now = timezone.now()
    assert policies.freezes(now=now).count() == 1
    request = Approval.objects.get(kind=policies.LIFT)
    with run_on_commit():
        approvals.approve(request.pk, by=otto, now=now, reason="go", digest=request.digest)
    approvals.carry_out(request.pk, clock=timezone.now)
    assert policies.freezes(now=now).count() == 0
    assert policies.freezes(now=now + timedelta(hours=5)).count() == 1


def test_exclusion__of_the_past__made_by_its_form__waits() -> None:
    now = timezone.localtime().replace(second=0, microsecond=0)
    given = {"starts_at": f"{now - timedelta(hours=3):%Y-%m-%dT%H:%M}", "ends_at": f"{now:%Y-%m-%dT%H:%M}",
             "category": "planned", "applies_to": "both", "reason": "Move", "recurrence": "",
             "time_zone": ""}  # fmt: skip

    page = signed_in(administrator()).post("/admin/slas/exclusion/add/", given, follow=True).content.decode()

    assert "waits for somebody else" in page
    assert Exclusion.objects.get().approved_by == ""


def test_service__ready_objectives__are_added_from_its_page() -> None:
    one = service()

    signed_in(administrator()).post(
        f"/admin/slas/service/{one.pk}/templates/", {"_form_submitted": "on", "templates": ["task_success", "latency"]}
    )  # fmt: skip

    assert set(Slo.objects.values_list("slug", flat=True)) == {"task-success", "latency"}


def test_panel__of_the_home_page__counts_states_and_names_the_worst() -> None:
    assert list(objectives_panel(timezone.now())) == []
    objective = burning()

    figures = list(objectives_panel(timezone.now()))

    assert [getattr(item, "value", "") for item in figures[:3]] == ["1", "0", "1"]
    assert str(objective) in str(figures[-1])
