"""Ports: what is registered is found once, and nothing is added or swapped while requests are served."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core import ports
from core.ports import PortError, Registry
from core.ports.health import health_checks
from core.ports.schedules import Schedule, schedules


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry[str]:
    monkeypatch.setattr(ports, "_registries", [])
    return Registry("letters", key=lambda item: item[0])


def test_registry__registered__is_found_in_order(registry: Registry[str]) -> None:
    registry.register("beta")
    registry.register("alpha")

    assert list(registry) == ["beta", "alpha"]
    assert registry.get("a") == "alpha"
    assert ("a" in registry, "c" in registry, len(registry)) == (True, False, 2)


def test_registry__the_same_name_twice__is_refused_and_the_first_stays(registry: Registry[str]) -> None:
    registry.register("alpha")

    with pytest.raises(PortError, match="registered twice"):
        registry.register("another")
    assert list(registry) == ["alpha"]


def test_registry__closed__takes_nothing_more(registry: Registry[str]) -> None:
    ports.close_all()

    with pytest.raises(PortError, match="after start-up"):
        registry.register("alpha")
    assert len(registry) == 0


def test_registry__unknown_name__says_what_is_known(registry: Registry[str]) -> None:
    registry.register("alpha")

    with pytest.raises(PortError, match=r"nobody offers 'z' \(known: a\)"):
        registry.get("z")


def test_ports__running_product__are_closed() -> None:
    with pytest.raises(PortError, match="after start-up"):
        health_checks.register(next(iter(health_checks)))
    with pytest.raises(PortError, match="after start-up"):
        schedules.register(next(iter(schedules)))


@pytest.mark.parametrize("timing", [{}, {"every": timedelta(minutes=1), "crontab": "0 3 * * *"}])
def test_schedule__neither_or_both_timings__is_refused(timing: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="either"):
        Schedule("name", "task", "why", **timing)  # type: ignore[arg-type]  # that is the point
