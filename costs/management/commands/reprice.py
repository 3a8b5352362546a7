"""Price recorded costs again by the price book as it is; shows the differences first."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from core.context import Context, acting
from core.errors import Refusal
from core.money import to_text
from costs.services.prices_repricing import RepriceReport, RepriceScope, reprice


class Command(BaseCommand):
    """Without --apply nothing is written; what is booked are differences, the events themselves stay."""

    help = "Show what pricing recorded costs again would change, and with --apply book the differences."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--from", dest="start", required=True, help="first instant: a date, or a time with offset")
        parser.add_argument("--to", dest="end", required=True, help="the instant after the last")
        parser.add_argument("--provider", default="", help="only costs of this provider, as it was recorded")
        parser.add_argument("--model", default="", help="only costs of this model, as it was recorded")
        parser.add_argument("--apply", action="store_true", help="book the differences")
        parser.add_argument("--reason", default="", help="why, for the audit trail; needed with --apply")
        parser.add_argument("--token", default="", help="of a preview: refuse to book anything else")

    def handle(self, *args: Any, **options: Any) -> None:
        """Call the service and print what differs."""
        scope = RepriceScope(
            _instant(options["start"]), _instant(options["end"]), options["provider"], options["model"]
        )
        try:
            with acting(Context(channel="command")):
                report = reprice(
                    scope,
                    now=timezone.now(),
                    dry_run=not options["apply"],
                    reason=options["reason"],
                    token=options["token"],
                )
        except Refusal as error:
            raise CommandError(error.detail) from error
        self._show(report, applied=options["apply"])

    def _show(self, report: RepriceReport, *, applied: bool) -> None:
        self.stdout.write(f"{report.event_count} events looked at, {report.changed_count} cost something else now.")
        for row in report.differences:
            self.stdout.write(
                f"{row.provider}/{row.model}: {row.event_count} events, {to_text(row.old)} -> {to_text(row.new)} "
                f"{row.currency} ({'+' if row.difference > 0 else ''}{to_text(row.difference)})"
            )
        if applied:
            self.stdout.write(f"{report.written_count} differences booked.")
        elif report.changed_count:
            self.stdout.write(f"Nothing was written. Book it with --apply --reason … --token {report.token}")


def _instant(text: str) -> datetime:
    """Return an instant: a date is its midnight in the organisation's time zone."""
    try:
        at, day = parse_datetime(text), parse_date(text)
    except ValueError as error:
        raise CommandError(f"{text!r}: {error}") from error
    if day is not None:
        return datetime.combine(day, time.min, settings.ORGANISATION_ZONE)
    if at is None or at.utcoffset() is None:
        raise CommandError(f"{text!r} is not a date such as 2026-11-01, or a time with an offset")
    return at
