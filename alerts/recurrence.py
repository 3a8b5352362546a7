"""Recurring silences: the spans of `core.recurrence`."""

from core.recurrence import Recurrence, check_recurrence

__all__ = ["Recurrence", "check_recurrence"]
