"""Contracts: periods of calendars with clock changes and leap days, exclusions, credits computed once, late data."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Conflict, Invalid
from core.models import AuditEntry
from slas.buckets import Aggregate, record_events
from slas.credits import Tier, availability, shown
from slas.models import SLAContract, Slo
from slas.services.contracts import (
    ContractDraft,
    change_terms,
    close_due,
    create_contract,
    end_contract,
    stricter_warnings,
    terms_of,
)
from slas.tests.contract_case import EARLY, contract, exclude, indicator, minute, only_period, outage, record, terms

pytestmark = pytest.mark.django_db


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _lengths(made: SLAContract) -> list[tuple[str, int]]:
    rows = made.periods.order_by("start")
    return [(f"{row.start:%Y-%m-%dT%H}", int((row.end - row.start).total_seconds()) // 60) for row in rows]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("America/New_York", [("2026-03-01T05", 44_580), ("2026-04-01T04", 43_200)]),
        ("Europe/Paris", [("2026-02-28T23", 44_580), ("2026-03-31T22", 43_200)]),
        ("Asia/Tokyo", [("2026-02-28T15", 44_640), ("2026-03-31T15", 43_200)]),
    ],
)
def test_periods__over_a_change_of_the_clocks__last_what_the_zone_says(
    zone: str, expected: list[tuple[str, int]]
) -> None:
    made = contract(time_zone=zone)

    close_due(now=at("2026-04-15T00:00"))

    assert _lengths(made) == expected


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Australia/Sydney"])
@pytest.mark.parametrize(("year", "minutes"), [(2026, 40_320), (2028, 41_760)])
def test_periods__february__has_its_leap_day(zone: str, year: int, minutes: int) -> None:
    made = contract(time_zone=zone, starts_on=date(year, 2, 1))

    close_due(now=datetime(year, 2, 10, tzinfo=UTC))

    assert [length for _, length in _lengths(made)] == [minutes]


@pytest.mark.parametrize(
    ("zone", "night", "down"),
    [("America/New_York", "2026-03-08T05:00", 1380), ("Europe/Paris", "2026-03-28T23:00", 1380),
     ("Europe/Paris", "2026-10-24T22:00", 1500)],
)  # fmt: skip
def test_downtime__on_the_day_the_clocks_change__is_23_or_25_hours(zone: str, night: str, down: int) -> None:
    sli = indicator()
    day = at(night)
    made = contract(sli, time_zone=zone, period_unit="day", starts_on=(day - timedelta(days=1)).date())
    record(sli, ((day + timedelta(minutes=number), 0, 1) for number in range(-60, 1600)))

    close_due(now=day + timedelta(days=2))

    period = made.periods.get(start=day)
    assert (period.raw_total, period.total - period.good) == (down, down)


def test_month__without_an_exclusion__counts_every_minute_that_was_down() -> None:
    sli = indicator()
    made = contract(sli)
    outage(sli, at("2026-03-10T08:00"), 60)

    close_due(now=at("2026-04-01T01:00"))

    period = only_period(made)
    assert (period.raw_good, period.raw_total, period.good, period.total) == (44_580, 44_640, 44_580, 44_640)
    assert shown(availability(period.good, period.total)) == "99.865591 %"
    assert (period.status, period.credit_percent, period.credit) == ("provisional", Decimal(10), Decimal(100))


def test_month__with_an_exclusion__shows_raw_and_adjusted_and_credits_nothing() -> None:
    sli = indicator()
    made = contract(sli)
    outage(sli, at("2026-03-10T08:00"), 60)
    exclude(sli, at("2026-03-10T08:00"), at("2026-03-10T10:00"))

    close_due(now=at("2026-04-01T01:00"))

    period = only_period(made)
    assert (period.raw_good, period.raw_total) == (44_580, 44_640)
    assert (period.good, period.total, period.excluded_minutes) == (44_520, 44_520, 120)
    assert (period.credit_percent, period.credit) == (Decimal(0), Decimal(0))
    assert [(row["reason"], row["minutes"], row["down_minutes"], row["why"]) for row in period.exclusions] == [
        ("database upgrade", 120, 60, "")
    ]


def test_month__exclusion_with_too_little_notice__counts_nothing_out_and_says_why() -> None:
    sli = indicator()
    made = contract(sli, notice_hours=72)
    outage(sli, at("2026-03-10T08:00"), 60)
    exclude(sli, at("2026-03-10T08:00"), at("2026-03-10T10:00"), announced_at=at("2026-03-09T08:00"))

    close_due(now=at("2026-04-01T01:00"))

    period = only_period(made)
    assert (period.good, period.total, period.credit) == (44_580, 44_640, Decimal(100))
    assert period.exclusions[0]["why"] == "announced 24 hours ahead; the contract asks for 72"


def test_month__recurring_exclusion__counts_each_time_it_comes_back() -> None:
    sli = indicator()
    made = contract(sli, time_zone="Europe/Paris")
    exclude(sli, at("2026-03-22T02:00"), at("2026-03-22T02:30"), recurrence="FREQ=WEEKLY;COUNT=4",
            time_zone="Europe/Paris")  # fmt: skip

    close_due(now=at("2026-04-20T00:00"))

    march, april = made.periods.order_by("start")
    assert [row["start"] for row in march.exclusions] == ["2026-03-22T02:00:00+00:00", "2026-03-29T01:00:00+00:00"]
    assert (march.excluded_minutes, april.excluded_minutes) == (60, 60)


def test_requests__99_895_percent__is_below_99_9_and_credited() -> None:
    sli = indicator()
    made = contract(sli, metric="request_ratio")
    minute(sli, at("2026-03-05T00:00"), good=99_895, bad=105)

    close_due(now=at("2026-04-01T01:00"))

    period = only_period(made)
    assert (period.good, period.total) == (99_895, 100_000)
    assert (period.credit_percent, period.credit) == (Decimal(10), Decimal(100))


def test_requests__excluded__are_subtracted_visibly() -> None:
    sli = indicator()
    made = contract(sli, metric="request_ratio")
    minute(sli, at("2026-03-05T00:00"), good=9_990)
    minute(sli, at("2026-03-05T08:10"), good=10, bad=100)
    exclude(sli, at("2026-03-05T08:05"), at("2026-03-05T08:20"))

    close_due(now=at("2026-04-01T01:00"))

    period = only_period(made)
    assert (period.raw_good, period.raw_total, period.good, period.total) == (10_000, 10_100, 9_990, 9_990)
    assert (period.exclusions[0]["good"], period.exclusions[0]["total"]) == (10, 110)


def test_no_data__whole_period__has_no_availability_and_no_credit() -> None:
    for policy in ("good", "bad", "hold", "ignore"):
        made = contract(indicator(policy))

        close_due(now=at("2026-04-10T00:00"))
        close_due(now=at("2026-04-10T00:10"))

        period = only_period(made)
        assert (period.total, period.credit, period.status) == (0, Decimal(0), "final")
        assert "Nothing was measured" in period.note


def test_fee__raised_for_the_next_period__credits_the_fee_of_the_right_one() -> None:
    sli = indicator()
    made = contract(sli)
    outage(sli, at("2026-03-10T08:00"), 60)
    close_due(now=at("2026-03-20T00:00"))
    change_terms(made.pk, terms(fee=Decimal(2000)), reason="larger plan", now=at("2026-03-20T00:00"))
    outage(sli, at("2026-04-10T08:00"), 60)

    close_due(now=at("2026-05-20T00:00"))
    close_due(now=at("2026-05-20T01:00"))

    march, april, _ = made.periods.order_by("start")
    assert (march.fee, march.credit, march.revision) == (Decimal(1000), Decimal(100), 1)
    assert (april.fee, april.credit, april.revision) == (Decimal(2000), Decimal(200), 2)


def test_terms__changed_for_the_current_period__move_the_open_one_only() -> None:
    sli = indicator()
    made = contract(sli, starts_on=date(2026, 2, 1))
    outage(sli, at("2026-02-10T08:00"), 60)
    outage(sli, at("2026-03-10T08:00"), 60)
    close_due(now=at("2026-03-20T00:00"))

    change_terms(made.pk, terms(fee=Decimal(2000)), reason="typing error", now=at("2026-03-20T00:00"),
                 applies_from="current")  # fmt: skip
    close_due(now=at("2026-03-20T01:00"))

    assert [row.fee for row in made.periods.order_by("start")] == [Decimal(1000), Decimal(2000)]
    entry = AuditEntry.objects.get(action="contract.terms_changed")
    assert (entry.before["fee"], entry.after["fee"], entry.reason) == ("1000", "2000", "typing error")


def test_late_data__moves_a_provisional_period_and_never_a_final_one() -> None:
    sli = indicator(lateness_seconds=2 * 86_400)
    made = contract(sli, metric="request_ratio")
    minute(sli, at("2026-03-31T23:00"), good=1_000)
    close_due(now=at("2026-04-01T00:10"))
    first = only_period(made)

    record_events(sli, [Aggregate(at("2026-03-31T23:30"), good=0, total=1_000)], now=at("2026-04-01T12:00"))
    close_due(now=at("2026-04-01T12:10"))
    provisional = only_period(made)
    close_due(now=at("2026-04-04T00:10"))
    record_events(sli, [Aggregate(at("2026-03-31T23:40"), good=0, total=9_000)], now=at("2026-04-01T12:00"))
    close_due(now=at("2026-04-05T00:10"))

    assert (first.status, first.good, first.total, first.credit) == ("provisional", 1_000, 1_000, 0)
    assert (provisional.status, provisional.good, provisional.total, provisional.credit) == (
        "provisional", 1_000, 2_000, 500,
    )  # fmt: skip
    final = only_period(made)
    assert (final.status, final.total, final.credit) == ("final", 2_000, 500)


def test_credit__closed_twice__is_computed_once() -> None:
    sli = indicator()
    made = contract(sli)
    outage(sli, at("2026-03-10T08:00"), 60)
    for day in ("2026-04-01T00:10", "2026-04-04T00:10", "2026-04-04T00:10", "2026-04-05T00:10"):
        close_due(now=at(day))

    assert only_period(made).credit == Decimal(100)
    assert AuditEntry.objects.filter(action="contract.period_final").count() == 1


def test_minutes__removed_after_their_time__leave_the_period_as_it_was() -> None:
    sli = indicator()
    made = contract(sli)
    outage(sli, at("2026-03-02T08:07"), 11)
    close_due(now=at("2026-03-05T00:00"))
    sli.buckets.filter(resolution=60).delete()

    close_due(now=at("2026-04-01T00:10"))

    period = only_period(made)
    assert (period.total - period.good, period.note) == (11, "")


def test_contract__begun_long_ago__counts_hours_where_minutes_are_gone_and_says_so() -> None:
    sli = indicator()
    outage(sli, at("2026-03-02T08:07"), 11)
    sli.buckets.filter(resolution=60).delete()
    made = contract(sli)

    close_due(now=at("2026-04-01T00:10"))

    period = only_period(made)
    assert period.total - period.good == 60
    assert period.note == "1 days are known by the hour only: whole hours count as down."


def test_run__over_the_end_of_a_month__is_down_on_both_sides() -> None:
    sli = indicator()
    made = contract(sli, min_consecutive_minutes=5)
    outage(sli, at("2026-03-31T23:58"), 5)
    outage(sli, at("2026-03-10T12:00"), 4)

    close_due(now=at("2026-04-02T00:10"))

    march, april = made.periods.order_by("start")
    assert march.total - march.good == 2
    assert april.total - april.good == 3


def test_fee__from_a_metric_without_a_value__keeps_a_breached_period_provisional() -> None:
    sli = indicator()
    made = contract(sli, fee=None, fee_metric="costs.spend", fee_labels={"entity_type": "tenant", "entity_id": "acme"})
    outage(sli, at("2026-03-10T08:00"), 600)

    close_due(now=at("2026-04-20T00:00"))

    period = only_period(made)
    assert (period.status, period.fee, period.credit) == ("provisional", None, None)
    assert "The fee is not known" in period.note


def test_end__cuts_the_open_period_and_no_closed_one() -> None:
    made = contract()
    close_due(now=at("2026-04-10T00:00"))

    end_contract(made.pk, date(2026, 4, 20), now=at("2026-04-10T00:00"))
    with pytest.raises(Invalid):
        end_contract(made.pk, date(2026, 3, 20), now=at("2026-04-10T00:00"))
    close_due(now=at("2026-06-01T00:00"))

    assert [str(row.end) for row in made.periods.order_by("start")] == [
        "2026-04-01 00:00:00+00:00", "2026-04-20 00:00:00+00:00",
    ]  # fmt: skip


@pytest.mark.parametrize(("target", "warned"), [(None, True), ("0.999", True), ("0.9995", False)])
def test_objective__no_stricter_than_the_promise__is_warned_about(target: str | None, warned: bool) -> None:
    made = contract()
    if target:
        Slo.objects.create(service=made.service, sli=made.sli, slug="a", name="A", target=Decimal(target),
                           time_zone="UTC", created_at=EARLY)  # fmt: skip

    assert bool(stricter_warnings(made)) is warned


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"tiers": ()}, "/tiers"),
        ({"tiers": (Tier(Decimal(101), Decimal(10)),)}, "/tiers/0/below"),
        ({"tiers": (Tier(Decimal(99), Decimal(25)), Tier(Decimal(95), Decimal(10)))}, "/tiers"),
        ({"fee": Decimal(-1)}, "/fee"),
        ({"fee": None}, "/fee"),
        ({"fee": None, "fee_metric": "nobody.knows"}, "/fee_metric"),
        ({"currency": "dollars"}, "/currency"),
        ({"error_share": Decimal(1)}, "/error_share"),
        ({"provisional_days": 1}, "/provisional_days"),
        ({"metric": "guess"}, "/metric"),
        ({"cap_percent": Decimal(0)}, "/cap_percent"),
    ],
)
def test_create__senseless_terms__is_refused_with_their_place(values: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refusal:
        contract(**values)

    assert pointer in [error.pointer for error in refusal.value.errors]
    assert not SLAContract.objects.exists()


def test_terms__read_back__are_those_that_were_given() -> None:
    made = contract(fee=Decimal("123.456"), max_excluded_minutes=90)

    made.refresh_from_db()

    assert terms_of(made) == terms(fee=Decimal("123.456"), max_excluded_minutes=90)


def test_change__without_a_reason__is_refused() -> None:
    made = contract()

    with pytest.raises(Invalid):
        change_terms(made.pk, terms(fee=Decimal(5)), reason=" ", now=at("2026-03-20T00:00"))


def test_create__name_the_customer_has_already__is_refused() -> None:
    made = contract()
    draft = ContractDraft(customer=made.customer, sli=made.sli, name="Gold", time_zone="UTC",
                          starts_on=date(2026, 3, 1), terms=terms())  # fmt: skip

    with pytest.raises(Conflict):
        create_contract(draft, now=EARLY)
