"""How a period stands against its promise, and the conditions that say so when it breaks it or is about to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Literal

from django.urls import reverse

from core.money import to_text
from core.ports.conditions import Condition, Severity, clear_condition, raise_condition
from core.windows import Window
from slas.choices import ContractMetric, PeriodStatus
from slas.credits import ContractTerms, availability, shown
from slas.models import SLAContract, SLAPeriod
from slas.periods import elapsed_share

SOURCE = "slas.sla"
AT_RISK_FROM = Fraction(4, 5)
State = Literal["no_data", "kept", "at_risk", "breached"]


@dataclass(frozen=True, slots=True)
class Standing:
    """`used` is the share of the bad minutes or events the promise allows that is used up; None when it allows none."""

    state: State
    value: Fraction | None
    used: Fraction | None


def standing(period: SLAPeriod, terms: ContractTerms) -> Standing:
    """Judge a period against the promise.

    While it runs, what is allowed is what the whole period would allow: all its minutes, or the events expected at
    the rate so far. So one bad minute on the first of a month is no breach, and a breach is one that stays.
    """
    value = availability(period.good, period.total)
    if value is None:
        return Standing("no_data", None, None)
    share = 1 - Fraction(terms.promised) / 100
    allowed = share * _expected(period, terms)
    bad = period.total - period.good
    used = Fraction(bad) / allowed if allowed else None
    if bad > allowed:
        return Standing("breached", value, used)
    return Standing("at_risk" if bad and used is not None and used >= AT_RISK_FROM else "kept", value, used)


def tell(period: SLAPeriod, terms: ContractTerms, *, now: datetime) -> Standing:
    """Raise or clear what a running or provisional period has to say; in the caller's transaction."""
    found = standing(period, terms)
    contract = period.contract
    below = f"{shown(found.value)} of {shown(Fraction(terms.promised))} promised"
    breach = condition(contract, "breach", "high", f"{contract} breaks its SLA: {below}.", period)
    risk = condition(contract, "risk", "medium", f"{contract} is about to break its SLA: {below}.", period)
    (raise_condition if found.state == "breached" else clear_condition)(breach, now=now)
    (raise_condition if found.state == "at_risk" else clear_condition)(risk, now=now)
    return found


def silence(contract: SLAContract, period: SLAPeriod, *, now: datetime) -> None:
    """Clear what a contract said of its running period, which is over."""
    for name in ("breach", "risk"):
        clear_condition(condition(contract, name, "info", f"{contract}: the period is over.", period), now=now)


def tell_credit(period: SLAPeriod, *, now: datetime) -> None:
    """Say that a final period has a credit nobody has given, waived or disputed yet; in the caller's transaction."""
    due = period.status == PeriodStatus.FINAL and bool(period.credit)
    amount = f"{to_text(period.credit)} {period.currency}" if period.credit is not None else ""
    summary = f"{period.contract}: a credit of {amount} for {period.start:%Y-%m-%d} waits."
    known = condition(period.contract, f"credit:{period.pk.hex}", "low", summary, period)
    (raise_condition if due else clear_condition)(known, now=now)


def condition(contract: SLAContract, name: str, severity: Severity, summary: str, period: SLAPeriod) -> Condition:
    """Return the condition of a contract by its name."""
    labels = {
        "contract": str(contract.pk),
        "customer": contract.customer.slug,
        "service": contract.service.slug,
        "kind": name.partition(":")[0],
    }
    link = reverse("admin:slas_slaperiod_change", args=[period.pk])
    return Condition(SOURCE, f"{contract.pk.hex}:{name}", severity, summary, labels, link)


def _expected(period: SLAPeriod, terms: ContractTerms) -> Fraction:
    until = period.counted_until or period.start
    passed, whole = elapsed_share(Window(period.start, period.end), until)
    if terms.metric == ContractMetric.DOWNTIME_MINUTES:
        return Fraction(period.total + (whole - passed) // 60)
    return Fraction(period.total * whole, passed) if passed else Fraction(period.total)
