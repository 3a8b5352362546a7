"""Fixed words of the shared models."""

from django.db.models import TextChoices


class JobStatus(TextChoices):
    """The life of a long piece of work."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


JOB_TRANSITIONS: dict[str, frozenset[str]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.FAILED}),
    JobStatus.RUNNING: frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset({JobStatus.QUEUED}),
    JobStatus.CANCELLED: frozenset({JobStatus.QUEUED}),
}


class Severity(TextChoices):
    """How bad a condition is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class ActorKind(TextChoices):
    """Who can act."""

    USER = "user"
    API_KEY = "api_key", "API key"
    SYSTEM = "system"


class ApprovalStatus(TextChoices):
    """Where a request that a second person decides is in its life."""

    WAITING = "waiting"
    APPROVED = "approved"
    EXECUTING = "executing"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


APPROVAL_TRANSITIONS: dict[str, frozenset[str]] = {
    ApprovalStatus.WAITING: frozenset(
        {ApprovalStatus.APPROVED, ApprovalStatus.REFUSED, ApprovalStatus.WITHDRAWN, ApprovalStatus.EXPIRED}
    ),
    ApprovalStatus.APPROVED: frozenset({ApprovalStatus.EXECUTING, ApprovalStatus.DONE, ApprovalStatus.FAILED}),
    ApprovalStatus.EXECUTING: frozenset({ApprovalStatus.APPROVED, ApprovalStatus.DONE, ApprovalStatus.FAILED}),
    ApprovalStatus.DONE: frozenset(),
    ApprovalStatus.FAILED: frozenset(),
    ApprovalStatus.REFUSED: frozenset(),
    ApprovalStatus.WITHDRAWN: frozenset(),
    ApprovalStatus.EXPIRED: frozenset(),
}
OPEN_APPROVALS = (ApprovalStatus.WAITING, ApprovalStatus.APPROVED, ApprovalStatus.EXECUTING)
