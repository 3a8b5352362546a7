"""Contracts are made, changed and ended; every change of terms is a revision for the periods that follow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import F, Max

from core import audit
from core.context import current
from core.errors import Conflict, FieldError, Invalid, Missing
from core.windows import Window, midnight
from slas.choices import MOVING_PERIODS, CalendarUnit, PeriodStatus
from slas.credits import ContractTerms
from slas.models import Customer, SLAContract, SLAContractRevision, SLAPeriod, Sli, Slo
from slas.periods import calendar, overlap
from slas.services.contracts.terms import check_terms, check_time_zone, store_terms, terms_of

From = Literal["next", "current"]


@dataclass(frozen=True, slots=True)
class ContractDraft:
    """What a new contract is called, for whom, over what, when, and its terms."""

    customer: Customer
    sli: Sli
    name: str
    time_zone: str
    starts_on: date
    terms: ContractTerms
    period_unit: str = CalendarUnit.MONTH
    ends_on: date | None = None
    reference: str = ""


@transaction.atomic
def create_contract(draft: ContractDraft, *, now: datetime) -> SLAContract:
    """Make a contract with its first revision. Raises Invalid for senseless terms, Conflict for a name in use."""
    _check_name(draft.name)
    check_time_zone(draft.time_zone)
    check_terms(draft.terms, draft.sli)
    _check_dates(draft.starts_on, draft.ends_on)
    _check_unit(draft.period_unit)
    contract = SLAContract(
        customer=draft.customer,
        service_id=draft.sli.service_id,
        sli=draft.sli,
        name=draft.name.strip(),
        reference=draft.reference,
        period_unit=draft.period_unit,
        time_zone=draft.time_zone,
        starts_on=draft.starts_on,
        ends_on=draft.ends_on,
        created_at=now,
    )
    try:
        with transaction.atomic():
            store_terms(contract, draft.terms)
    except IntegrityError as error:
        raise Conflict("this customer has a contract of that name", code="name_taken") from error
    _revise(contract, draft.terms, contract_window(contract).start, "", now)
    audit.record("contract.created", contract, now=now, after={**_named(contract), **draft.terms.to_json()})
    return contract


@transaction.atomic
def change_terms(
    contract_id: UUID, terms: ContractTerms, *, reason: str, now: datetime, applies_from: From = "next"
) -> SLAContract:
    """Set other terms, from the next period on or, if asked, for the current one too; closed periods keep theirs.

    Raises Invalid for senseless terms or without a reason, Missing for an unknown contract.
    """
    contract = _locked(contract_id)
    if not reason.strip():
        raise Invalid("say why", errors=[FieldError("/reason", "required", "changed terms need a reason")])
    check_terms(terms, contract.sli)
    before = terms_of(contract).to_json()
    after = terms.to_json()
    if before == after:
        return contract
    contract.revision += 1
    store_terms(contract, terms)
    _revise(contract, terms, _effective(contract, applies_from, now), reason, now)
    changed = {name for name in after if before.get(name) != after[name]}
    audit.record(
        "contract.terms_changed",
        contract,
        now=now,
        before={name: before[name] for name in changed},
        after={**{name: after[name] for name in changed}, "applies_from": applies_from},
        reason=reason,
    )
    return contract


@transaction.atomic
def rename_contract(contract_id: UUID, *, name: str, reference: str, now: datetime) -> SLAContract:
    """Give a contract another name or reference. Raises Invalid, Missing, or Conflict for a name in use."""
    contract = _locked(contract_id)
    _check_name(name)
    before = {"name": contract.name, "reference": contract.reference}
    after = {"name": name.strip(), "reference": reference}
    if before == after:
        return contract
    try:
        with transaction.atomic():
            SLAContract.objects.filter(pk=contract.pk).update(**after)
    except IntegrityError as error:
        raise Conflict("this customer has a contract of that name", code="name_taken") from error
    audit.record("contract.renamed", contract, now=now, before=before, after=after)
    contract.name, contract.reference = name.strip(), reference
    return contract


@transaction.atomic
def end_contract(contract_id: UUID, ends_on: date | None, *, now: datetime, reason: str = "") -> SLAContract:
    """Set the day on which a contract is over, or None; a period that has ended cannot be cut any more.

    Raises Invalid for a day before the contract or in a period that is closed.
    """
    contract = _locked(contract_id)
    _check_dates(contract.starts_on, ends_on)
    closed = contract.periods.exclude(status=PeriodStatus.OPEN).aggregate(last=Max("end"))["last"]
    zone = ZoneInfo(contract.time_zone)
    if ends_on is not None and closed is not None and midnight(ends_on, zone) < closed:
        detail = "periods after that day are closed already"
        raise Invalid(detail, errors=[FieldError("/ends_on", "closed", detail)])
    before = contract.ends_on
    contract.ends_on = ends_on
    contract.save(update_fields=["ends_on"])
    _refit_open(contract)
    audit.record(
        "contract.ended", contract, now=now, before={"ends_on": before}, after={"ends_on": ends_on}, reason=reason
    )
    return contract


def stricter_warnings(contract: SLAContract) -> list[str]:
    """Return what is wrong with the internal objectives behind a contract: one has to warn before the customer does."""
    promised = terms_of(contract).promised
    targets = [
        target * 100
        for target in Slo.objects.filter(sli_id=contract.sli_id, enabled=True).values_list("target", flat=True)
    ]
    if not targets:
        return [f"No objective watches {contract.sli}: nobody is warned before the promise is broken. Make one."]
    if max(targets) <= promised:
        strictest, bound = (f"{value.normalize():f} %" for value in (max(targets), promised))
        text = f"The strictest objective of {contract.sli} is {strictest}, no stricter than the {bound} promised"
        return [f"{text}: it warns when it is too late."]
    return []


def contract_window(contract: SLAContract) -> Window:
    """Return from when to when a contract holds; one without an end holds for ever."""
    zone = ZoneInfo(contract.time_zone)
    far = datetime(9999, 1, 1, tzinfo=zone)
    return Window(midnight(contract.starts_on, zone), midnight(contract.ends_on, zone) if contract.ends_on else far)


def period_at(contract: SLAContract, at: datetime) -> Window | None:
    """Return the contract's period that holds an instant: the calendar's, cut where the contract begins or ends."""
    holds = contract_window(contract)
    found = overlap(calendar(contract.period_unit, at, contract.time_zone), holds)
    return found if found is not None and at in found else None


def terms_for(contract: SLAContract, start: datetime) -> tuple[int, ContractTerms]:
    """Return the revision in force when a period begins, with its number."""
    revisions = sorted(contract.revisions.all(), key=lambda row: row.number)
    in_force = [row for row in revisions if row.effective_from <= start] or revisions[:1]
    return in_force[-1].number, ContractTerms.from_json(in_force[-1].terms)


def _revise(contract: SLAContract, terms: ContractTerms, since: datetime, reason: str, now: datetime) -> None:
    SLAContractRevision.objects.create(
        contract=contract,
        number=contract.revision,
        effective_from=since,
        terms=terms.to_json(),
        reason=reason,
        created_at=now,
        created_by=current().actor.label,
    )


def _effective(contract: SLAContract, applies_from: From, now: datetime) -> datetime:
    """Return the start of the current or the next period; before the contract begins, both are its first."""
    first = contract_window(contract).start
    period = calendar(contract.period_unit, max(now, first), contract.time_zone)
    return max(period.start, first) if applies_from == "current" or now < first else period.end


def _refit_open(contract: SLAContract) -> None:
    """Cut or lengthen the open period to what the contract says now."""
    for period in SLAPeriod.objects.filter(contract=contract, status=PeriodStatus.OPEN):
        window = period_at(contract, period.start)
        if window is None:
            period.delete()
        elif window.end != period.end:
            SLAPeriod.objects.filter(pk=period.pk, status__in=MOVING_PERIODS).update(end=window.end)


def _locked(contract_id: UUID) -> SLAContract:
    # One writer at a time numbers the revisions, on both databases.
    if not SLAContract.objects.filter(pk=contract_id).update(revision=F("revision")):
        raise Missing("there is no such contract")
    return SLAContract.objects.select_related("customer", "service", "sli").get(pk=contract_id)


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > 200:
        detail = "a name has 1 to 200 characters"
        raise Invalid(detail, errors=[FieldError("/name", "invalid", detail)])


def _check_unit(unit: str) -> None:
    if unit not in CalendarUnit.values:
        detail = f"a period is one of {', '.join(CalendarUnit.values)}"
        raise Invalid(detail, errors=[FieldError("/period_unit", "not_a_choice", detail)])


def _check_dates(starts_on: date, ends_on: date | None) -> None:
    if ends_on is not None and ends_on < starts_on + timedelta(days=1):
        detail = "a contract ends after it begins"
        raise Invalid(detail, errors=[FieldError("/ends_on", "out_of_range", detail)])


def _named(contract: SLAContract) -> dict[str, object]:
    return {
        "customer": contract.customer.slug,
        "indicator": str(contract.sli),
        "name": contract.name,
        "period_unit": contract.period_unit,
        "time_zone": contract.time_zone,
        "starts_on": contract.starts_on,
        "ends_on": contract.ends_on,
    }
