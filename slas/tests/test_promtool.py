"""The same outages through Prometheus' own rule engine: its minutes are ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

PROMTOOL = shutil.which("promtool")
LONG_AND_SHORT = (("1h", "5m", "14.4"), ("6h", "30m", "6"))
DAYS_BEFORE = 1
BEGIN = DAYS_BEFORE * 24 * 60


def rules() -> dict[str, object]:
    """Return the page of an objective of 99.9 %: two pairs of windows, either of which is enough."""
    ratio = "(increase(bad_total[{w}]) / increase(all_total[{w}]))"
    pairs = [
        f"({ratio.format(w=long)} > {factor} * 0.001 and {ratio.format(w=short)} > {factor} * 0.001)"
        for long, short, factor in LONG_AND_SHORT
    ]
    rule = {"alert": "Burning", "expr": " or ".join(pairs), "labels": {"severity": "page"}}
    return {"groups": [{"name": "slo", "interval": "1m", "rules": [rule]}]}


def case(bad: int, minutes: int) -> dict[str, object]:
    """Return a test: a day of good traffic, then `bad` of 1,000 a minute; nothing before the minute, a page in it."""
    series = [
        {"series": "all_total", "values": f"0+1000x{BEGIN + minutes + 2}"},
        {"series": "bad_total", "values": f"0+0x{BEGIN} {bad}+{bad}x{minutes + 2}"},
    ]
    alert = {"exp_labels": {"severity": "page"}}
    asked = [
        {"eval_time": f"{BEGIN + minutes - 1}m", "alertname": "Burning", "exp_alerts": []},
        {"eval_time": f"{BEGIN + minutes}m", "alertname": "Burning", "exp_alerts": [alert]},
    ]
    return {"interval": "1m", "input_series": series, "alert_rule_test": asked}


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian package prometheus) is missing")
@pytest.mark.parametrize(("bad", "minutes"), [(1000, 1), (500, 2), (100, 9), (50, 18), (15, 58)])
def test_promtool__of_an_outage__pages_in_the_minute_of_our_evaluator(bad: int, minutes: int, tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(json.dumps(rules()))
    test = {"rule_files": ["rules.yml"], "evaluation_interval": "1m", "tests": [case(bad, minutes)]}
    (tmp_path / "test.yml").write_text(json.dumps(test))

    command = [str(PROMTOOL), "test", "rules", "test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
