"""Admin pages of the platform itself."""

from core.admin import approvals, conditions, jobs, keys, people, schedules, trail

__all__ = ["approvals", "conditions", "jobs", "keys", "people", "schedules", "trail"]
