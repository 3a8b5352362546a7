"""What makes indicators and objectives sound: every mistake named at its field. No writing, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import available_timezones

from core.errors import FieldError, Invalid
from slas.buckets.tallies import OPERATORS
from slas.choices import Budgeting, CompositeKind, SliKind, SliSource, WindowKind
from slas.models import Sli, Slo
from slas.terms import from_values, to_values

VALUED = frozenset({SliKind.THRESHOLD, SliKind.LATENCY})
LONGEST_LATENESS = 31 * 86_400
LONGEST_WINDOW = 366
CONFIG = {
    SliSource.PUSH: (),
    SliSource.HEALTH: ("check",),
    SliSource.METRIC: ("metric",),
    SliSource.PROMETHEUS: ("url", "total"),
}


def sli_mistakes(sli: Sli) -> list[FieldError]:
    """Return what is wrong with an indicator; empty when it is sound."""
    return [*_threshold(sli), *_slices(sli), *_source(sli)]


def slo_mistakes(slo: Slo) -> list[FieldError]:
    """Return what is wrong with an objective; empty when it is sound."""
    found = [*_target(slo), *_window(slo), *_measure(slo)]
    if not found:
        try:
            from_values(to_values(slo))
        except Invalid as error:
            found += error.errors
    return found


def composite_mistakes(slo: Slo, children: Sequence[Slo]) -> list[FieldError]:
    """Return what is wrong with the parts of an objective."""
    if not slo.composite:
        return [_error("/parts", "not_expected", "only a composite has parts")] if children else []
    return list(_parts(slo, children))


def _parts(slo: Slo, children: Sequence[Slo]) -> Iterator[FieldError]:
    if len(children) < 2:
        yield _error("/parts", "required", "a composite has two parts at least")
    if any(child.composite for child in children):
        yield _error("/parts", "nested", "a part is a plain objective, not a composite itself")
    if len({child.pk for child in children}) < len(children):
        yield _error("/parts", "repeated", "an objective is a part once")
    if slo.composite == CompositeKind.TIMESLICE:
        lengths = {child.sli.slice_seconds if child.sli else None for child in children}
        sliced = all(child.budgeting == Budgeting.TIMESLICES for child in children)
        if len(lengths) != 1 or not sliced or None in lengths:
            yield _error("/parts", "slices_differ", "these parts are budgeted in time slices of the same length")


def _threshold(sli: Sli) -> Iterator[FieldError]:
    if sli.kind in VALUED and sli.threshold is None:
        yield _error("/threshold", "required", "an indicator of values needs a threshold")
    if sli.kind in {SliKind.RATIO, SliKind.EXTERNAL} and sli.threshold is not None:
        yield _error("/threshold", "not_expected", "events of this kind say themselves whether they were good")
    if sli.threshold is not None and sli.operator not in OPERATORS:
        yield _error("/operator", "not_a_choice", f"an operator is one of {', '.join(OPERATORS)}")
    if sli.threshold is None and sli.operator:
        yield _error("/operator", "not_expected", "an operator goes with a threshold")
    if sli.kind == SliKind.LATENCY and sli.threshold is not None and sli.threshold <= 0:
        yield _error("/threshold", "min_value", "a duration is above 0")
    if not 60 <= sli.lateness_seconds <= LONGEST_LATENESS:
        yield _error("/lateness_seconds", "out_of_range", "events may be late by a minute at least and 31 days at most")


def _slices(sli: Sli) -> Iterator[FieldError]:
    if sli.kind == SliKind.TIMESLICE and (sli.slice_seconds is None or sli.slice_target is None):
        yield _error(
            "/slice_seconds", "required", "slices have a length and a share of good events that makes one good"
        )
    length = sli.slice_seconds
    if length is not None and (not length or length % 60 or 86_400 % length):
        yield _error("/slice_seconds", "invalid", "a slice is a whole number of minutes that divides a day")
    if sli.slice_target is not None and not 0 < sli.slice_target <= 1:
        yield _error("/slice_target", "out_of_range", "the share of a slice is above 0 and at most 1")


def _source(sli: Sli) -> Iterator[FieldError]:
    config = sli.config if isinstance(sli.config, dict) else {}
    for name in CONFIG.get(SliSource(sli.source), ()) if sli.source in SliSource.values else ():
        if not isinstance(config.get(name), str) or not config[name]:
            yield _error(f"/config/{name}", "required", f"this source needs {name}")
    if sli.source == SliSource.PROMETHEUS and not isinstance(config.get("good") or config.get("bad"), str):
        yield _error("/config/good", "required", "a Prometheus source needs a query for good events, or for bad ones")
    if sli.source == SliSource.METRIC and sli.threshold is None and not config.get("good_metric"):
        yield _error("/config/good_metric", "required", "give a threshold, or the metric that counts good events")


def _target(slo: Slo) -> Iterator[FieldError]:
    if not 0 < slo.target < 1:
        yield _error("/target", "out_of_range", "a target is a share above 0 and below 1, such as 0.999")


def _window(slo: Slo) -> Iterator[FieldError]:
    if slo.window == WindowKind.ROLLING and not 1 <= (slo.window_days or 0) <= LONGEST_WINDOW:
        yield _error("/window_days", "required", f"a rolling window lasts 1 to {LONGEST_WINDOW} days")
    if slo.window == WindowKind.ROLLING and slo.calendar_unit:
        yield _error("/calendar_unit", "not_expected", "a rolling window has no calendar unit")
    if slo.window == WindowKind.CALENDAR and not slo.calendar_unit:
        yield _error("/calendar_unit", "required", "a calendar window is a day, week, month, quarter or year")
    if slo.window == WindowKind.CALENDAR and slo.window_days is not None:
        yield _error("/window_days", "not_expected", "a calendar window has the length of its period")
    if slo.time_zone not in available_timezones():
        yield _error("/time_zone", "not_a_choice", "this is no time zone such as Europe/Paris")


def _measure(slo: Slo) -> Iterator[FieldError]:
    if slo.composite and slo.sli_id is not None:
        yield _error("/sli", "not_expected", "a composite has parts and no indicator")
    if not slo.composite and slo.sli_id is None:
        yield _error("/sli", "required", "an objective needs an indicator, or parts")
    if slo.sli is not None and slo.sli.service_id != slo.service_id:
        yield _error("/sli", "other_service", "the indicator belongs to another service")
    if slo.sli is None or slo.budgeting == Budgeting.OCCURRENCES:
        return
    if slo.sli.slice_seconds is None:
        yield _error("/budgeting", "no_slices", "the indicator has no slices to budget in")
    elif slo.budgeting == Budgeting.TIMESLICES and slo.sli.slice_target is None:
        yield _error("/budgeting", "no_slices", "the indicator does not say what makes a slice good")


def _error(pointer: str, code: str, detail: str) -> FieldError:
    return FieldError(pointer, code, detail)
