"""Which spans of time do not count for which indicator, as far as the exclusions in force say."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

from django.db.models import Q

from core.windows import Window
from slas.choices import AppliesTo
from slas.models import Exclusion, Sli
from slas.periods import expanded, merged


def in_force() -> Q:
    """Return the condition of exclusions that count: approved and not withdrawn."""
    return Q(withdrawn_at=None) & ~Q(approved_by="")


def reaching(window: Window, applies_to: AppliesTo = AppliesTo.SLO) -> Q:
    """Return the condition of exclusions in force that may take something out of a window."""
    kinds = (AppliesTo.BOTH, applies_to)
    near = Q(starts_at__lt=window.end) & (Q(ends_at__gt=window.start) | ~Q(recurrence=""))
    return in_force() & near & Q(applies_to__in=kinds)


def spans(exclusion: Exclusion, within: Window) -> list[Window]:
    """Return what an exclusion takes out of a window."""
    first = Window(exclusion.starts_at, exclusion.ends_at)
    return list(expanded(first, exclusion.recurrence, exclusion.time_zone, within))


def spans_by_sli(
    slis: Iterable[Sli], within: Window, applies_to: AppliesTo = AppliesTo.SLO
) -> dict[UUID, list[Window]]:
    """Return for each indicator what is taken out of a window, merged and in order; one query for all of them."""
    wanted = list(slis)
    services, ids = {sli.service_id for sli in wanted}, {sli.pk for sli in wanted}
    scope = (Q(service=None) | Q(service__in=services)) & (Q(sli=None) | Q(sli__in=ids))
    found = [
        (row.service_id, row.sli_id, spans(row, within))
        for row in Exclusion.objects.filter(reaching(within, applies_to) & scope).order_by("pk")
    ]
    return {
        sli.pk: merged(
            span
            for service, indicator, windows in found
            if service in {None, sli.service_id} and indicator in {None, sli.pk}
            for span in windows
        )
        for sli in wanted
    }


class Excluded:
    """Answers which minutes, and how much of an hour, lie in merged spans."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._starts = [int(window.start.timestamp()) for window in windows]
        self._ends = [int(window.end.timestamp()) for window in windows]

    def __bool__(self) -> bool:
        return bool(self._starts)

    def holds(self, second: int) -> bool:
        """Say whether an instant (UNIX seconds) is taken out."""
        place = bisect_right(self._starts, second) - 1
        return place >= 0 and second < self._ends[place]

    def seconds_within(self, start: int, end: int) -> int:
        """Return how many seconds of a stretch are taken out."""
        pairs = zip(self._starts, self._ends, strict=True)
        return sum(max(0, min(end, until) - max(start, since)) for since, until in pairs)


def excluded_by_sli(slis: Iterable[Sli], start: int, end: int) -> dict[UUID, Excluded]:
    """Return what is taken out of a stretch of UNIX time, by indicator."""
    within = Window(datetime.fromtimestamp(start, tz=UTC), datetime.fromtimestamp(end, tz=UTC))
    return {sli: Excluded(windows) for sli, windows in spans_by_sli(slis, within).items()}
