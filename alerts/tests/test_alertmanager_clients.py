"""The real clients of Alertmanager against this server: amtool, and a Prometheus that fires and resolves."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from alerts.choices import AlertState
from alerts.models import Alert, Silence
from core.tests.api import new_key
from core.tests.processes import wait_for

PREFIX = "/api/v1/alerts/am"
AMTOOL, PROMETHEUS = shutil.which("amtool"), shutil.which("prometheus")
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.processes]
needs_amtool = pytest.mark.skipif(AMTOOL is None, reason="amtool is not installed")
needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed")
Amtool = Callable[..., str]


@pytest.fixture
def credentials() -> str:
    return new_key("alerts:read", "alerts:write").secret


@pytest.fixture
def amtool(live_server: Any, tmp_path: Path, credentials: str) -> Amtool:
    config = tmp_path / "http.yml"
    config.write_text(json.dumps({"authorization": {"type": "Bearer", "credentials": credentials}}))

    def run(*arguments: str, status: int = 0) -> str:
        command = [str(AMTOOL), f"--alertmanager.url={live_server.url}{PREFIX}", f"--http.config.file={config}"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@needs_amtool
def test_amtool__adds_an_alert__stored_and_found_by_matchers(amtool: Amtool) -> None:
    # given
    amtool("alert", "add", "alertname=DiskFull", "severity=critical", "host=é1", "--annotation=summary=it is full")
    amtool("alert", "add", "Other", "severity=info")
    # when
    found = json.loads(amtool("alert", "query", "-o", "json", "severity=~crit.*"))
    # then
    assert [alert["labels"]["host"] for alert in found] == ["é1"]
    assert found[0]["annotations"] == {"summary": "it is full"}
    assert found[0]["receivers"] == [{"name": "operations-urgent"}]
    assert found[0]["status"] == {"inhibitedBy": [], "silencedBy": [], "state": "active"}
    stored = Alert.objects.get(name="DiskFull")
    assert (stored.state, stored.severity) == (AlertState.FIRING, "critical")
    assert stored.fingerprint == found[0]["fingerprint"]


@needs_amtool
def test_amtool__silence_added_updated_expired__hides_only_meanwhile(amtool: Amtool) -> None:
    # given
    amtool("alert", "add", "DiskFull", "host=a")
    # when
    key = amtool("silence", "add", "alertname=DiskFull", "--comment=maintenance", "--author=maria").strip()
    hidden = json.loads(amtool("alert", "query", "-o", "json", "--silenced"))
    shown = json.loads(amtool("alert", "query", "-o", "json", "--active"))
    amtool("silence", "update", key, "--duration=2h", "--comment=longer")
    amtool("silence", "expire", key)
    # then
    assert [alert["status"]["silencedBy"] for alert in hidden] == [[key]]
    assert shown == []
    silence = Silence.objects.get(pk=key)
    assert (silence.comment, silence.created_by) == ("longer", "maria")
    assert silence.expired_at is not None
    assert [row["id"] for row in json.loads(amtool("silence", "query", "-o", "json", "--expired"))] == [key]
    assert json.loads(amtool("silence", "query", "-o", "json")) == []


@needs_amtool
def test_amtool__shows_and_tests_the_configuration__accepts_it(amtool: Amtool, tmp_path: Path) -> None:
    # given
    shown = amtool("config", "show")
    file = tmp_path / "alertmanager.yml"
    # when
    file.write_text(shown)
    checked = amtool("check-config", str(file))
    routed = amtool("config", "routes", "test", "severity=critical", "alertname=X")
    # then
    assert "SUCCESS" in checked
    assert routed.split() == ["operations-urgent"]


@needs_amtool
def test_amtool__silence_of_everything__refused_with_the_reason(amtool: Amtool) -> None:
    # when
    said = amtool("silence", "add", "alertname=~.*", "--comment=x", "--author=y", status=1)
    # then
    assert "this would hide everything" in said
    assert not Silence.objects.exists()


@pytest.fixture
def prometheus(live_server: Any, tmp_path: Path, credentials: str) -> Iterator[float]:
    """Run a Prometheus whose one rule fires for the next seconds; yields the instant at which it stops."""
    port, until = _free_port(), time.time() + 10
    (tmp_path / "rules.yml").write_text(_yaml({"groups": [{"name": "g", "rules": [_rule(until)]}]}))
    target = urlsplit(live_server.url).netloc
    manager = {
        "path_prefix": PREFIX,
        "api_version": "v2",
        "authorization": {"credentials": credentials},
        "static_configs": [{"targets": [target]}],
    }
    itself = {"job_name": "self", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    (tmp_path / "prometheus.yml").write_text(
        _yaml(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": ["rules.yml"],
                "scrape_configs": [itself],
                "alerting": {"alertmanagers": [manager]},
            }
        )
    )
    process = subprocess.Popen(
        [
            str(PROMETHEUS), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
            f"--web.listen-address=127.0.0.1:{port}", "--rules.alert.resend-delay=1s",
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    yield until
    process.send_signal(signal.SIGTERM)
    process.wait(30)


@needs_prometheus
def test_prometheus__rule_fires_and_resolves__one_alert_opened_and_ended(prometheus: float) -> None:
    # when
    wait_for(lambda: Alert.objects.filter(name="SelfUp", state=AlertState.FIRING).exists(), 40)
    wait_for(lambda: Alert.objects.filter(name="SelfUp", state=AlertState.RESOLVED).exists(), 60)
    # then
    alert = Alert.objects.get()
    assert alert.labels["job"] == "self"
    assert alert.annotations == {"summary": "self is up"}
    assert "/graph?g0.expr=" in alert.generator_url
    assert [event.kind for event in alert.events.order_by("seq")] == ["firing", "resolved"]
    assert alert.resolved_at is not None
    assert alert.resolved_at.timestamp() == pytest.approx(prometheus, abs=5)


def _rule(until: float) -> dict[str, Any]:
    return {
        "alert": "SelfUp",
        "expr": f"up == 1 and on() (vector(time()) < {until})",
        "labels": {"severity": "warning"},
        "annotations": {"summary": "{{ $labels.job }} is up"},
    }


def _yaml(document: dict[str, Any]) -> str:
    # JSON is YAML.
    return json.dumps(document)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
