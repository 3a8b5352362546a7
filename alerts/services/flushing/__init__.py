"""The flush pass: groups that are due are told of, each change once, in the transaction that decides it."""

from alerts.services.flushing.flush import run

__all__ = ["run"]
