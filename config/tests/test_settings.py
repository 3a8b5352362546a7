"""Settings: where values come from, what is known by name, what start-up must not load, and that tests are isolated."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from config.environment import Environment, misspelt
from core.tests.processes import environment, manage, shell

KNOWN = frozenset({"DATABASE_URL", "PORT", "HOST", "DATABASE_POOL_MAX_SIZE", "ORGANISATION_NAME", "SECRET_KEY"})


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATABSE_URL", "DATABASE_URL"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("SECRET_KEYS", "SECRET_KEY"),
        ("SECRET_KEY_FIEL", "SECRET_KEY_FILE"),
        ("ORGANIZATION_NAME", "ORGANISATION_NAME"),
        ("DATABASE_POOL_MAXIMUM", "DATABASE_POOL_MAX_SIZE"),
    ],
)
def test_misspelt__a_slip__names_what_was_meant(name: str, meant: str) -> None:
    assert misspelt(KNOWN, [name]) == {name: meant}


@pytest.mark.parametrize("name", ["PATH", "HOSTNAME", "HOSTS", "database_ulr", "POSTGRES_USER", "SSH_AUTH_SOCK"])
def test_misspelt__name_of_another_program__is_left_alone(name: str) -> None:
    assert misspelt(KNOWN, [name]) == {}


def test_misspelt__the_right_name_is_set_as_well__is_left_alone() -> None:
    assert misspelt(KNOWN, ["DATABASE_URL", "DATABASE_URI"]) == {}


def test_environment__value_in_a_file__is_read_without_its_last_line_break(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("$2b$ spaces inside \n")
    monkeypatch.setenv("AF_TEST_SECRET_FILE", str(tmp_path / "secret"))

    assert Environment()("AF_TEST_SECRET", default="") == "$2b$ spaces inside "


def test_environment__empty_value__counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_TEST_NUMBER", "")
    env = Environment()

    assert env.int("AF_TEST_NUMBER", default=7) == 7
    assert env.problems == []


def test_environment__list_with_spaces__is_cut_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_TEST_LIST", " a.example.com, b.example.com,")

    assert Environment().list("AF_TEST_LIST", default=[]) == ["a.example.com", "b.example.com"]


def test_environment__unreadable_number__is_noted_and_the_default_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AF_TEST_NUMBER", "12 apples")
    env = Environment()

    assert env.int("AF_TEST_NUMBER", default=7) == 7
    assert [problem.message for problem in env.problems] == ["AF_TEST_NUMBER=12 apples is not a whole number."]


@pytest.mark.processes
def test_env_file__known_and_unknown_names__are_read_and_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=8123  # a comment\nFAVOURITE_COLOUR=blue\nCOMPOSE_PROJECT_NAME=af\n")
    env = environment(tmp_path / "data", ENV_FILE=str(tmp_path / ".env"), PORT="")

    port = shell("from django.conf import settings; print(settings.PORT)", env)
    done = manage("check", env=env)

    assert port == "8123"
    assert "FAVOURITE_COLOUR is set, but nothing is called that." in done.stderr
    assert "COMPOSE_PROJECT_NAME" not in done.stderr


def test_env_example__its_names__are_exactly_those_the_settings_read() -> None:
    text = (settings.BASE_DIR / ".env.example").read_text()

    assert set(re.findall(r"^# ([A-Z][A-Z_]+)=", text, re.MULTILINE)) == settings.CONFIGURATION_NAMES


@pytest.mark.processes
def test_secret__first_start_in_development__is_made_once_for_this_user_alone(tmp_path: Path) -> None:
    env = environment(tmp_path / "data")
    show = "from django.conf import settings; print(settings.SECRET_KEY)"

    first, second = shell(show, env), shell(show, env)

    file = tmp_path / "data" / "secrets" / "secret_key"
    assert first == second == file.read_text()
    assert len(first) >= 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in file.parent.iterdir()) == ["encryption_keys", "secret_key"]


@pytest.mark.processes
def test_start__application_and_addresses__load_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys; from django.urls import get_resolver; get_resolver().url_patterns; "
        "import core.tasks, costs.tasks; "
        "print(sorted({'scipy', 'numpy', 'matplotlib', 'pandas', 'typst', 'genai_prices'} & set(sys.modules)))"
    )

    assert shell(code, environment(tmp_path / "data", DJANGO_SETTINGS_MODULE="config.settings")) == "[]"


def test_suite__developers_environment__does_not_reach_it() -> None:
    assert settings.ENVIRONMENT == "development"
    assert str(settings.DATA_DIR).startswith(os.environ["DATA_DIR"])
    assert "agent-factory-tests-" in str(settings.DATA_DIR)
    assert settings.BASE_CURRENCY == "USD"


@pytest.mark.postgresql
@pytest.mark.django_db
def test_pool__on_postgresql__is_as_configured_and_ends_forgotten_transactions() -> None:
    pool = connection.pool  # type: ignore[attr-defined]  # of this backend alone

    assert (pool.min_size, pool.max_size, pool.timeout) == (2, 16, 10.0)
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("1min",)


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="settings of SQLite")
def test_sqlite__every_connection__waits_its_turn_and_keeps_its_rules() -> None:
    pragmas = ("journal_mode", "foreign_keys", "recursive_triggers", "synchronous", "busy_timeout")
    with connection.cursor() as cursor:
        found = [cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]

    assert found == ["wal", 1, 1, 1, 30_000]
    assert connection.transaction_mode == "IMMEDIATE"  # type: ignore[attr-defined]  # of this backend alone
