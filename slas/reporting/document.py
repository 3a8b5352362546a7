"""A report laid out from its frozen inputs and nothing else, so the same inputs always give the same document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from slas.choices import ReportKind
from slas.credits import ContractTerms, availability, shown

LAYOUT = 1
Cells = Sequence[str]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, sentences, and a table, each of which may be empty."""

    title: str
    text: str = ""
    headings: Cells = ()
    rows: Sequence[Cells] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A report for reading; the first section is the one that the CSV file holds."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]] = ()
    sections: Sequence[Section] = field(default_factory=tuple)

    def to_json(self) -> dict[str, Any]:
        """Return the document as plain data."""
        return asdict(self)


def document(inputs: Mapping[str, Any]) -> Document:
    """Return the document of a report's inputs."""
    build = {
        ReportKind.SLA: _sla,
        ReportKind.ERROR_BUDGETS: _budgets,
        ReportKind.SLO_HISTORY: _history,
        ReportKind.OWNERS: _owners,
    }[ReportKind(inputs["kind"])]
    rows = inputs["rows"]
    subject = inputs["subject_name"] or "everything"
    return Document(
        title=f"{ReportKind(inputs['kind']).label}: {subject}",
        subtitle=f"{inputs['organisation']}, {span(inputs)} ({inputs['time_zone']})",
        facts=_facts(inputs["kind"], rows),
        sections=build(rows) if rows else [Section("Nothing to report", "Nothing of this kind exists in the window.")],
    )


def span(inputs: Mapping[str, Any]) -> str:
    """Return the days of a report's window in the organisation's time zone, the last one included."""
    zone = ZoneInfo(inputs["time_zone"])
    start, end = (datetime.fromisoformat(inputs["window"][name]).astimezone(zone) for name in ("start", "end"))
    return f"{start:%Y-%m-%d} to {end - timedelta(microseconds=1):%Y-%m-%d}"


def _facts(kind: str, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    if kind == ReportKind.SLA:
        broken = sum(row["credit_percent"] not in {None, "0"} for row in rows)
        return [("Periods", str(len(rows))), ("Below the promise", str(broken)), ("Credits", _sum_by_currency(rows))]
    if kind == ReportKind.OWNERS:
        missed = sum(row["missed"] for row in rows)
        return [("Owners", str(len(rows))), ("Objectives missed", str(missed))]
    names = {(row["service"], row["objective"]) for row in rows}
    return [("Objectives", str(len(names))), ("Lines", str(len(rows)))]


def _sum_by_currency(rows: Sequence[Mapping[str, Any]]) -> str:
    sums: dict[str, Decimal] = {}
    for row in rows:
        amount = row["credit"] if row["settled_credit"] is None else row["settled_credit"]
        if amount is not None and Decimal(amount):
            sums[row["currency"]] = sums.get(row["currency"], Decimal(0)) + Decimal(amount)
    return ", ".join(f"{amount:,.2f} {code}" for code, amount in sorted(sums.items())) or "none"


def _sla(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    headings = (
        "Customer", "Contract", "Service", "From", "Until", "Promised", "Availability", "Before exclusions",
        "Excluded minutes", "Credit %", "Credit", "Currency", "Status",
    )  # fmt: skip
    table = [_sla_row(row) for row in rows]
    overview = Section("Contracts", "Availability is cut off for reading, never rounded up.", headings, table)
    return [overview, *(_sla_section(row) for row in rows)]


def _sla_row(row: Mapping[str, Any]) -> Cells:
    promised = ContractTerms.from_json(row["terms"]).promised
    credit = row["credit"] if row["settled_credit"] is None else row["settled_credit"]
    return (
        row["customer"],
        row["contract"],
        row["service"],
        _local(row["start"], row, "%Y-%m-%d"),
        _local(row["end"], row, "%Y-%m-%d"),
        shown(Fraction(promised)),
        shown(availability(row["good"], row["total"])),
        shown(availability(row["raw_good"], row["raw_total"])),
        str(row["excluded_minutes"]),
        row["credit_percent"] or "0",
        "not known" if credit is None else credit,
        row["currency"],
        row["status"],
    )


def _sla_section(row: Mapping[str, Any]) -> Section:
    terms = ContractTerms.from_json(row["terms"])
    unit = "minutes" if terms.metric == "downtime_minutes" else "requests"
    tiers = "; ".join(
        f"below {tier.below.normalize():f} % {tier.credit_percent.normalize():f} % are credited" for tier in terms.tiers
    )
    counted = f"{row['good']:,} good of {row['total']:,} {unit} after exclusions"
    fee = f"{row['fee'] or 'an amount not known yet'} {row['currency']}"
    cap = f"{terms.cap_percent.normalize():f} %"
    sentences = [
        f"{counted}, {row['raw_good']:,} of {row['raw_total']:,} before.",
        f"Terms (revision {row['revision']}): {tiers}; at most {cap} of the fee of {fee}.",
        row["note"],
        f"Credit note {row['credit_reference']}." if row["credit_reference"] else "",
    ]
    excluded = [
        (_local(item["start"], row), "excluded", str(item["minutes"]), _reason(item)) for item in row["exclusions"]
    ]
    down = [(_local(start, row), "down", str(minutes), "") for start, minutes in row["down"]]
    title = f"{row['customer']}, {row['contract']}: from {_local(row['start'], row, '%Y-%m-%d')}"
    return Section(
        title, " ".join(filter(None, sentences)), ("Began", "What", "Minutes", "Why"), sorted([*excluded, *down])
    )


def _reason(item: Mapping[str, Any]) -> str:
    return f"{item['reason']} (not in full: {item['why']})" if item["why"] else str(item["reason"])


def _budgets(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    headings = ("Service", "Owner", "Objective", "Window", "Target", "Measured", "Budget used", "State", "As of")
    table = [
        (
            row["service"],
            row["owner"],
            row["objective"],
            row["window"],
            _percent(row["target"]),
            _percent(row["sli"]),
            _percent(row["consumed"], 1),
            row["state"],
            row["day"] or "no snapshot",
        )
        for row in rows
    ]
    return [Section("Error budgets at the end of the window", "", headings, table)]


def _history(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    headings = ("Service", "Objective", "Day", "Good", "Total", "Measured", "Target", "Budget used", "State")
    table = [
        (
            row["service"],
            row["objective"],
            row["day"],
            "" if row["good"] is None else str(row["good"]),
            "" if row["total"] is None else str(row["total"]),
            _percent(row["sli"]),
            _percent(row["target"]),
            _percent(row["consumed"], 1),
            row["state"] if row["frozen"] else f"{row['state']} (not frozen yet)",
        )
        for row in rows
    ]
    return [Section("Objectives day by day", "", headings, table)]


def _owners(rows: Sequence[Mapping[str, Any]]) -> list[Section]:
    headings = ("Owner", "Services", "Objectives", "Met", "Missed", "No data", "SLA periods", "Broken", "Credits")
    table = [
        (
            row["owner"] or "nobody",
            str(row["services"]),
            str(row["objectives"]),
            str(row["met"]),
            str(row["missed"]),
            str(row["no_data"]),
            str(row["periods"]),
            str(row["broken"]),
            ", ".join(f"{amount} {code}" for code, amount in row["credits"].items() if amount != "0") or "none",
        )
        for row in rows
    ]
    return [Section("Service owners", "", headings, table)]


def _percent(share: str | None, places: int = 6) -> str:
    return "no data" if share is None else shown(Fraction(share) * 100, places)


def _local(text: str, row: Mapping[str, Any], form: str = "%Y-%m-%d %H:%M") -> str:
    return datetime.fromisoformat(text).astimezone(ZoneInfo(row["time_zone"])).strftime(form)
