"""Exchange rates: which one counts on a date, what is refused, and what is converted late."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Conflict, Invalid
from core.models import AuditEntry
from costs.models import CostEvent, Currency, EntityDayRollup, FxRate
from costs.services import currencies
from costs.services.corrections import convert_pending
from costs.services.fx import rate_on, record_rate
from costs.services.ingest import record_cost, record_costs
from costs.tests.ledger_case import AT, SENDER, event_of, item

pytestmark = pytest.mark.django_db

DAY = AT.date()


def test_currencies__after_migration__have_their_minor_units() -> None:
    units = dict(Currency.objects.filter(code__in=["USD", "JPY", "KWD"]).values_list("code", "minor_units"))

    assert units == {"USD": 2, "JPY": 0, "KWD": 3}


def test_currencies__changed_by_an_operator__stay_changed() -> None:
    Currency.objects.filter(code="EUR").update(name="Euro (ECB)")

    currencies.ensure_currencies()

    assert Currency.objects.get(code="EUR").name == "Euro (ECB)"


def test_rate__latest_on_or_before_the_date__counts(now: datetime) -> None:
    for days, rate in ((10, "1.10"), (2, "1.20"), (-1, "1.30")):
        FxRate.objects.create(
            base="EUR",
            quote="USD",
            rate=Decimal(rate),
            as_of_date=DAY - timedelta(days=days),
            source="t",
            recorded_at=now,
        )

    assert [_rate(DAY + timedelta(days=offset)) for offset in (-11, -10, -3, -2, 0, 1)] == [
        None, Decimal("1.10"), Decimal("1.10"), Decimal("1.20"), Decimal("1.20"), Decimal("1.30")
    ]  # fmt: skip


def test_rate__given_the_other_way_round__divides_exactly(now: datetime) -> None:
    _record(now, base="USD", quote="EUR", rate="0.8")

    quote = rate_on("EUR", "USD", DAY)

    assert quote is not None
    assert quote.convert(Decimal("1")) == Decimal("1.25")
    # 1/3 has no end: rounded once, half to even, at the twelfth decimal
    _record(now, base="USD", quote="GBP", rate="3")
    third = rate_on("GBP", "USD", DAY)
    assert third is not None
    assert third.convert(Decimal("2")) == Decimal("0.666666666667")


def test_rate__only_through_a_common_currency__multiplies(now: datetime) -> None:
    _record(now, base="EUR", quote="USD", rate="1.25")
    _record(now, base="EUR", quote="GBP", rate="0.5")

    quote = rate_on("GBP", "USD", DAY)

    assert quote is not None
    assert quote.convert(Decimal("10")) == Decimal("25")


def test_rate__later_row_of_the_same_date__supersedes(now: datetime) -> None:
    _record(now, rate="1.1", source="first")
    _record(now, rate="1.2", source="second")

    assert _rate(DAY) == Decimal("1.2")


def test_record_rate__again_with_the_same_value__changes_nothing(now: datetime) -> None:
    first = _record(now)

    assert _record(now) == first
    assert FxRate.objects.count() == 1
    assert AuditEntry.objects.filter(action="fx_rate.recorded").count() == 1


def test_record_rate__again_with_another_value__is_a_conflict(now: datetime) -> None:
    _record(now)

    with pytest.raises(Conflict, match="name another source"):
        _record(now, rate="1.3")
    assert FxRate.objects.get().rate == Decimal("1.25")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"rate": "0"}, "out_of_range"),
        ({"rate": "-1"}, "out_of_range"),
        ({"rate": "NaN"}, "out_of_range"),
        ({"rate": "1e12"}, "out_of_range"),
        ({"rate": "0.0000000000001"}, "max_decimals"),
        ({"base": "XXX"}, "unknown_currency"),
        ({"base": "USD"}, "same_currency"),
        ({"as_of_date": date(2026, 3, 19)}, "future"),
        ({"source": " "}, "length"),
    ],
)
def test_record_rate__senseless__is_refused(values: dict[str, Any], code: str, now: datetime) -> None:
    with pytest.raises(Invalid) as refusal:
        _record(now, **values)

    assert [error.code for error in refusal.value.errors] == [code]
    assert not FxRate.objects.exists()


def test_record_cost__in_another_currency__freezes_the_rate_of_its_day(now: datetime) -> None:
    rate = _record(now)

    verdict = record_cost(item(1, amount=Decimal("0.000000000003"), currency="EUR"), sender=SENDER, now=now)

    event = event_of(verdict)
    # 3 × 1.25 = 3.75 units of 10^-12, half-even
    assert (event.amount, event.base_amount) == (Decimal("0.000000000003"), Decimal("0.000000000004"))
    assert event.fx_rate == rate


def test_record_cost__no_rate_known__is_kept_unconverted_and_converted_once_later(now: datetime) -> None:
    # given a cost in a currency without a rate
    record_cost(item(1, amount=Decimal("8"), currency="EUR"), sender=SENDER, now=now)
    event = CostEvent.objects.get()
    assert (event.base_amount, event.unconverted_count) == (None, 1)
    assert convert_pending(now=now) == 0

    # when the rate of its day arrives
    _record(now)
    assert [convert_pending(now=now), convert_pending(now=now)] == [1, 0]

    # then the base amount is another event, and the question is closed
    assert CostEvent.objects.total() == Decimal("10")
    assert sum(CostEvent.objects.values_list("unconverted_count", flat=True)) == 0
    added = CostEvent.objects.exclude(id=event.id).get()
    assert (added.event_class, added.adjusts, added.amount, added.event_count) == ("adjustment", event.id, 0, 0)


def test_convert_pending__many_events__converts_all_in_the_rollups_too(now: datetime) -> None:
    record_costs([item(n, amount=Decimal(n), currency="EUR") for n in range(1, 5)], sender=SENDER, now=now)
    _record(now)

    assert convert_pending(now=now) == 4

    rows = EntityDayRollup.objects.all()
    if rows:  # PostgreSQL folds what is committed, and this test never commits
        assert rows.total() == Decimal("12.5")
        assert sum(rows.values_list("unconverted_count", flat=True)) == 0
    assert CostEvent.objects.total() == Decimal("12.5")


def _rate(on: date) -> Decimal | None:
    quote = rate_on("EUR", "USD", on)
    return None if quote is None else quote.convert(Decimal(1))


def _record(now: datetime, **values: Any) -> FxRate:
    usual: dict[str, Any] = {"base": "EUR", "quote": "USD", "rate": "1.25", "as_of_date": DAY, "source": "test"}
    usual |= values
    return record_rate(**(usual | {"rate": Decimal(usual["rate"])}), now=now)
