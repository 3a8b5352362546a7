"""The passes: how each went is kept, who stops is missed, and one command runs them all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from alerts import sweeps, tasks
from alerts.models import Alert, AlertRule, SweepState
from alerts.services import watching
from core.outbound import Answer, Unreachable
from core.ports.schedules import schedules

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def instead(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[datetime]]:
    """Return how to put a pass of the test's own in the place of one, or of all."""

    def put(name: str = "", *, items: int = 0, error: Exception | None = None) -> list[datetime]:
        calls: list[datetime] = []

        def run(now: datetime) -> int:
            calls.append(now)
            if error is not None:
                raise error
            return items if len(calls) == 1 else 0

        wanted = {name} if name else set(sweeps.SWEEPS)
        kept = sweeps.Sweep.function
        monkeypatch.setattr(sweeps.Sweep, "function", lambda self: run if self.name in wanted else kept(self))
        return calls

    return put


def _fresh(now: datetime) -> None:
    SweepState.objects.update(finished_at=now, created_at=now)


def test_pass__ran__keeps_when_and_what_it_did(instead: Any, now: datetime) -> None:
    instead("route", items=7)

    assert sweeps.run("route", now) == 7

    state = SweepState.objects.get(name="route")
    assert (state.started_at, state.items, state.failures, state.error) == (now, 7, 0, "")


def test_pass__raises__keeps_why_and_counts_until_it_works_again(instead: Any, now: datetime) -> None:
    instead("route", error=RuntimeError("the pump is dry"))
    for _ in range(2):
        with pytest.raises(RuntimeError):
            sweeps.run("route", now)

    state = SweepState.objects.get(name="route")
    assert (state.failures, state.error, state.finished_at) == (2, "RuntimeError: the pump is dry", None)

    instead("route")
    sweeps.run("route", now + MINUTE)
    state.refresh_from_db()
    assert (state.failures, state.error) == (0, "")


def test_pass__finds_nothing_to_do__writes_its_sign_of_life_every_ten_seconds_only(instead: Any, now: datetime) -> None:
    instead("deliver")

    seen = []
    for seconds in (0, 2, 4, 10, 12):
        sweeps.run("deliver", now + timedelta(seconds=seconds))
        seen.append(SweepState.objects.get(name="deliver").started_at)

    assert [(at - now).seconds for at in seen if at] == [0, 0, 0, 10, 10]


def test_every_pass__has_a_function_a_task_and_a_schedule() -> None:
    for sweep in sweeps.SWEEPS.values():
        assert callable(sweep.function())
    for schedule in schedules:
        if schedule.name.startswith("alerts."):
            assert callable(getattr(tasks, schedule.task.rpartition(".")[2]))


def test_watch__a_pass_has_stopped__raises_an_alert_that_ends_when_it_runs_again(now: datetime) -> None:
    _fresh(now)
    SweepState.objects.filter(name="evaluate_rules").update(finished_at=now - 2 * MINUTE, error="boom")

    watching.run(now)

    alert = Alert.objects.get()
    assert (alert.name, alert.labels["sweep"], alert.severity) == ("SweepStalled", "evaluate_rules", "high")
    _fresh(now + MINUTE)
    watching.run(now + MINUTE)
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_watch__a_pass_never_ran__is_missed_too(now: datetime) -> None:
    _fresh(now)
    SweepState.objects.filter(name="deliver").update(finished_at=None, created_at=now - 2 * MINUTE)

    watching.run(now)

    assert Alert.objects.get().labels["sweep"] == "deliver"


def test_watch__a_rule_cannot_look_for_a_quarter_of_an_hour__raises_an_alert(now: datetime) -> None:
    _fresh(now)
    AlertRule.objects.filter(slug="watchdog").update(error_since=now - 15 * MINUTE, last_error="m: dry")

    watching.run(now)

    alert = Alert.objects.get()
    assert (alert.name, alert.labels["rule"]) == ("RuleCannotBeEvaluated", "watchdog")


@pytest.mark.parametrize(
    ("minutes", "status"), [(0.5, "ok"), (1.2, "warning"), (10, "failed")], ids=["fresh", "late", "stopped"]
)
def test_health__age_of_a_pass__is_ok_a_warning_or_failed(minutes: float, status: str) -> None:
    now = timezone.now()
    _fresh(now)
    SweepState.objects.filter(name="evaluate_rules").update(finished_at=now - minutes * MINUTE)

    assert watching.check_sweeps().status == status


def test_deadman__every_pass_is_on_time__is_called(now: datetime, settings: Any, monkeypatch: Any) -> None:
    settings.ALERTS_DEADMAN_URL = "https://watch.example/ping"
    called: list[tuple[str, str]] = []

    def request(method: str, url: str, **_: Any) -> Answer:
        called.append((method, url))
        return Answer(200, {}, b"", 1)

    monkeypatch.setattr("core.outbound.request", request)
    _fresh(now)
    watching.run(now)
    SweepState.objects.filter(name="deliver").update(finished_at=now - 5 * MINUTE)
    watching.run(now)

    assert called == [("GET", "https://watch.example/ping")]


def test_deadman__does_not_answer__stops_nothing(now: datetime, settings: Any, monkeypatch: Any) -> None:
    settings.ALERTS_DEADMAN_URL = "https://watch.example/ping"

    def request(*_: Any, **__: Any) -> Answer:
        raise Unreachable("nobody there")

    monkeypatch.setattr("core.outbound.request", request)
    _fresh(now)

    assert watching.run(now) == len(sweeps.SWEEPS)


def test_command__all_passes__runs_each_once_and_ends_well(instead: Any) -> None:
    calls = instead(items=3)
    out = StringIO()

    call_command("sweep", stdout=out)

    assert len(calls) == len(sweeps.SWEEPS)
    assert "evaluate_rules: 3 in" in out.getvalue()


def test_command__until_done__goes_on_until_nothing_is_left(instead: Any) -> None:
    calls = instead("route", items=3)

    call_command("sweep", "--only", "route", "--until-done", verbosity=0)

    assert len(calls) == 2


def test_command__a_pass_fails__runs_the_others_and_ends_with_1(instead: Any) -> None:
    instead()
    instead("route", error=RuntimeError("the pump is dry"))
    errors = StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("sweep", "--only", "route", "--only", "expire", stderr=errors, verbosity=0)

    assert (ended.value.code, "the pump is dry" in errors.getvalue()) == (1, True)
    assert SweepState.objects.get(name="expire").finished_at is not None


def test_command__unknown_pass__names_the_known_ones() -> None:
    with pytest.raises(CommandError, match="evaluate_rules"):
        call_command("sweep", "--only", "sweeping")


def test_passes_of_the_embedded_mode__one_tick__runs_what_is_due_and_lets_no_failure_stop_the_others(
    instead: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "_begun", {})
    calls = instead(items=1)
    instead("expire", error=RuntimeError("the pump is dry"))

    first, second = sweeps.run_due(now), sweeps.run_due(now)

    assert (first, second, len(calls)) == (1, 0, len(sweeps.SWEEPS) - 1)
    assert SweepState.objects.get(name="expire").failures == 1
