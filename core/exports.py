"""Files of rows: CSV as a stream and XLSX in constant memory, exact, with nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

from core.money import to_text

# Spreadsheets run a cell that begins with one of these as a formula (OWASP, "CSV Injection").
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
XLSX_ROWS_PER_SHEET = 1_048_575
XLSX_CELL_LIMIT = 32_767
_UTC = ZoneInfo("UTC")


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, text: str) -> str:
        """Return the line instead of keeping it."""
        return text


def guarded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: an apostrophe is put before a dangerous first character."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def as_text(value: object) -> str:
    """Return one cell of a CSV file: decimals with all their digits, instants in UTC as ISO 8601, text guarded."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return to_text(value)
    if isinstance(value, date):
        return _iso(value)
    if isinstance(value, dict | list):
        return guarded(json.dumps(value, ensure_ascii=False, default=str, sort_keys=True))
    return str(value) if isinstance(value, int | float) else guarded(str(value))


def _iso(value: date) -> str:
    in_utc = isinstance(value, datetime) and value.tzinfo is not None
    return value.astimezone(_UTC).isoformat() if in_utc else value.isoformat()  # type: ignore[attr-defined]  # a datetime


def csv_lines(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Yield a CSV file line by line, so that a million rows need no more memory than one."""
    # Excel takes a file for UTF-8 by this mark only; other programs skip it.
    writer = csv.writer(_Echo())
    yield "\ufeff" + writer.writerow([guarded(heading) for heading in headings])
    for row in rows:
        yield writer.writerow([as_text(value) for value in row])


def _is_exact_in_binary(value: Decimal) -> bool:
    return Decimal(repr(float(value))) == value


def _write_cell(sheet: Any, row: int, column: int, value: object) -> None:
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int) and abs(value) < 10**15:
        sheet.write_number(row, column, value)
    elif isinstance(value, Decimal) and _is_exact_in_binary(value):
        sheet.write_number(row, column, float(value))
    elif value is not None:
        # An amount that a spreadsheet's 15 digits would change stays text, with every digit.
        sheet.write_string(row, column, as_text(value)[:XLSX_CELL_LIMIT])


def write_xlsx(
    target: Path | BinaryIO,
    headings: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str = "Export",
    rows_per_sheet: int = XLSX_ROWS_PER_SHEET,
) -> int:
    """Write a workbook in constant memory and return its number of rows; more sheets when one is full."""
    import xlsxwriter  # only who exports pays for it

    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    count = 0
    with xlsxwriter.Workbook(str(target) if isinstance(target, Path) else target, options) as book:
        bold = book.add_format({"bold": True})
        sheet = None
        for row in rows:
            line = count % rows_per_sheet
            if line == 0:
                sheet = _new_sheet(book, title, headings, bold, count // rows_per_sheet)
            for column, value in enumerate(row):
                _write_cell(sheet, line + 1, column, value)
            count += 1
        if sheet is None:
            _new_sheet(book, title, headings, bold, 0)
    return count


def _new_sheet(book: Any, title: str, headings: Sequence[str], bold: Any, number: int) -> Any:
    # The name of a sheet has at most 31 characters, none of them []:*?/\.
    clean = "".join(character for character in title if character not in "[]:*?/\\")[:26] or "Export"
    sheet = book.add_worksheet(clean if number == 0 else f"{clean} {number + 1}")
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, list(headings), bold)
    return sheet
