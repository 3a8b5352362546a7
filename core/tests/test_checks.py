"""Every wrong or dangerous configuration has an id and a cure, and stops every way of starting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import run_checks

from core import checks, starting
from core.tests.processes import environment, manage

GOOD_SECRET = "k7Jd0-qPzX3nLr8mV2tYwB5cHs9GfA1eUo4iRxTz6NyMpQvWbD"  # pragma: allowlist secret
PRODUCTION = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": GOOD_SECRET,
    "ENCRYPTION_KEYS": GOOD_SECRET[::-1],
    "ALLOWED_HOSTS": "af.example.com",
    "DATABASE_URL": "postgres://af@127.0.0.1:1/af",
    "REDIS_URL": "redis://127.0.0.1:1",
    "BEHIND_TLS_PROXY": "true",
    "DJANGO_SETTINGS_MODULE": "config.settings",
}


def found(*, tags: tuple[str, ...] = (checks.CONFIGURATION,)) -> set[str]:
    return {str(message.id) for message in run_checks(tags=list(tags))}


def test_configuration__as_tested__has_nothing_wrong() -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"SECRET_KEY": "not-set"}, "core.E002"),
        ({"SECRET_KEY": "short"}, "core.E003"),
        ({"SECRET_KEY": "a" * 60}, "core.E003"),
        ({"SECRET_KEY": f"django-insecure-{GOOD_SECRET}"}, "core.E003"),
        ({"DEBUG": True}, "core.E004"),
        ({"ALLOWED_HOSTS": []}, "core.E005"),
        ({"ALLOWED_HOSTS": ["*"]}, "core.E006"),
        ({"DATABASE_URL": ""}, "core.E007"),
        ({"DATABASE_URL": "sqlite:////srv/af.sqlite3"}, "core.W001"),
        ({"REDIS_URL": ""}, "core.W002"),
        ({"BEHIND_TLS_PROXY": False}, "core.W003"),
    ],
)
@pytest.mark.parametrize("where", ["staging", "production"])
def test_configuration__dangerous_when_deployed__is_found_there_only(
    settings: Any, where: str, values: dict[str, object], expected: str
) -> None:
    sound = {
        "SECRET_KEY": GOOD_SECRET, "DEBUG": False, "ALLOWED_HOSTS": ["af.example.com"], "BEHIND_TLS_PROXY": True,
        "DATABASE_URL": "postgres://af@db/af", "REDIS_URL": "redis://r", "SECURE_SSL_REDIRECT": True,
    }  # fmt: skip
    for name, value in {**sound, **values}.items():
        setattr(settings, name, value)

    assert found() == set()
    settings.ENVIRONMENT, settings.DEPLOYED = where, True
    assert found() == {expected}


def test_configuration__pool_smaller_than_its_minimum__is_found(settings: Any) -> None:
    settings.DATABASE_POOL_MIN_SIZE, settings.DATABASE_POOL_MAX_SIZE = 9, 4

    assert found() == {"core.E014"}


@pytest.mark.parametrize("keys", [[], ["short"], ["a" * 64], [GOOD_SECRET, "short"]])
def test_configuration__encryption_keys_missing_or_weak__is_found(settings: Any, keys: list[str]) -> None:
    settings.ENCRYPTION_KEYS = keys

    assert found() == {"core.E015"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OUTBOUND_ALLOWED_PRIVATE_CIDRS", ["10.0.0.0/33"]),
        ("OUTBOUND_ALLOWED_PRIVATE_CIDRS", ["intranet"]),
        ("OUTBOUND_ALLOWED_PORTS", ["443", "https"]),
        ("OUTBOUND_ALLOWED_PORTS", ["0"]),
        ("OUTBOUND_ALLOWED_PORTS", ["70000"]),
    ],
)
def test_configuration__what_may_be_reached_unreadable__is_found(settings: Any, name: str, value: list[str]) -> None:
    setattr(settings, name, value)

    assert found() == {"core.E016"}


def test_configuration__data_dir_below_a_file__is_found(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings.DATA_DIR = tmp_path / "file" / "data"

    assert found() == {"core.E009"}


WRONG = {
    "PORT": ("abc", "core.E001  PORT=abc is not a whole number."),
    "WEB_THREADS": ("0", "core.E001  WEB_THREADS=0 is not between 1 and 256."),
    "DEBUG": ("ture", "core.E001  DEBUG=ture is not yes or no."),
    "DATABASE_POOL_TIMEOUT_SECONDS": ("12s", "core.E001  DATABASE_POOL_TIMEOUT_SECONDS=12s is not a number."),
    "ENVIRONMENT": ("prod", "core.E001  ENVIRONMENT=prod is not one of development, staging, production."),
    "LOG_LEVEL": ("LOUD", "core.E001  LOG_LEVEL=LOUD is not one of"),
    "DATABASE_URL": ("mysql://u:hidden@h/d", "core.E001  DATABASE_URL is not the address of a database"),
    "REDIS_URL": ("amqp://u:hidden@h", "core.E001  REDIS_URL is not the address of a Redis server."),
    "SECRET_KEY_FILE": ("/no/such/file", "core.E001  SECRET_KEY_FILE=/no/such/file cannot be read"),
    "ALOWED_HOSTS": ("x", "core.E008  ALOWED_HOSTS is set, but nothing is called that."),
    "BASE_CURRENCY": ("dollars", "core.E010  BASE_CURRENCY=DOLLARS is not a currency code."),
    "ORGANISATION_TIME_ZONE": ("Mars/Base", "core.E011  ORGANISATION_TIME_ZONE=Mars/Base is not a time zone."),
}


@pytest.mark.processes
def test_web_server__wrong_values__all_are_said_at_once_without_a_traceback(tmp_path: Path) -> None:
    values = {name: value for name, (value, _) in WRONG.items()}
    env = environment(tmp_path / "data", **{"DJANGO_SETTINGS_MODULE": "config.settings", **values})

    done = subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
        cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == starting.WSGI_REFUSED
    assert [sentence for _, sentence in WRONG.values() if sentence not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


@pytest.mark.processes
@pytest.mark.parametrize("process", ["worker", "beat"])
def test_celery__wrong_configuration__ends_with_a_message(tmp_path: Path, process: str) -> None:
    env = environment(tmp_path / "data", DJANGO_SETTINGS_MODULE="config.settings", ENVIRONMENT="production")

    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "config", process],
        cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "core.E002  SECRET_KEY is not set in production." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.processes
def test_web_server__database_does_not_answer__names_host_and_hides_the_password(tmp_path: Path) -> None:
    address = "postgres://af:hidden@127.0.0.1:1/af"  # pragma: allowlist secret
    env = environment(tmp_path / "data", DJANGO_SETTINGS_MODULE="config.settings", DATABASE_URL=address)

    done = subprocess.run(
        [sys.executable, "-c", "import config.wsgi"],
        cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == starting.WSGI_REFUSED
    assert "core.E012  The database 127.0.0.1:1/af cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert "hidden" not in done.stderr


def test_broker__does_not_answer__names_host_and_hides_the_password(settings: Any) -> None:
    settings.REDIS_URL = "redis://:hidden@127.0.0.1:1/0"  # pragma: allowlist secret

    problem = checks.unreachable_broker()

    assert problem is not None
    assert problem.id == "core.E013"
    assert "127.0.0.1:1" in problem.msg
    assert "hidden" not in problem.msg


@pytest.mark.django_db
def test_database__answers__nothing_is_found() -> None:
    assert checks.unreachable_database() is None


@pytest.mark.processes
def test_check_deploy__production__is_clean(tmp_path: Path) -> None:
    done = manage("check", "--deploy", "--fail-level", "WARNING", env=environment(tmp_path / "data", **PRODUCTION))

    assert done.returncode == 0, done.stderr
    assert "WARNINGS" not in done.stderr


@pytest.mark.processes
def test_check__database_named_and_gone__is_core_e012(tmp_path: Path) -> None:
    done = manage("check", "--database", "default", env=environment(tmp_path / "data", **PRODUCTION))

    assert done.returncode == 1
    assert "core.E012" in done.stderr
