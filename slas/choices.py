"""Fixed words of the slas app, and which state may follow which."""

from __future__ import annotations

from django.db.models import IntegerChoices, TextChoices


class SliKind(TextChoices):
    """How an indicator tells good from bad."""

    RATIO = "ratio", "good events of all events"
    THRESHOLD = "threshold", "values within a threshold"
    LATENCY = "latency", "durations within a threshold"
    TIMESLICE = "timeslice", "slices of time that were good"
    EXTERNAL = "external"


class SliSource(TextChoices):
    """Where an indicator's events come from."""

    PUSH = "push", "sent over the API"
    HEALTH = "health", "a health check of this platform"
    METRIC = "metric", "a metric of this platform"
    PROMETHEUS = "prometheus", "a Prometheus query"


class NoDataPolicy(TextChoices):
    """What a stretch without any event means."""

    IGNORE = "ignore", "is left out"
    GOOD = "good", "counts as good"
    BAD = "bad", "counts as bad"
    HOLD = "hold", "keeps the last known state"


class WindowKind(TextChoices):
    """Whether an objective's window moves with the clock or with the calendar."""

    ROLLING = "rolling"
    CALENDAR = "calendar"


class CalendarUnit(TextChoices):
    """The calendar's periods."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


class Budgeting(TextChoices):
    """What the error budget is counted in."""

    OCCURRENCES = "occurrences"
    TIMESLICES = "timeslices"
    RATIO_TIMESLICES = "ratio_timeslices"


class CompositeKind(TextChoices):
    """How the parts of a composite objective make up the whole."""

    NONE = "", "not a composite"
    WEIGHTED = "weighted", "weighted mean"
    WORST = "worst", "worst part"
    SERIAL = "serial", "product of all parts"
    TIMESLICE = "timeslice", "bad when any part is bad"


class WhenDelayed(TextChoices):
    """What a composite does while one of its parts has no data."""

    GOOD = "count_as_good"
    BAD = "count_as_bad"
    IGNORE = "ignore"


class ExclusionCategory(TextChoices):
    """Why a span of time does not count."""

    PLANNED = "planned", "planned maintenance"
    CUSTOMER = "customer", "caused by the customer"
    FORCE_MAJEURE = "force_majeure"
    BAD_DATA = "bad_data", "the measurement was wrong"


class AppliesTo(TextChoices):
    """What an exclusion is taken out of."""

    SLO = "slo", "objectives"
    SLA = "sla", "contracts"
    BOTH = "both"


class SloState(TextChoices):
    """How an objective stands."""

    HEALTHY = "healthy"
    BURNING = "burning", "burning too fast"
    EXHAUSTED = "exhausted", "budget exhausted"
    NO_DATA = "no_data", "no data"


class PolicyAction(TextChoices):
    """What a step of an error budget policy does."""

    NOTIFY = "notify", "tell people"
    APPROVAL = "approval", "changes need an approval"
    FREEZE = "freeze", "changes are frozen"
    INCIDENT = "incident", "open an incident"


class Series(IntegerChoices):
    """What the numbers of a bucket count."""

    EVENTS = 0, "events"
    SLICES = 1, "slices of time, good or bad"
    RATIOS = 2, "ratios of slices, in parts of RATIO_UNIT"


class ContractMetric(TextChoices):
    """What a contract's availability is counted in."""

    REQUEST_RATIO = "request_ratio", "good requests of all requests"
    DOWNTIME_MINUTES = "downtime_minutes", "minutes that were not down"


class PeriodStatus(TextChoices):
    """How far a contract's period has come."""

    OPEN = "open"
    PROVISIONAL = "provisional"
    FINAL = "final"
    CREDITED = "credited"
    DISPUTED = "disputed"
    WAIVED = "waived"


PERIOD_MOVES: dict[str, frozenset[str]] = {
    PeriodStatus.OPEN: frozenset({PeriodStatus.PROVISIONAL}),
    PeriodStatus.PROVISIONAL: frozenset({PeriodStatus.FINAL}),
    PeriodStatus.FINAL: frozenset({PeriodStatus.CREDITED, PeriodStatus.DISPUTED, PeriodStatus.WAIVED}),
    PeriodStatus.DISPUTED: frozenset({PeriodStatus.FINAL, PeriodStatus.CREDITED, PeriodStatus.WAIVED}),
    PeriodStatus.CREDITED: frozenset(),
    PeriodStatus.WAIVED: frozenset(),
}
# Numbers still follow late data and exclusions in these; in all others they never move.
MOVING_PERIODS = (PeriodStatus.OPEN, PeriodStatus.PROVISIONAL)


class ReportKind(TextChoices):
    """What a report is about."""

    SLA = "sla", "SLA by contract"
    ERROR_BUDGETS = "error_budgets", "error budget status"
    SLO_HISTORY = "slo_history", "SLO history"
    OWNERS = "owners", "roll-up by service owner"


class ReportFormat(TextChoices):
    """The files of a report."""

    HTML = "html", "HTML"
    PDF = "pdf", "PDF"
    CSV = "csv", "CSV"
    JSON = "json", "JSON"


class Impact(TextChoices):
    """How a status page says a component does, the worst last."""

    NO_DATA = "no_data", "No data"
    OPERATIONAL = "operational", "Operational"
    MAINTENANCE = "maintenance", "Under maintenance"
    DEGRADED = "degraded", "Degraded performance"
    PARTIAL = "partial", "Partial outage"
    MAJOR = "major", "Major outage"


class IncidentStage(TextChoices):
    """What the updates of a public incident say."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class DailyStatistic(TextChoices):
    """Which number of a day a capacity trend is drawn through."""

    P50 = "p50", "median of the hours"
    P95 = "p95", "95th percentile of the hours"
    MAXIMUM = "maximum", "highest hour"
    TOTAL = "total", "sum of the day"
