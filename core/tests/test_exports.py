"""Files of rows: exact, safe in spreadsheets, constant in memory."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from core.exports import as_text, csv_lines, guarded, write_xlsx

BERLIN_SUMMER = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (Decimal("0.000000000001"), "0.000000000001"),
        (Decimal("-1234567890.123456789012"), "-1234567890.123456789012"),
        (Decimal("1E+3"), "1000"),
        (-7, "-7"),
        (date(2026, 3, 1), "2026-03-01"),
        (datetime(2026, 7, 1, 2, 0, tzinfo=BERLIN_SUMMER), "2026-07-01T00:00:00+00:00"),
        ({"b": 1, "a": "x"}, '{"a": "x", "b": 1}'),
        ("plain", "plain"),
    ],
)
def test_as_text__value__keeps_every_digit(value: object, cell: str) -> None:
    assert as_text(value) == cell


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_guarded__text_a_spreadsheet_would_run__gets_an_apostrophe(start: str) -> None:
    assert guarded(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"
    assert guarded(f"a{start}") == f"a{start}"


def test_csv_lines__comma_quote_newline_and_formula__survive_a_reader() -> None:
    import csv

    row = ["a,b", 'say "x"', "two\nlines", "=1+1", Decimal("-5")]

    lines = "".join(csv_lines(["one", "two", "three", "four", "-five"], [row]))

    read = list(csv.reader(io.StringIO(lines.removeprefix("\ufeff"))))
    assert read[0] == ["one", "two", "three", "four", "'-five"]
    assert read[1] == ["a,b", 'say "x"', "two\nlines", "'=1+1", "-5"]


def test_csv_lines__many_rows__take_no_more_memory_than_few() -> None:
    def peak(rows: int) -> int:
        tracemalloc.start()
        for _ in csv_lines(["a", "b"], ((number, "x" * 100) for number in range(rows))):
            pass
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(10)
    few, many = peak(100), peak(20_000)

    assert many < few + 50_000


def _sheet(file: bytes, number: int = 1) -> str:
    return zipfile.ZipFile(io.BytesIO(file)).read(f"xl/worksheets/sheet{number}.xml").decode()


def test_write_xlsx__amounts__are_numbers_where_exact_and_text_where_not() -> None:
    file = io.BytesIO()

    count = write_xlsx(file, ["amount"], [[Decimal("0.05")], [Decimal("1234567890.123456789012")]], title="Costs")

    sheet = _sheet(file.getvalue())
    assert count == 2
    assert '<c r="A2"><v>0.05</v></c>' in sheet
    assert "1234567890.123456789012" in sheet
    assert '<c r="A3" t="inlineStr">' in sheet


def test_write_xlsx__formula_and_link__stay_text() -> None:
    file = io.BytesIO()

    write_xlsx(file, ["text"], [["=HYPERLINK(1)"], ["https://example.org"]])

    sheet = _sheet(file.getvalue())
    assert "<f>" not in sheet
    assert "hyperlink" not in sheet
    assert "&#39;=HYPERLINK(1)" in sheet or "'=HYPERLINK(1)" in sheet


def test_write_xlsx__more_rows_than_a_sheet_holds__go_on_in_the_next() -> None:
    file = io.BytesIO()

    count = write_xlsx(file, ["n"], ([number] for number in range(5)), rows_per_sheet=2)

    assert count == 5
    assert '<c r="A2"><v>4</v></c>' in _sheet(file.getvalue(), 3)
    assert '<c r="A3">' not in _sheet(file.getvalue(), 3)


def test_write_xlsx__no_rows__has_a_sheet_with_headings() -> None:
    file = io.BytesIO()

    assert write_xlsx(file, ["n"], [], title="a[b]:c/*?" + "x" * 40) == 0
    assert "<t>n</t>" in _sheet(file.getvalue())


def test_as_text__naive_and_utc_times__are_iso() -> None:
    assert as_text(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00+00:00"
