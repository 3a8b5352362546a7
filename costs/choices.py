"""Fixed words of the costs app and the allowed transitions between states."""

from django.db.models import TextChoices


class CostType(TextChoices):
    """What money was spent on; the FinOps service category of an agent's world."""

    LLM_API = "llm_api", "LLM API"
    STORAGE = "storage"
    COMPUTE = "compute"
    BANDWIDTH = "bandwidth"
    TOOL_USAGE = "tool_usage", "Tool usage"
    EMBEDDING = "embedding"
    HUMAN_REVIEW = "human_review", "Human review"
    SUBSCRIPTION = "subscription"
    OTHER = "other"


class EventClass(TextChoices):
    """Why a cost event exists (FOCUS ChargeClass and ChargeCategory)."""

    USAGE = "usage"
    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"
    CREDIT = "credit"
    PURCHASE = "purchase"
    TAX = "tax"


class PriceStatus(TextChoices):
    """How far the amount of an event is known."""

    REPORTED = "reported", "Reported by the sender"
    PRICED = "priced", "Priced by the price book"
    PARTIAL = "partial", "Priced in part"
    UNPRICED = "unpriced"


class ServiceTier(TextChoices):
    """The service level that a provider prices apart."""

    STANDARD = "standard"
    BATCH = "batch"
    FLEX = "flex"
    PRIORITY = "priority"


class PriceVersionStatus(TextChoices):
    """The life of a price."""

    DRAFT = "draft"
    APPROVED = "approved"
    RETIRED = "retired"


class PriceMode(TextChoices):
    """How a quantity becomes an amount."""

    FLAT = "flat", "Flat per unit"
    THRESHOLD_ALL = "threshold_all", "All units at the tier the request reaches"
    GRADUATED = "graduated", "Each tier's units at its own price"
    VOLUME = "volume", "All units at the tier of their total"
    PACKAGE = "package", "Per started package"


class BudgetPeriodKind(TextChoices):
    """The calendar period a budget is for."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"


class BudgetMode(TextChoices):
    """What a budget does when it is reached."""

    MONITOR = "monitor", "Monitor: count only"
    SOFT = "soft", "Soft: warn"
    HARD = "hard", "Hard: refuse what does not fit"


class ThresholdBasis(TextChoices):
    """What a threshold looks at."""

    ACTUAL = "actual"
    FORECAST = "forecast"


class ReservationStatus(TextChoices):
    """The life of money set aside for a call that has not been paid yet."""

    PENDING = "pending"
    SETTLED = "settled"
    RELEASED = "released"
    EXPIRED = "expired"


RESERVATION_TRANSITIONS: dict[str, frozenset[str]] = {
    ReservationStatus.PENDING: frozenset(
        {ReservationStatus.SETTLED, ReservationStatus.RELEASED, ReservationStatus.EXPIRED}
    ),
    # The call was made after all: what was spent is booked, late or not.
    ReservationStatus.EXPIRED: frozenset({ReservationStatus.SETTLED}),
    ReservationStatus.SETTLED: frozenset(),
    ReservationStatus.RELEASED: frozenset(),
}


class RejectKind(TextChoices):
    """Why an item was not recorded."""

    INVALID = "invalid", "Not a valid event"
    CONFLICT = "conflict", "Known key with other content"


class QueueStatus(TextChoices):
    """The state of something that waits for a person."""

    OPEN = "open"
    RESOLVED = "resolved"
    IGNORED = "ignored"
