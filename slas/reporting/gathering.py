"""What a report is made of, read from the tables once: plain values, decimals and times as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Q

from core.errors import FieldError, Invalid
from core.money import to_text
from core.windows import Window
from slas.choices import ContractMetric, ReportKind
from slas.downtime import common, down_runs
from slas.models import Customer, Service, SLAContract, SLAPeriod, Slo, SloSnapshot
from slas.services.contracts import terms_for
from slas.services.downtime import bad_minutes

MOST_RUNS = 500
SUBJECTS = ("customer", "contract", "service", "owner")


def gather(kind: str, subject: str, window: Window) -> dict[str, Any]:
    """Return the inputs of a report. Raises Invalid for an unknown kind or subject."""
    if kind not in ReportKind.values:
        raise _invalid("/kind", f"a report is one of {', '.join(ReportKind.values)}")
    if window.length.days > 367 or window.start >= window.end:
        raise _invalid("/end", "a report covers up to a year, and ends after it begins")
    name = subject_name(subject)
    rows = {
        ReportKind.SLA: _periods,
        ReportKind.ERROR_BUDGETS: _budgets,
        ReportKind.SLO_HISTORY: _history,
        ReportKind.OWNERS: _owners,
    }[ReportKind(kind)](subject, window)
    return {
        "kind": kind,
        "subject": subject,
        "subject_name": name,
        "organisation": settings.ORGANISATION_NAME,
        "time_zone": settings.ORGANISATION_TIME_ZONE,
        "window": {"start": _text(window.start), "end": _text(window.end)},
        "rows": rows,
    }


def subject_name(subject: str) -> str:
    """Return whom or what a report is about, in words; an empty subject is everything. Raises Invalid."""
    kind, _, key = subject.partition(":")
    if not subject:
        return ""
    if kind == "customer" and (customer := Customer.objects.filter(slug=key).first()):
        return customer.name
    if kind == "contract" and (contract := _contract(key)):
        return str(contract)
    if kind == "service" and (service := Service.objects.filter(slug=key).first()):
        return service.name
    if kind == "owner" and Service.objects.filter(owner=key).exists():
        return key
    raise _invalid("/subject", f"a subject is one of {', '.join(SUBJECTS)} with its name, such as customer:acme")


def _contract(key: str) -> SLAContract | None:
    try:
        return SLAContract.objects.select_related("customer").filter(pk=UUID(key)).first()
    except ValueError:
        return None


def _periods(subject: str, window: Window) -> list[dict[str, Any]]:
    kind, _, key = subject.partition(":")
    scopes = {"customer": "contract__customer__slug", "contract": "contract_id", "service": "contract__service__slug",
              "owner": "contract__service__owner"}  # fmt: skip
    rows = SLAPeriod.objects.filter(start__lt=window.end, end__gt=window.start)
    rows = rows.filter(**{scopes[kind]: key}) if subject else rows
    rows = rows.select_related("contract__customer", "contract__service", "contract__sli__service")
    ordered = rows.prefetch_related("contract__revisions").order_by(
        "contract__customer__name", "contract__name", "start"
    )
    return [_period(row) for row in ordered]


def _period(period: SLAPeriod) -> dict[str, Any]:
    contract, terms = period.contract, terms_for(period.contract, period.start)[1]
    return {
        "contract": contract.name,
        "reference": contract.reference,
        "customer": contract.customer.name,
        "service": contract.service.name,
        "indicator": contract.sli.name,
        "time_zone": contract.time_zone,
        "start": _text(period.start),
        "end": _text(period.end),
        "status": period.status,
        "revision": period.revision,
        "terms": terms.to_json(),
        "good": period.good,
        "total": period.total,
        "raw_good": period.raw_good,
        "raw_total": period.raw_total,
        "excluded_minutes": period.excluded_minutes,
        "unmeasured_minutes": period.unmeasured_minutes,
        "exclusions": [
            {name: row[name] for name in ("reason", "category", "start", "end", "minutes", "why")}
            for row in period.exclusions
        ],
        "down": _down(period) if terms.metric == ContractMetric.DOWNTIME_MINUTES else [],
        "currency": period.currency,
        "fee": _amount(period.fee),
        "credit_percent": _amount(period.credit_percent),
        "credit": _amount(period.credit),
        "settled_credit": _amount(period.settled_credit),
        "credit_reference": period.credit_reference,
        "note": period.note,
    }


def _down(period: SLAPeriod) -> list[list[Any]]:
    """Return the runs of minutes that were down: when each began, and how many minutes of the period it took."""
    terms = terms_for(period.contract, period.start)[1]
    end = period.counted_until or period.start
    bad, _, _ = bad_minutes(period.contract.sli, terms.error_share, Window(period.start, max(period.start, end)))
    stretch = [(int(period.start.timestamp()) // 60, int(end.timestamp()) // 60)]
    runs = common(down_runs(bad, terms.min_consecutive_minutes), stretch)
    return [[_text(datetime.fromtimestamp(start * 60, tz=UTC)), over - start] for start, over in runs[:MOST_RUNS]]


def _slos(subject: str) -> list[Slo]:
    kind, _, key = subject.partition(":")
    wanted = Slo.objects.select_related("service", "sli").order_by("service__name", "name", "pk")
    if kind == "service":
        wanted = wanted.filter(service__slug=key)
    elif kind == "owner":
        wanted = wanted.filter(service__owner=key)
    elif kind == "customer":
        wanted = wanted.filter(Q(service__contracts__customer__slug=key)).distinct()
    elif kind == "contract":
        wanted = wanted.filter(Q(service__contracts=key)).distinct()
    return list(wanted)


def _snapshots(slos: Iterable[Slo], window: Window) -> dict[UUID, list[SloSnapshot]]:
    zone = ZoneInfo(settings.ORGANISATION_TIME_ZONE)
    first, after = window.start.astimezone(zone).date(), window.end.astimezone(zone).date()
    found: dict[UUID, list[SloSnapshot]] = defaultdict(list)
    for row in SloSnapshot.objects.filter(slo__in=list(slos), day__gte=first, day__lt=after).order_by("day"):
        found[row.slo_id].append(row)
    return found


def _budgets(subject: str, window: Window) -> list[dict[str, Any]]:
    slos = _slos(subject)
    snapshots = _snapshots(slos, window)
    return [_budget(slo, snapshots[slo.pk][-1] if snapshots[slo.pk] else None) for slo in slos]


def _budget(slo: Slo, last: SloSnapshot | None) -> dict[str, Any]:
    return {
        **_named(slo),
        "window": f"{slo.window_days} days" if slo.window_days else f"calendar {slo.calendar_unit}",
        "target": to_text(last.target if last else slo.target),
        "day": last.day.isoformat() if last else "",
        "state": last.state if last else "no_data",
        "sli": _amount(last.window_sli) if last else None,
        "consumed": _amount(last.consumed) if last else None,
        "frozen": bool(last and last.frozen_at),
    }


def _history(subject: str, window: Window) -> list[dict[str, Any]]:
    slos = _slos(subject)
    snapshots = _snapshots(slos, window)
    return [
        {
            **_named(slo),
            "day": row.day.isoformat(),
            "target": to_text(row.target),
            "good": row.good,
            "total": row.total,
            "raw_good": row.raw_good,
            "raw_total": row.raw_total,
            "sli": _amount(row.sli),
            "consumed": _amount(row.consumed),
            "state": row.state,
            "frozen": row.frozen_at is not None,
        }
        for slo in slos
        for row in snapshots[slo.pk]
    ]


def _owners(subject: str, window: Window) -> list[dict[str, Any]]:
    budgets, periods = _budgets(subject, window), _periods(subject, window)
    owners = dict(Service.objects.values_list("name", "owner"))
    names = sorted({owners.get(row["service"], "") for row in [*budgets, *periods]})
    return [_owner(name, budgets, periods, owners) for name in names]


def _owner(
    name: str, budgets: list[dict[str, Any]], periods: list[dict[str, Any]], owners: dict[str, str]
) -> dict[str, Any]:
    mine = [row for row in budgets if owners.get(row["service"], "") == name]
    theirs = [row for row in periods if owners.get(row["service"], "") == name]
    credited: dict[str, Decimal] = defaultdict(Decimal)
    for row in theirs:
        if row["credit"] is not None:
            credited[row["currency"]] += Decimal(row["settled_credit"] or row["credit"])
    return {
        "owner": name,
        "services": len({row["service"] for row in [*mine, *theirs]}),
        "objectives": len(mine),
        "met": sum(row["consumed"] is not None and Decimal(row["consumed"]) <= 1 for row in mine),
        "missed": sum(row["consumed"] is not None and Decimal(row["consumed"]) > 1 for row in mine),
        "no_data": sum(row["consumed"] is None for row in mine),
        "periods": len(theirs),
        "broken": sum(row["credit_percent"] not in {None, "0"} for row in theirs),
        "credits": {code: to_text(amount) for code, amount in sorted(credited.items())},
    }


def _named(slo: Slo) -> dict[str, Any]:
    return {"service": slo.service.name, "owner": slo.service.owner, "objective": slo.name}


def _amount(value: Decimal | None) -> str | None:
    return None if value is None else to_text(value)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError(pointer, "invalid", detail)])
