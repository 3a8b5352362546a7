"""What contracts credit: unrounded comparison, caps, rounding once, and which exclusions a contract lets count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from core.windows import Window
from slas.credits import Allowed, ContractTerms, Occurrence, Tier, allowed, availability, credit, credit_percent, shown

TIERS = (Tier(Decimal("99.9"), Decimal(10)), Tier(Decimal(99), Decimal(25)), Tier(Decimal(95), Decimal(50)))
BEGIN = datetime(2026, 3, 10, 8, 0, tzinfo=UTC)
ALL = Decimal(100)


@pytest.mark.parametrize(
    ("good", "total", "percent"),
    [
        (99_895, 100_000, "10"),
        (99_900, 100_000, "0"),
        (998_999_999, 1_000_000_000, "10"),
        (999_000_000, 1_000_000_000, "0"),
        (99_000, 100_000, "10"),
        (98_999, 100_000, "25"),
        (95_000, 100_000, "25"),
        (94_999, 100_000, "50"),
        (0, 100_000, "50"),
        (0, 0, "0"),
    ],
)
def test_credit_percent__at_the_edges_of_tiers__compares_what_was_not_rounded(
    good: int, total: int, percent: str
) -> None:
    assert credit_percent(good, total, TIERS, ALL) == Decimal(percent)


def test_credit_percent__over_the_cap__is_the_cap() -> None:
    assert credit_percent(0, 10, TIERS, Decimal(30)) == 30


def test_shown__99_895__never_reads_as_99_90() -> None:
    assert shown(availability(99_895, 100_000), 2) == "99.89 %"
    assert shown(availability(99_895, 100_000)) == "99.895 %"
    assert shown(Fraction(998_999_999, 10_000_000), 2) == "99.89 %"
    assert shown(None) == "no data"


@pytest.mark.parametrize(
    ("fee", "percent", "currency", "expected"),
    [
        ("1000", "10", "USD", "100.00"),
        ("0.25", "10", "USD", "0.02"),
        ("0.35", "10", "USD", "0.04"),
        ("0.45", "10", "USD", "0.04"),
        ("1005", "10", "JPY", "100"),
        ("1015", "10", "JPY", "102"),
        ("1.2345", "50", "KWD", "0.617"),
        ("1234.565", "33.3333", "EUR", "411.52"),
    ],
)
def test_credit__of_a_fee__is_rounded_once_half_even_to_minor_units(
    fee: str, percent: str, currency: str, expected: str
) -> None:
    assert credit(Decimal(fee), Decimal(percent), currency) == Decimal(expected)


def _occurrence(start: int, end: int, *, notice: float | None = 100, **values: object) -> Occurrence:
    span = Window(BEGIN + timedelta(minutes=start), BEGIN + timedelta(minutes=end))
    announced = None if notice is None else span.start - timedelta(hours=notice)
    usual = {"exclusion": f"x{start}", "reason": "", "category": "planned", "announced_at": announced}
    return Occurrence(span=span, **(usual | values))  # type: ignore[arg-type]  # a test's shorthand


def _minutes(found: list[Allowed]) -> list[int]:
    return [sum(int(part.length.total_seconds()) // 60 for part in item.counted) for item in found]


def test_allowed__too_little_notice__does_not_count_and_says_why() -> None:
    found = allowed([_occurrence(0, 30, notice=71.9), _occurrence(60, 90, notice=72)], ContractTerms(tiers=TIERS))

    assert _minutes(found) == [0, 30]
    assert [item.why for item in found] == ["announced 71 hours ahead; the contract asks for 72", ""]


def test_allowed__never_announced_or_not_approved__does_not_count() -> None:
    found = allowed([_occurrence(0, 30, notice=None), _occurrence(60, 90, approved=False)], ContractTerms(tiers=TIERS))

    assert _minutes(found) == [0, 0]
    assert found[0].why == "it was never announced; the contract asks for 72 hours of notice"
    assert found[1].why == "nobody has approved it"


def test_allowed__caused_by_the_customer__needs_no_notice() -> None:
    found = allowed([_occurrence(0, 30, notice=None, category="customer")], ContractTerms(tiers=TIERS))

    assert _minutes(found) == [30]


def test_allowed__overlapping__counts_no_minute_twice() -> None:
    found = allowed([_occurrence(0, 30), _occurrence(10, 40), _occurrence(15, 20)], ContractTerms(tiers=TIERS))

    assert _minutes(found) == [30, 10, 0]
    assert found[2].why == "another exclusion covers these minutes already"


def test_allowed__past_the_most_minutes__counts_the_first_ones() -> None:
    terms = ContractTerms(tiers=TIERS, max_excluded_minutes=40)

    found = allowed([_occurrence(0, 30), _occurrence(60, 90), _occurrence(120, 130)], terms)

    assert _minutes(found) == [30, 10, 0]
    assert [bool(item.why) for item in found] == [False, True, True]
    assert found[1].why == "more than the 40 minutes that may be excluded per period"


def test_terms__written_and_read__are_the_same() -> None:
    terms = ContractTerms(tiers=TIERS, fee=Decimal("1000.50"), max_excluded_minutes=5, fee_labels={"a": "b"})

    assert ContractTerms.from_json(terms.to_json()) == terms
