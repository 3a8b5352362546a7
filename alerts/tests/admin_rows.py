"""Rows of the alerts app for the tests that open every list and every object of the admin; one module per part."""

from __future__ import annotations

from collections.abc import Callable

from alerts.tests import rows_delivery, rows_guard, rows_incidents, rows_routing, rows_rules

Rows = Callable[[int], None]

ROWS: dict[str, Rows] = {
    **rows_incidents.ROWS,
    **rows_delivery.ROWS,
    **rows_guard.ROWS,
    **rows_routing.ROWS,
    **rows_rules.ROWS,
}
