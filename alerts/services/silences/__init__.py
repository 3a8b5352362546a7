"""Silences: what hides alerts for a while, who made it, and what it hides."""

from alerts.services.silences.changing import SilenceTerms, create_silence, expire_silence, update_silence
from alerts.services.silences.reading import (
    Hiding,
    current_silences,
    hidden_by,
    preview,
    recurrence_of,
    state_of,
)

__all__ = [
    "Hiding",
    "SilenceTerms",
    "create_silence",
    "current_silences",
    "expire_silence",
    "hidden_by",
    "preview",
    "recurrence_of",
    "state_of",
    "update_silence",
]
