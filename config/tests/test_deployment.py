"""What is shipped beside the code agrees with the code: compose, dashboard, guide, and the scripts of the gate."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from prometheus_client import REGISTRY

from core import metrics_export
from scripts.audit import judge, pinned

ROOT: Path = settings.BASE_DIR


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_compose__its_variables__are_ones_that_the_settings_read() -> None:
    for name, service in compose()["services"].items():
        if name in {"postgresql", "redis"}:
            continue
        variables = {variable.removesuffix("_FILE") for variable in service["environment"]}
        assert variables <= settings.CONFIGURATION_NAMES


def test_compose__each_service__has_a_health_check_or_says_that_it_has_none() -> None:
    services = compose()["services"]

    assert set(services) == {"postgresql", "redis", "prepare", "web", "worker", "beat"}
    in_image = "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
    assert all("healthcheck" in service or in_image for service in services.values())
    waits_for = {service["depends_on"]["prepare"]["condition"] for name, service in services.items() if name == "web"}
    assert waits_for == {"service_completed_successfully"}


def test_compose__secrets__are_files_and_never_values() -> None:
    document = compose()

    assert set(document["secrets"]) == {"secret_key", "encryption_keys", "postgres_password", "redis_password"}
    for service in document["services"].values():
        given = service.get("environment", {})
        assert not [name for name in given if re.search(r"SECRET|PASSWORD", name) and not name.endswith("_FILE")]


def test_dockerfile__base_and_user__are_pinned_and_unprivileged() -> None:
    text = (ROOT / "Dockerfile").read_text()

    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.12.12-slim-bookworm"}
    assert re.search(r"^USER af$", text, re.MULTILINE)
    assert "--require-hashes" in text


def test_dashboard__every_series__is_one_we_export() -> None:
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    expressions = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    used = set(re.findall(r"\b((?:http|agent_factory)_\w+)", expressions))

    known = {sample.name for family in REGISTRY.collect() for sample in family.samples}
    for family in (metrics_export.requests_total, metrics_export.request_seconds):
        known |= {
            f"{metric.name}{end}" for metric in family.collect() for end in ("_total", "_bucket", "_sum", "_count")
        }
    known |= {metric.name for metric in metrics_export.GaugeCollector().collect() if "failed" in metric.name}
    assert used
    assert used <= known


def test_operations_guide__every_check_of_the_configuration__is_explained() -> None:
    guide = (ROOT / "docs" / "operations.md").read_text()
    code = "".join(
        (ROOT / path).read_text() for path in ("core/checks.py", "config/settings.py", "config/environment.py")
    )

    ids = set(re.findall(r"\bcore\.([EW]0\d\d)", code))
    assert ids
    assert [number for number in sorted(ids) if number not in guide] == []


REPORT = {
    "dependencies": [{"name": "Django", "version": "5.2.19", "vulns": []}, {"name": "x_y", "version": "1", "vulns": []}]
}


def test_pinned__requirements__are_counted_as_this_system_needs_them() -> None:
    lines = ["django==5.2.19 \\", "    --hash=sha256:00", "    # via -r", "x-y==1 ; python_version < '4'"]
    text = "\n".join([*lines, "z==1 ; python_version < '3'"])

    assert pinned(text) == {"django", "x-y"}


def test_audit__every_package_looked_up_and_sound__finds_nothing() -> None:
    assert judge("r.txt", {"django", "x-y"}, REPORT) == []


@pytest.mark.parametrize(
    ("wanted", "report", "problem"),
    [
        ({"django", "x-y", "z"}, REPORT, "r.txt: z was not looked up"),
        ({"django"}, REPORT, "r.txt: 2 packages were looked up instead of 1"),
        ({"django"}, {"dependencies": []}, "r.txt: none of the 1 packages could be looked up"),
        ({"django"}, {"dependencies": [{"name": "django", "skip_reason": "no answer"}]}, "for example: no answer"),
        (
            {"django"},
            {"dependencies": [{"name": "django", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]},
            "r.txt: django 1 has CVE-1, fixed in 2",
        ),
    ],
)
def test_audit__skipped_uncounted_or_vulnerable__is_a_problem(
    wanted: set[str], report: dict[str, Any], problem: str
) -> None:
    assert problem in "\n".join(judge("r.txt", wanted, report))
