"""Fixed words of the slas app, and which state may follow which."""

from __future__ import annotations

from django.db.models import TextChoices


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
    NO_DATA = "no_data"
