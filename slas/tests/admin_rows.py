"""Rows of the slas app for the tests that open every list and every object of the admin; one module per part."""

from __future__ import annotations

from collections.abc import Callable

from slas.tests import rows_capacity, rows_contracts, rows_objectives

Rows = Callable[[int], None]

ROWS: dict[str, Rows] = {
    **rows_objectives.ROWS,
    **rows_contracts.ROWS,
    **rows_capacity.ROWS,
}
