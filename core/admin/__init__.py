"""Admin pages of the platform itself."""

from core.admin import conditions, jobs, keys, people, schedules, trail

__all__ = ["conditions", "jobs", "keys", "people", "schedules", "trail"]
