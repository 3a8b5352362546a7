"""Exact money on the database under test: sums, comparisons, order, uniqueness, and what must be refused."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, models, transaction
from django.db.models import F, Sum
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.money import (
    LIMIT,
    QUANTUM,
    MoneyAdd,
    MoneyError,
    MoneyField,
    MoneySum,
    money,
    multiply,
    round_to_minor_units,
    to_text,
)

amounts = st.decimals(
    min_value=-LIMIT + 1, max_value=LIMIT - 1, places=12, allow_nan=False, allow_infinity=False
) | st.integers(-(10**25), 10**25).map(lambda units: Decimal(units).scaleb(-12))


class Amount(models.Model):
    """A table of this test alone."""

    value = MoneyField(unique=True)
    other = MoneyField(null=True)
    objects: ClassVar[models.Manager[Amount]] = models.Manager()

    class Meta:
        app_label = "core"
        managed = False
        db_table = "test_amount"


@pytest.fixture
def table(db: None) -> None:
    # Within the test's transaction, which takes the table with it at the end.
    kind = MoneyField().db_type(connection)
    field = Amount._meta.get_field("value")
    check = field.db_check(connection)
    rule = f"CHECK ({check})" if check else ""
    key = "integer PRIMARY KEY AUTOINCREMENT" if connection.vendor == "sqlite" else "bigserial PRIMARY KEY"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE test_amount (id {key}, value {kind} NOT NULL UNIQUE {rule}, other {kind})")


def save(*values: str) -> None:
    Amount.objects.bulk_create([Amount(value=Decimal(value)) for value in values])


@pytest.mark.parametrize(
    "value", [0.1, "NaN", "Infinity", "-Infinity", "abc", "", "1e26", "0.0000000000001", "1e999999"]
)
def test_money__not_an_exact_amount__is_refused(value: object) -> None:
    with pytest.raises(MoneyError):
        money(value)  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize(
    ("value", "text"), [("0.0042", "0.0042"), ("100", "100"), ("-0", "0"), ("1E+3", "1000"), ("1.500", "1.5")]
)
def test_to_text__any_amount__is_short_and_without_exponent(value: str, text: str) -> None:
    assert to_text(money(value)) == text


def test_round_to_minor_units__a_tie__goes_to_the_even_neighbour() -> None:
    assert round_to_minor_units(Decimal("2.345"), 2) == Decimal("2.34")
    assert round_to_minor_units(Decimal("2.355"), 2) == Decimal("2.36")
    assert round_to_minor_units(Decimal("1234.5"), 0) == Decimal("1234")


@given(amounts)
def test_to_text__back_again__is_the_same_amount(amount: Decimal) -> None:
    assert money(to_text(amount)) == amount


@given(st.integers(0, 10**12), st.integers(0, 10**9))
def test_multiply__tokens_by_price_per_million__loses_nothing(tokens: int, micro_price: int) -> None:
    # A price has six decimals per million tokens: twelve decimals per token.
    price = Decimal(micro_price).scaleb(-12)

    assert multiply(Decimal(tokens), price) == Decimal(tokens * micro_price).scaleb(-12)


def test_sum__ten_times_a_tenth__is_one(table: None) -> None:
    save(*(f"0.1{'0' * 9}{number:02d}" for number in range(10)))

    total = Amount.objects.aggregate(total=MoneySum("value"))["total"]

    assert total == Decimal("1.000000000045")


def test_sum__no_rows__is_exact_zero(table: None) -> None:
    assert Amount.objects.aggregate(total=MoneySum("value"))["total"] == Decimal("0.000000000000")


def test_sum__widest_amounts_with_smallest__keeps_every_digit(table: None) -> None:
    save("9999999999999999999999999.999999999999", "0.000000000001", "-9999999999999999999999999.000000000000")

    assert Amount.objects.aggregate(total=MoneySum("value"))["total"] == Decimal("1.000000000000")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(values=st.lists(amounts.filter(lambda value: abs(value) < 10**20), min_size=1, max_size=12))
def test_sum__any_amounts__equals_the_sum_in_integers(db: None, values: list[Decimal]) -> None:
    exactly = sum(int(format(value, ".12f").replace(".", "")) for value in values)
    row = "SELECT %s AS value" if connection.vendor == "sqlite" else "SELECT %s::numeric(38, 12) AS value"
    function = "money_sum" if connection.vendor == "sqlite" else "sum"

    with connection.cursor() as cursor:
        rows = " UNION ALL ".join([row] * len(values))
        cursor.execute(f"SELECT {function}(value) FROM ({rows}) AS amounts", [format(v, ".12f") for v in values])
        [total] = cursor.fetchone()

    assert int(format(Decimal(total), ".12f").replace(".", "")) == exactly


def test_order__amounts_of_different_length_and_sign__is_by_value(table: None) -> None:
    save("10", "9", "-1", "-10", "0.5", "100.000000000001", "100")

    ordered = [to_text(value) for value in Amount.objects.order_by("value").values_list("value", flat=True)]

    assert ordered == ["-10", "-1", "0.5", "9", "10", "100", "100.000000000001"]


def test_comparison__a_tenth_and_two_tenths__are_at_most_three_tenths(table: None) -> None:
    save("0.1", "0.3", "9")

    limited = Amount.objects.filter(value__lte=MoneyAdd("value", Decimal("0")), value__lt=Decimal("0.300000000001"))
    Amount.objects.filter(value=Decimal("0.1")).update(other=MoneyAdd("value", Decimal("0.2")))

    assert limited.count() == 2
    assert Amount.objects.filter(other__lte=Decimal("0.3")).count() == 1
    assert Amount.objects.get(value=Decimal("0.1")).other == Decimal("0.3")


def test_comparison__ten_and_nine__is_not_of_text(table: None) -> None:
    save("10", "9")

    assert Amount.objects.get(value__gt=Decimal("9.5")).value == Decimal("10")
    assert Amount.objects.get(value__in=[Decimal("9.0")]).value == Decimal("9")


def test_unique__the_same_amount_written_otherwise__is_refused(table: None) -> None:
    save("1.5")

    with pytest.raises(IntegrityError), transaction.atomic():
        save("1.500")
    assert Amount.objects.count() == 1


def test_update__add_to_a_field__keeps_all_twelve_digits(table: None) -> None:
    save("123456789012345678.123456789012")

    Amount.objects.update(value=MoneyAdd("value", QUANTUM))

    assert Amount.objects.get().value == Decimal("123456789012345678.123456789013")


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL adds exactly")
def test_update__plain_addition_on_sqlite__is_refused_by_the_database(table: None) -> None:
    save("0.1")

    with pytest.raises(IntegrityError), transaction.atomic():
        Amount.objects.update(value=F("value") + Decimal("0.2"))
    assert Amount.objects.get().value == Decimal("0.1")


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL sums exactly")
def test_sum__plain_sum_on_sqlite__is_refused_when_it_is_read(table: None) -> None:
    save("0.1", "0.2")

    with pytest.raises((TypeError, MoneyError)):
        Amount.objects.aggregate(total=Sum("value"))


def test_field__more_than_twelve_decimals__is_refused_and_nothing_is_written(table: None) -> None:
    with pytest.raises(MoneyError), transaction.atomic():
        save("0.1234567890123")
    with pytest.raises(ValidationError):
        MoneyField().clean("0.1234567890123", None)
    assert Amount.objects.count() == 0
