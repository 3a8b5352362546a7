"""What the pages of contracts and periods show: how they stand, what was excluded and why, which minutes were bad."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Literal
from zoneinfo import ZoneInfo

from django.urls import reverse

from core.adminkit import grouped
from core.ports.panels import Figure, Table
from core.windows import Window
from slas.buckets import rows
from slas.choices import ContractMetric, PeriodStatus
from slas.credits import ContractTerms, availability, shown
from slas.downtime import common, down_runs, length
from slas.models import SLAContract, SLAPeriod
from slas.services.contracts import claim_until, standing, stricter_warnings, terms_for
from slas.services.downtime import bad_minutes

PERIODS_SHOWN = 13
RUNS_SHOWN = 200
WORDS = {"no_data": "no data", "kept": "kept", "at_risk": "at risk", "breached": "broken"}
Tone = Literal["neutral", "good", "warning", "bad"]
TONES: dict[str, Tone] = {"no_data": "neutral", "kept": "good", "at_risk": "warning", "breached": "bad"}


def contract_page(contract: SLAContract) -> dict[str, Any]:
    """Return the warnings, the running period's figures, the periods and the revisions of a contract."""
    periods = list(contract.periods.order_by("-start")[:PERIODS_SHOWN])
    for period in periods:
        period.contract = contract
    current = periods[0] if periods else None
    return {
        "contract_warnings": stricter_warnings(contract),
        "contract_figures": _figures(current) if current else [],
        "contract_tables": [_periods(contract, periods), _revisions(contract)],
    }


def period_page(period: SLAPeriod) -> dict[str, Any]:
    """Return the figures, the exclusions with their reasons and the bad minutes of a period."""
    terms = terms_for(period.contract, period.start)[1]
    return {
        "period_figures": _figures(period),
        "period_note": period.note,
        "period_explained": _explained(period, terms),
        "period_tables": [_exclusions(period), _bad(period, terms)],
    }


def value_text(period: SLAPeriod) -> str:
    """Return the availability of a period, cut off, never rounded up."""
    return shown(availability(period.good, period.total))


def credit_text(period: SLAPeriod) -> str:
    """Return what is credited, or that nobody knows yet."""
    amount = period.credit if period.settled_credit is None else period.settled_credit
    if amount is None:
        return "not known yet"
    return f"{grouped(amount)} {period.currency}"


def span_text(period: SLAPeriod) -> str:
    """Return the days of a period in the contract's time zone."""
    zone = ZoneInfo(period.contract.time_zone)
    return f"{period.start.astimezone(zone):%Y-%m-%d} – {period.end.astimezone(zone):%Y-%m-%d}"


def _figures(period: SLAPeriod) -> list[Figure]:
    terms = terms_for(period.contract, period.start)[1]
    found = standing(period, terms)
    link = reverse("admin:slas_slaperiod_change", args=[period.pk])
    state = WORDS[found.state]
    used = "–" if found.used is None else f"{float(found.used):.1%}"
    return [
        Figure("Availability", value_text(period), f"{state}; {shown(Fraction(terms.promised))} promised", link,
               TONES[found.state]),
        Figure("Allowed bad time used" if terms.metric == ContractMetric.DOWNTIME_MINUTES else "Allowed failures used",
               used, "of the whole period", tone=TONES[found.state]),
        Figure("Credit", credit_text(period), _credit_note(period, terms), tone="bad" if period.credit else "neutral"),
        Figure("Status", period.get_status_display(), _status_note(period)),
    ]  # fmt: skip


def _credit_note(period: SLAPeriod, terms: ContractTerms) -> str:
    fee = "a fee not known yet" if period.fee is None else f"{grouped(period.fee)} {period.currency}"
    percent = f"{(period.credit_percent or 0):f}".rstrip("0").rstrip(".") or "0"
    return f"{percent} % of {fee}, at most {terms.cap_percent.normalize():f} %"


def _status_note(period: SLAPeriod) -> str:
    if period.status == PeriodStatus.OPEN:
        return f"runs until {_day(period, period.end)}"
    if period.status == PeriodStatus.PROVISIONAL:
        return "late data and corrections still move it"
    if period.status == PeriodStatus.FINAL and (until := claim_until(period)) is not None:
        return f"can be disputed until {_day(period, until)}"
    return f"{period.status_reason} ({period.status_by})"


def _day(period: SLAPeriod, at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(period.contract.time_zone)):%Y-%m-%d}"


def _explained(period: SLAPeriod, terms: ContractTerms) -> str:
    unit = "minutes" if terms.metric == ContractMetric.DOWNTIME_MINUTES else "requests"
    raw = shown(availability(period.raw_good, period.raw_total))
    text = (
        f"{period.good:,} good of {period.total:,} {unit}, held unrounded against the tiers. Before exclusions"
        f" {period.raw_good:,} of {period.raw_total:,}: {raw}. {period.excluded_minutes:,} minutes are excluded."
    )
    if period.unmeasured_minutes:
        text += f" {period.unmeasured_minutes:,} minutes without data are left out."
    return text


def _periods(contract: SLAContract, periods: list[SLAPeriod]) -> Table:
    shown_rows = [
        (
            [span_text(row), row.get_status_display(), value_text(row), f"{row.excluded_minutes:,}", credit_text(row)],
            reverse("admin:slas_slaperiod_change", args=[row.pk]),
        )
        for row in periods
    ]
    link = f"{reverse('admin:slas_slaperiod_changelist')}?contract__id__exact={contract.pk}"
    return Table("Periods", ["Period", "Status", "Availability", "Excluded minutes", "Credit"], shown_rows, link)


def _revisions(contract: SLAContract) -> Table:
    zone = ZoneInfo(contract.time_zone)
    shown_rows = [
        (
            [
                str(row.number),
                f"{row.effective_from.astimezone(zone):%Y-%m-%d}",
                _terms_text(ContractTerms.from_json(row.terms)),
                row.reason,
                row.created_by or "–",
            ],
            "",
        )
        for row in contract.revisions.all()[:PERIODS_SHOWN]
    ]
    return Table("Terms", ["Revision", "For periods from", "Terms", "Reason", "By"], shown_rows)


def _terms_text(terms: ContractTerms) -> str:
    fee = terms.fee_metric if terms.fee is None else f"{grouped(terms.fee)} {terms.currency}"
    tiers = ", ".join(
        f"below {tier.below.normalize():f} % {tier.credit_percent.normalize():f} %" for tier in terms.tiers
    )
    return f"{fee}; {tiers}"


def _exclusions(period: SLAPeriod) -> Table:
    zone = ZoneInfo(period.contract.time_zone)
    shown_rows = [
        (
            [
                f"{datetime.fromisoformat(row['start']).astimezone(zone):%Y-%m-%d %H:%M}",
                f"{datetime.fromisoformat(row['end']).astimezone(zone):%Y-%m-%d %H:%M}",
                row["reason"],
                f"{row['minutes']:,}",
                row["why"] or "counts in full",
            ],
            "",
        )
        for row in period.exclusions
    ]
    return Table("Exclusions", ["From", "Until", "Reason", "Minutes excluded", "Why"], shown_rows)


def _bad(period: SLAPeriod, terms: ContractTerms) -> Table:
    until = period.counted_until or period.start
    if terms.metric == ContractMetric.DOWNTIME_MINUTES:
        return _down_runs(period, terms, until)
    return _worst_hours(period, until)


def _down_runs(period: SLAPeriod, terms: ContractTerms, until: datetime) -> Table:
    window = Window(period.start, max(period.start, until))
    bad, _, _ = bad_minutes(period.contract.sli, terms.error_share, window)
    stretch = [(int(window.start.timestamp()) // 60, int(window.end.timestamp()) // 60)]
    runs = common(down_runs(bad, terms.min_consecutive_minutes), stretch)
    excluded = _counted(period)
    shown_rows = [
        (
            [
                _minute(period, start),
                _minute(period, end),
                str(end - start),
                str(length(common([(start, end)], excluded))),
            ],
            "",
        )
        for start, end in runs[:RUNS_SHOWN]
    ]
    more = f" (the first {RUNS_SHOWN} of {len(runs):,})" if len(runs) > RUNS_SHOWN else ""
    return Table(f"Minutes that were down{more}", ["From", "Until", "Minutes", "Of these excluded"], shown_rows)


def _worst_hours(period: SLAPeriod, until: datetime) -> Table:
    found = rows(period.contract.sli, Window(period.start, max(period.start, until)), 3600)
    bad = [row for row in found if row.numbers.total > row.numbers.good]
    worst = sorted(bad, key=lambda row: row.numbers.good - row.numbers.total)[:20]
    shown_rows = [
        (
            [
                _minute(period, row.start // 60),
                f"{row.numbers.total - row.numbers.good:,}",
                f"{row.numbers.total:,}",
                shown(availability(row.numbers.good, row.numbers.total), 3),
            ],
            "",
        )
        for row in worst
    ]
    return Table("Worst hours", ["Hour", "Failed", "Requests", "Availability"], shown_rows)


def _counted(period: SLAPeriod) -> list[tuple[int, int]]:
    found = [
        (int(datetime.fromisoformat(start).timestamp()) // 60, -(-int(datetime.fromisoformat(end).timestamp()) // 60))
        for row in period.exclusions
        for start, end in row["counted"]
    ]
    return sorted(found)


def _minute(period: SLAPeriod, minute: int) -> str:
    at = datetime.fromtimestamp(minute * 60, tz=UTC).astimezone(ZoneInfo(period.contract.time_zone))
    return f"{at:%Y-%m-%d %H:%M}"
