"""`manage.py doctor` and `manage.py apikey`, as they are typed."""

from __future__ import annotations

import io
import json
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from core import schedules
from core.apikeys import KEY_PATTERN
from core.models import ApiKey, AuditEntry, Pulse
from core.tests.processes import environment, manage

SCOPE = "costs:write"


def diagnoses() -> dict[str, dict[str, str]]:
    out = io.StringIO()
    call_command("doctor", "--json", stdout=out)
    return {item["name"]: item for item in json.loads(out.getvalue())}


@pytest.mark.django_db(transaction=True)
def test_doctor__everything_in_order__says_ok_for_each() -> None:
    schedules.sync(now=timezone.now())
    Pulse.objects.create(name="worker", at=timezone.now())

    found = diagnoses()

    names = {"python", "packages", "configuration", "broker", "database", "migrations", "worker", "schedules", "clock"}
    assert names <= set(found)
    assert {name: found[name]["detail"] for name in names if found[name]["verdict"] != "OK"} == {}


@pytest.mark.django_db(transaction=True)
def test_doctor__no_worker_for_long__warns_and_names_the_cure() -> None:
    Pulse.objects.create(name="worker", at=timezone.now() - timedelta(hours=3))

    found = diagnoses()["worker"]

    assert (found["verdict"], found["detail"]) == ("WARN", "no worker has been at work for 3 h")
    assert "celery -A config worker" in found["cure"]


@pytest.mark.django_db(transaction=True)
def test_doctor__schedules_never_synced__warns_and_names_the_cure() -> None:
    assert diagnoses()["schedules"]["cure"] == "run manage.py sync_schedules"


@pytest.mark.django_db(transaction=True)
def test_doctor__secrets_open_to_others__warns(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    (settings.DATA_DIR / "secrets").mkdir(parents=True, mode=0o700)
    settings.DATA_DIR.chmod(0o700)
    (settings.DATA_DIR / "secrets" / "secret_key").touch(mode=0o644)

    found = diagnoses()["secrets"]

    assert found["verdict"] == "WARN"
    assert found["cure"].startswith("chmod go-rwx ")


@pytest.mark.processes
def test_doctor__stores_gone_and_value_wrong__reports_all_and_ends_with_1(tmp_path: Path) -> None:
    stores = {"DATABASE_URL": "postgres://af@127.0.0.1:1/af", "REDIS_URL": "redis://127.0.0.1:1", "PORT": "abc"}

    done = manage("doctor", env=environment(tmp_path / "data", **stores))

    failed = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("FAIL")}
    assert done.returncode == 1
    assert failed == {"configuration", "broker", "database"}
    assert "Traceback" not in done.stderr


@pytest.mark.django_db
def test_apikey_create__bound_and_expiring__prints_the_key_and_nothing_else() -> None:
    out, err = io.StringIO(), io.StringIO()

    call_command(
        "apikey", "create", "agents", "--scope", SCOPE, "--entity", "agent:my-agent", "--expires-days", "30",
        stdout=out, stderr=err,
    )  # fmt: skip

    key = ApiKey.objects.get()
    assert KEY_PATTERN.fullmatch(out.getvalue().strip())
    assert key.prefix in err.getvalue()
    assert (key.name, key.scopes, key.entity_type, key.entity_id) == ("agents", [SCOPE], "agent", "my-agent")
    assert key.expires_at is not None
    assert key.expires_at - key.created_at == timedelta(days=30)
    assert AuditEntry.objects.get(action="api_key.created").channel == "command"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--scope", "everything"], "everything"),
        (["--scope", SCOPE, "--entity", "agent"], "TYPE:ID"),
        (["--scope", SCOPE, "--expires-days", "0"], "in the past"),
    ],
)
def test_apikey_create__what_makes_no_sense__is_refused_and_no_key_is_made(arguments: list[str], reason: str) -> None:
    out = io.StringIO()

    with pytest.raises(CommandError, match=re.escape(reason)):
        call_command("apikey", "create", "agents", *arguments, stdout=out, stderr=io.StringIO())

    assert out.getvalue() == ""
    assert not ApiKey.objects.exists()


@pytest.mark.django_db
def test_apikey__rotated_and_revoked__is_shown_by_list() -> None:
    quiet = {"stdout": io.StringIO(), "stderr": io.StringIO()}
    call_command("apikey", "create", "agents", "--scope", SCOPE, **quiet)
    old = ApiKey.objects.get()
    call_command("apikey", "rotate", old.prefix, **quiet)
    call_command("apikey", "revoke", old.prefix, "--reason", "leaked", **quiet)
    out = io.StringIO()

    call_command("apikey", "list", stdout=out)

    states = {line.split("\t")[0]: line.split("\t")[1] for line in out.getvalue().splitlines()}
    new = ApiKey.objects.exclude(pk=old.pk).get()
    assert states == {old.prefix: "revoked", new.prefix: "active"}
    assert new.family == old.family


@pytest.mark.django_db
def test_apikey__unknown_prefix__is_refused(now: datetime) -> None:
    with pytest.raises(CommandError, match="there is no API key af_nothing"):
        call_command("apikey", "revoke", "af_nothing", "--reason", "x")
