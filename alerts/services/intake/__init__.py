"""The one way in for alerts: reports become rows and facts, each change of state exactly once."""

from alerts.services.intake.recording import Recorded, record

__all__ = ["Recorded", "record"]
