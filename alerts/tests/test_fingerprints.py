"""Fingerprints against those that Alertmanager 0.25 gave the same label sets."""

from __future__ import annotations

import pytest

from alerts.fingerprints import fingerprint

GIVEN = {
    "d258efc389808447": {"alertname": "a"},
    "787b4da09ceab6e1": {
        "severity": "critical", "alertname": "InstanceDown", "instance": "10.0.0.1:9100", "job": "node",
    },
    "27104f7dfda39793": {"alertname": "x", "A": "upper"},
    "c515f0f9d1ba1aba": {"alertname": "long", "v": "x" * 500},
}  # fmt: skip


@pytest.mark.parametrize(("expected", "labels"), GIVEN.items())
def test_fingerprint__label_set__as_alertmanager(expected: str, labels: dict[str, str]) -> None:
    assert fingerprint(labels) == expected


def test_fingerprint__values_swapped_between_names__another() -> None:
    assert fingerprint({"a": "x", "b": "y"}) != fingerprint({"a": "y", "b": "x"})
    assert fingerprint({"a": "xb"}) != fingerprint({"ax": "b"})
