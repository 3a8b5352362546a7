"""What a contract's terms must be, and how they lie in the tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from zoneinfo import available_timezones

from core.errors import FieldError, Invalid
from core.money import MoneyError, money
from core.ports.metrics import metrics
from slas.choices import ContractMetric
from slas.credits import HUNDRED, ContractTerms, Tier
from slas.models import SLAContract, SLATier, Sli

COLUMNS = (
    "metric", "error_share", "min_consecutive_minutes", "notice_hours", "max_excluded_minutes", "cap_percent",
    "claim_days", "provisional_days", "currency", "fee", "fee_metric", "fee_labels",
)  # fmt: skip
PERCENT_PLACES = {"below": 6, "credit_percent": 4, "cap_percent": 4}


def terms_of(contract: SLAContract) -> ContractTerms:
    """Return the latest terms of a contract."""
    tiers = tuple(Tier(tier.below, tier.credit_percent) for tier in contract.tiers.order_by("-below"))
    return ContractTerms(**{name: getattr(contract, name) for name in COLUMNS}, tiers=tiers)


def store_terms(contract: SLAContract, terms: ContractTerms) -> None:
    """Write terms to the columns of a contract and replace its tiers; in the caller's transaction."""
    for name in COLUMNS:
        setattr(contract, name, getattr(terms, name))
    contract.save()
    contract.tiers.all().delete()
    SLATier.objects.bulk_create(
        SLATier(contract=contract, below=tier.below, credit_percent=tier.credit_percent) for tier in terms.tiers
    )


def check_terms(terms: ContractTerms, sli: Sli) -> None:
    """Raise Invalid that names every term that makes no sense."""
    errors = [*_of_metric(terms), *_of_tiers(terms), *_of_fee(terms), *_of_times(terms, sli)]
    if errors:
        raise Invalid("; ".join(error.detail for error in errors), errors=errors)


def check_time_zone(name: str) -> None:
    """Raise Invalid for a name that the time zone database does not know."""
    if name not in available_timezones():
        detail = "this is no time zone; names are like Europe/Berlin"
        raise Invalid(detail, errors=[FieldError("/time_zone", "unknown_time_zone", detail)])


def _of_metric(terms: ContractTerms) -> Iterator[FieldError]:
    if terms.metric not in ContractMetric.values:
        yield FieldError("/metric", "not_a_choice", f"the metric is one of {', '.join(ContractMetric.values)}")
    if not Decimal(0) <= terms.error_share < 1:
        yield FieldError("/error_share", "out_of_range", "the share of bad events is from 0 to less than 1")
    if not 1 <= terms.min_consecutive_minutes <= 1440:
        yield FieldError("/min_consecutive_minutes", "out_of_range", "a run is from 1 to 1440 minutes")


def _of_tiers(terms: ContractTerms) -> Iterator[FieldError]:
    if not terms.tiers:
        yield FieldError("/tiers", "required", "a contract has at least one tier: below what, how much is credited")
    for number, tier in enumerate(terms.tiers):
        if not 0 < tier.below <= HUNDRED or _places(tier.below) > PERCENT_PLACES["below"]:
            yield FieldError(f"/tiers/{number}/below", "out_of_range", "a tier is below 0 to 100 %, 6 decimals at most")
        if not 0 < tier.credit_percent <= HUNDRED or _places(tier.credit_percent) > PERCENT_PLACES["credit_percent"]:
            yield FieldError(
                f"/tiers/{number}/credit_percent", "out_of_range", "a credit is above 0 to 100 %, 4 decimals at most"
            )
    ordered = sorted(terms.tiers, key=lambda tier: tier.below, reverse=True)
    if len({tier.below for tier in ordered}) != len(ordered):
        yield FieldError("/tiers", "repeated", "two tiers begin at the same availability")
    elif any(better.credit_percent >= worse.credit_percent for better, worse in pairwise(ordered)):
        yield FieldError("/tiers", "not_rising", "a lower availability has to credit more")
    if not 0 < terms.cap_percent <= HUNDRED or _places(terms.cap_percent) > PERCENT_PLACES["cap_percent"]:
        yield FieldError("/cap_percent", "out_of_range", "the cap is above 0 to 100 %, 4 decimals at most")


def _of_fee(terms: ContractTerms) -> Iterator[FieldError]:
    if not re.fullmatch(r"[A-Z]{3}|X?[A-Z0-9]{3,7}", terms.currency):
        yield FieldError("/currency", "unknown_currency", "a currency is three letters of ISO 4217, such as EUR")
    if (terms.fee is None) == (not terms.fee_metric):
        yield FieldError("/fee", "required", "give either a fee or the metric that it is read from")
    if terms.fee is not None and (detail := _wrong_amount(terms.fee)):
        yield FieldError("/fee", "invalid", detail)
    if not terms.fee_metric:
        return
    if terms.fee_metric not in metrics or metrics.get(terms.fee_metric).kind != "sum":
        names = ", ".join(sorted(metric.name for metric in metrics if metric.kind == "sum"))
        yield FieldError("/fee_metric", "unknown_metric", f"a fee is read from a metric that adds up: {names}")
    elif unknown := set(terms.fee_labels) - set(metrics.get(terms.fee_metric).labels):
        yield FieldError("/fee_labels", "unknown_label", f"the metric has no label {', '.join(sorted(unknown))}")


def _wrong_amount(fee: Decimal) -> str:
    try:
        return "" if money(fee) >= 0 else "a fee is not negative"
    except MoneyError as error:
        return str(error)


def _of_times(terms: ContractTerms, sli: Sli) -> Iterator[FieldError]:
    if terms.notice_hours > 24 * 366:
        yield FieldError("/notice_hours", "out_of_range", "notice is at most a year")
    if not 1 <= terms.claim_days <= 3660:
        yield FieldError("/claim_days", "out_of_range", "a claim can be made for 1 to 3660 days")
    if not 0 <= terms.provisional_days <= 366:
        yield FieldError("/provisional_days", "out_of_range", "a period is provisional for at most a year")
    elif terms.provisional_days * 86_400 < sli.lateness_seconds:
        days = -(-sli.lateness_seconds // 86_400)
        detail = f"events of this indicator may come {days} days late: a period is final no sooner"
        yield FieldError("/provisional_days", "too_short", detail)


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 99
