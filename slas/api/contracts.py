"""Customers and their contracts."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import FieldError, Invalid, Missing
from core.money import to_text
from slas.credits import ContractTerms, Tier
from slas.models import Customer, SLAContract, Sli
from slas.services import contracts as services
from slas.services.customers import create_customer

READ, ADMIN = "slas:read", "slas:admin"
TAG = "contracts"
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Metric = Literal["request_ratio", "downtime_minutes"]
Unit = Literal["day", "week", "month", "quarter", "year"]
EXAMPLE = {
    "customer": "acme",
    "service": "agent-api",
    "indicator": "requests",
    "name": "Gold",
    "starts_on": "2026-04-01",
    "time_zone": "Europe/Paris",
    "fee": "1000.00",
    "currency": "EUR",
    "tiers": [{"below": "99.9", "credit_percent": "10"}, {"below": "99", "credit_percent": "25"}],
}


class NewCustomer(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Somebody to be promised a level of service."""

    slug: Annotated[str, Meta(min_length=1, max_length=100)]
    name: Name
    contact_name: Annotated[str, Meta(max_length=200)] = ""
    contact_email: Annotated[str, Meta(max_length=254)] = ""


class CustomerState(msgspec.Struct, kw_only=True):
    """A customer, without its contact person."""

    slug: str
    name: str


class ContractTier(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Below so many percent of availability, so many percent of the fee are credited."""

    below: Decimal
    credit_percent: Decimal


class NewContract(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A promise to a customer: give a `fee` per period, or the `fee_metric` it is read from."""

    customer: Annotated[str, Meta(description="The slug of a customer.")]
    service: Annotated[str, Meta(description="The slug of a service.")]
    indicator: Annotated[str, Meta(description="The slug of one of the service's indicators.")]
    name: Name
    starts_on: date
    tiers: Annotated[list[ContractTier], Meta(min_length=1, max_length=20)]
    ends_on: date | None = None
    reference: Annotated[str, Meta(max_length=100)] = ""
    period: Unit = "month"
    time_zone: Annotated[str, Meta(max_length=64)] = ""
    metric: Metric = "downtime_minutes"
    error_share: Decimal = Decimal("0.05")
    min_consecutive_minutes: Annotated[int, Meta(ge=1, le=1440)] = 1
    notice_hours: Annotated[int, Meta(ge=0)] = 72
    max_excluded_minutes: Annotated[int, Meta(ge=0)] | None = None
    cap_percent: Decimal = Decimal(100)
    claim_days: Annotated[int, Meta(ge=1)] = 30
    provisional_days: Annotated[int, Meta(ge=0)] = 3
    currency: Annotated[str, Meta(max_length=8)] = ""
    fee: Decimal | None = None
    fee_metric: Annotated[str, Meta(max_length=100)] = ""
    fee_labels: dict[str, str] = {}


class ContractPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different. Changed terms need a `reason` and apply from the `next` period unless said otherwise."""

    name: Name | UnsetType = UNSET
    reference: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    ends_on: date | UnsetType | None = UNSET
    tiers: Annotated[list[ContractTier], Meta(min_length=1, max_length=20)] | UnsetType = UNSET
    metric: Metric | UnsetType = UNSET
    error_share: Decimal | UnsetType = UNSET
    min_consecutive_minutes: int | UnsetType = UNSET
    notice_hours: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    max_excluded_minutes: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    cap_percent: Decimal | UnsetType = UNSET
    claim_days: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    provisional_days: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    currency: Annotated[str, Meta(max_length=8)] | UnsetType = UNSET
    fee: Decimal | UnsetType | None = UNSET
    fee_metric: Annotated[str, Meta(max_length=100)] | UnsetType = UNSET
    fee_labels: dict[str, str] | UnsetType = UNSET
    applies_from: Literal["next", "current"] = "next"
    reason: Annotated[str, Meta(max_length=500)] = ""


class ContractTierState(msgspec.Struct, kw_only=True):
    """A tier, in percent."""

    below: str
    credit_percent: str


class ContractState(msgspec.Struct, kw_only=True):
    """A contract with its latest terms; `warnings` say what is wrong with the objectives behind it."""

    contract_id: UUID
    customer: str
    service: str
    indicator: str
    name: str
    reference: str
    period: str
    time_zone: str
    starts_on: date
    ends_on: date | None
    revision: int
    metric: str
    error_share: str
    min_consecutive_minutes: int
    notice_hours: int
    max_excluded_minutes: int | None
    cap_percent: str
    claim_days: int
    provisional_days: int
    currency: str
    fee: str | None
    fee_metric: str
    fee_labels: dict[str, str]
    tiers: list[ContractTierState]
    warnings: list[str]


class CustomerQuery(PageQuery, kw_only=True):
    """Customers have no filters."""


class ContractQuery(PageQuery, kw_only=True):
    """Which contracts are listed."""

    customer: str | None = None
    service: str | None = None


class CustomerList(WholeFleetView):
    """All customers."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation(
        "list_customers", "List customers", query=CustomerQuery, answers={200: CursorPage[CustomerState]}, tag=TAG
    )
    def get(self, request: Request) -> HttpResponse:
        """Customers, the newest first; their contact persons stay in the admin."""
        wanted = query(request, CustomerQuery)
        return answer(paginate(request, Customer.objects.all(), page=wanted, order=Order(), show=_customer))

    @operation(
        "create_customer", "Create a customer", body=NewCustomer, answers={201: CustomerState}, idempotent=True, tag=TAG
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a customer."""
        wanted = decode(request, NewCustomer)
        values = msgspec.structs.asdict(wanted)
        return idempotent(request, lambda now: answer(_customer(create_customer(**values, now=now)), 201))


class ContractList(WholeFleetView):
    """All contracts."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation(
        "list_contracts", "List contracts", query=ContractQuery, answers={200: CursorPage[ContractState]}, tag=TAG
    )
    def get(self, request: Request) -> HttpResponse:
        """Contracts with their latest terms, the newest first; warnings are on each one's own address."""
        wanted = query(request, ContractQuery)
        exact = {"customer__slug": wanted.customer, "service__slug": wanted.service}
        rows = SLAContract.objects.select_related("customer", "service", "sli").prefetch_related("tiers")
        rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
        return answer(paginate(request, rows, page=wanted, order=Order(), show=shown))

    @operation(
        "create_contract",
        "Create a contract",
        body=Annotated[NewContract, Meta(examples=[EXAMPLE])],
        answers={201: ContractState},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a contract; its periods are opened and judged from its first day on."""
        wanted = decode(request, NewContract)
        return idempotent(request, lambda now: _created(request, wanted, now))


class ContractDetail(WholeFleetView):
    """One contract."""

    required_scopes = {"GET": READ, "PATCH": ADMIN}

    @operation("get_contract", "Read a contract", answers={200: ContractState}, tag=TAG)
    def get(self, request: Request, contract_id: UUID) -> HttpResponse:
        """The latest terms, and warnings about the objectives behind it."""
        contract = found(contract_id)
        return answer(shown(contract, services.stricter_warnings(contract)))

    @operation(
        "change_contract",
        "Change a contract",
        body=ContractPatch,
        answers={200: ContractState},
        problems=(409,),
        tag=TAG,
    )
    def patch(self, request: Request, contract_id: UUID) -> HttpResponse:
        """Change its name or end, or its terms with a reason; closed periods keep the terms they had."""
        found(contract_id)
        _change(contract_id, decode(request, ContractPatch), timezone.now())
        contract = found(contract_id)
        return answer(shown(contract, services.stricter_warnings(contract)))


TERMS = (
    "metric", "error_share", "min_consecutive_minutes", "notice_hours", "max_excluded_minutes", "cap_percent",
    "claim_days", "provisional_days", "currency", "fee", "fee_metric", "fee_labels",
)  # fmt: skip


def _created(request: Request, wanted: NewContract, now: datetime) -> HttpResponse:
    values: dict[str, Any] = {name: getattr(wanted, name) for name in TERMS}
    values["currency"] = values["currency"] or settings.BASE_CURRENCY
    draft = services.ContractDraft(
        customer=_customer_of(wanted.customer),
        sli=_sli_of(wanted.service, wanted.indicator),
        name=wanted.name,
        time_zone=wanted.time_zone or settings.ORGANISATION_TIME_ZONE,
        starts_on=wanted.starts_on,
        ends_on=wanted.ends_on,
        terms=ContractTerms(**values, tiers=_tiers(wanted.tiers)),
        period_unit=wanted.period,
        reference=wanted.reference,
    )
    made = services.create_contract(draft, now=now)
    services.open_periods(made, now=now)
    location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{made.pk}")
    contract = found(made.pk)
    return answer(shown(contract, services.stricter_warnings(contract)), 201, {"Location": location})


@transaction.atomic
def _change(contract_id: UUID, wanted: ContractPatch, now: datetime) -> None:
    """Make all changes or none."""
    contract = found(contract_id)
    if wanted.name is not UNSET or wanted.reference is not UNSET:
        name = contract.name if wanted.name is UNSET else wanted.name
        reference = contract.reference if wanted.reference is UNSET else wanted.reference
        services.rename_contract(contract_id, name=name, reference=reference, now=now)
    changed = {name: getattr(wanted, name) for name in TERMS if getattr(wanted, name) is not UNSET}
    if changed or wanted.tiers is not UNSET:
        before = services.terms_of(contract)
        tiers = before.tiers if wanted.tiers is UNSET else _tiers(wanted.tiers)
        values = {name: getattr(before, name) for name in TERMS} | changed
        services.change_terms(
            contract_id,
            ContractTerms(**values, tiers=tiers),
            reason=wanted.reason,
            now=now,
            applies_from=wanted.applies_from,
        )
    if wanted.ends_on is not UNSET:
        services.end_contract(contract_id, wanted.ends_on, now=now, reason=wanted.reason)


def _tiers(rows: list[ContractTier]) -> tuple[Tier, ...]:
    ordered = sorted(rows, key=lambda row: row.below, reverse=True)
    return tuple(Tier(row.below, row.credit_percent) for row in ordered)


def _customer_of(slug: str) -> Customer:
    customer = Customer.objects.filter(slug=slug).first()
    if customer is None:
        raise _unknown("/customer", f"there is no customer {slug}")
    return customer


def _sli_of(service: str, indicator: str) -> Sli:
    sli = Sli.objects.filter(service__slug=service, slug=indicator).first()
    if sli is None:
        raise _unknown("/indicator", f"the service {service} has no indicator {indicator}")
    return sli


def _unknown(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(pointer, "unknown", detail)])


def found(contract_id: UUID) -> SLAContract:
    """Return a contract with what an answer needs. Raises Missing."""
    rows = SLAContract.objects.select_related("customer", "service", "sli").prefetch_related("tiers")
    contract = rows.filter(pk=contract_id).first()
    if contract is None:
        raise Missing("there is no such contract")
    return contract


def _customer(customer: Customer) -> CustomerState:
    return CustomerState(slug=customer.slug, name=customer.name)


def shown(contract: SLAContract, warnings: list[str] | None = None) -> ContractState:
    """Return a contract for an answer; what it refers to is loaded with it."""
    return ContractState(
        contract_id=contract.pk,
        customer=contract.customer.slug,
        service=contract.service.slug,
        indicator=contract.sli.slug,
        name=contract.name,
        reference=contract.reference,
        period=contract.period_unit,
        time_zone=contract.time_zone,
        starts_on=contract.starts_on,
        ends_on=contract.ends_on,
        revision=contract.revision,
        metric=contract.metric,
        error_share=to_text(contract.error_share),
        min_consecutive_minutes=contract.min_consecutive_minutes,
        notice_hours=contract.notice_hours,
        max_excluded_minutes=contract.max_excluded_minutes,
        cap_percent=to_text(contract.cap_percent),
        claim_days=contract.claim_days,
        provisional_days=contract.provisional_days,
        currency=contract.currency,
        fee=None if contract.fee is None else to_text(contract.fee),
        fee_metric=contract.fee_metric,
        fee_labels=contract.fee_labels,
        tiers=[
            ContractTierState(below=to_text(tier.below), credit_percent=to_text(tier.credit_percent))
            for tier in sorted(contract.tiers.all(), key=lambda tier: tier.below, reverse=True)
        ],
        warnings=warnings or [],
    )
