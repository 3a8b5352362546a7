"""OpenSLO v1 documents to plans. What the platform does by itself, alerting above all, is named as not taken over.

Two slips of the specification's own examples are taken as they are meant, with a warning: a calendar window of `1m`
is a month, and a start at noon is that of its period.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from core.errors import FieldError
from slas.choices import Budgeting, CalendarUnit, SliKind, SliSource, WindowKind
from slas.openslo.nodes import Node, OpenSloError, load, mistake
from slas.openslo.plans import Bundle, ServicePlan, SliPlan, SloPlan

VERSION = "openslo/v1"
OWN_SOURCE = "AgentFactory"
ANNOTATION = "agent-factory/values"
KINDS = ("Service", "SLI", "SLO", "DataSource", "AlertPolicy", "AlertCondition", "AlertNotificationTarget")
ALERTING = ("AlertPolicy", "AlertCondition", "AlertNotificationTarget")
NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DURATION = re.compile(r"([1-9][0-9]{0,4})([mhdwMQY])")
SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
UNITS = {"d": CalendarUnit.DAY, "w": CalendarUnit.WEEK, "m": CalendarUnit.MONTH, "M": CalendarUnit.MONTH,
         "Q": CalendarUnit.QUARTER, "Y": CalendarUnit.YEAR}  # fmt: skip
BUDGETING = {"Occurrences": Budgeting.OCCURRENCES, "Timeslices": Budgeting.TIMESLICES,
             "RatioTimeslices": Budgeting.RATIO_TIMESLICES}  # fmt: skip
OPERATORS = ("lte", "gte", "lt", "gt")
OWN_SLI = ("kind", "unit", "no_data", "lateness_seconds")

__all__ = ["OpenSloError", "read"]


def read(text: str, *, default_zone: str = "UTC") -> Bundle:
    """Return what the documents ask for; raises OpenSloError with the place of the first mistake of each document."""
    reader = _Reader(load(text), default_zone)
    return reader.bundle()


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all objectives of one SLO document share."""

    document: Node
    spec: Node
    service: str
    budgeting: str
    window: Mapping[str, Any]


class _Reader:
    """Collects the plans of all documents; indicators and sources may stand after what refers to them."""

    def __init__(self, documents: list[Node], default_zone: str) -> None:
        self.zone = default_zone
        self.documents = documents
        self.services: dict[str, ServicePlan] = {}
        self.slis: dict[tuple[str, str], SliPlan] = {}
        self.slos: dict[tuple[str, str], SloPlan] = {}
        self.shared: dict[str, Node] = {}
        self.sources: dict[str, Node] = {}
        self.warnings: list[str] = []

    def bundle(self) -> Bundle:
        """Read every document, those that others refer to first."""
        errors: list[FieldError] = []
        for step in (self._describe, self._objectives):
            for document in self.documents:
                try:
                    step(document)
                except OpenSloError as error:
                    errors += error.errors
        if errors:
            raise OpenSloError(f"{errors[0].pointer}: {errors[0].detail}", errors=errors)
        return Bundle(
            tuple(self.services.values()), tuple(self.slis.values()), tuple(self.slos.values()), tuple(self.warnings)
        )

    def _describe(self, document: Node) -> None:
        document.choice("apiVersion", (VERSION,))
        kind = document.choice("kind", KINDS)
        name = _name(document)
        if kind == "Service":
            self._service(name, _title(document), document.maybe("spec"))
        elif kind == "SLI":
            document.child("spec")
            self.shared[name] = document
        elif kind == "DataSource":
            self.sources[name] = document.child("spec")
        elif kind in ALERTING:
            self.warnings.append(f"{kind} {name}: not taken over; objectives here alert by their own burn rates")

    def _service(self, slug: str, title: str, spec: Node | None) -> None:
        description = spec.text("description", "", most=1050) if spec else ""
        self.services[slug] = ServicePlan(slug, {"name": title, "description": description})

    def _objectives(self, document: Node) -> None:
        if document.value.get("kind") != "SLO":
            return
        name, spec = _name(document), document.child("spec")
        service = spec.text("service", most=100)
        if not NAME.fullmatch(service):
            raise mistake(f"{spec.pointer}/service", "pattern", "a service is named by small letters, digits and -")
        if service not in self.services:
            self.services[service] = ServicePlan(service, {"name": service, "description": ""})
        items = list(spec.items("objectives"))
        if not items:
            raise mistake(f"{spec.pointer}/objectives", "required", "an SLO has one objective at least")
        budgeting = BUDGETING[spec.choice("budgetingMethod", tuple(BUDGETING))]
        frame = _Frame(document, spec, service, budgeting, self._window(spec))
        if next(spec.items("alertPolicies"), None) is not None:
            self.warnings.append(f"SLO {name}: its alert policies are not taken over")
        for number, item in enumerate(items):
            slug = name if len(items) == 1 else f"{name}-{number + 1}"
            self._objective(frame, item, slug)

    def _objective(self, frame: _Frame, item: Node, slug: str) -> None:
        for refused in ("indicator", "indicatorRef", "compositeWeight"):
            if refused in item:
                detail = "composite objectives are made here, not imported; give each its own SLO"
                raise mistake(f"{item.pointer}/{refused}", "not_supported", detail)
        title = _title(frame.document)
        if shown := item.text("displayName", "", most=200):
            title = title if title == shown else f"{title}: {shown}"[:200]
        sli = self._sli(frame, item, slug)
        own = _own(frame.document)
        values = {
            "name": own.get("name", title),
            "description": frame.spec.text("description", "", most=5000),
            "budgeting": frame.budgeting,
            **frame.window,
            **({"alerting": own["alerting"]} if isinstance(own.get("alerting"), dict) else {}),
        }
        if (frame.service, slug) in self.slos:
            raise mistake(f"{frame.document.pointer}/metadata/name", "repeated", f"{slug} is there twice")
        self.slos[frame.service, slug] = SloPlan(frame.service, slug, sli, _target(item), values, item.pointer)

    def _window(self, spec: Node) -> dict[str, Any]:
        windows = list(spec.items("timeWindow"))
        if len(windows) != 1:
            raise mistake(f"{spec.pointer}/timeWindow", "required", "exactly one time window is expected")
        window = windows[0]
        count, unit = _duration(window, "duration")
        rolling = window.child("isRolling").value if "isRolling" in window else False
        if not isinstance(rolling, bool):
            raise mistake(f"{window.pointer}/isRolling", "type", "true or false is expected")
        return self._rolling(window, count, unit) if rolling else self._calendar(window, count, unit)

    def _rolling(self, window: Node, count: int, unit: str) -> dict[str, Any]:
        seconds = count * SECONDS.get(unit, 0)
        if not seconds or seconds % 86_400:
            raise mistake(f"{window.pointer}/duration", "choice", "a rolling window lasts whole days or weeks")
        return {"window": WindowKind.ROLLING, "window_days": seconds // 86_400, "calendar_unit": "",
                "time_zone": self.zone}  # fmt: skip

    def _calendar(self, window: Node, count: int, unit: str) -> dict[str, Any]:
        if count != 1 or unit not in UNITS:
            detail = "a calendar window is 1d, 1w, 1M, 1Q or 1Y"
            raise mistake(f"{window.pointer}/duration", "choice", detail)
        if unit == "m":
            self.warnings.append(f"{window.pointer}/duration: a calendar window of 1m is taken as a month (1M)")
        calendar = window.maybe("calendar")
        zone = calendar.text("timeZone", self.zone) if calendar else self.zone
        if zone not in available_timezones():
            raise mistake(f"{window.pointer}/calendar/timeZone", "choice", f"{zone!r} is no time zone")
        if calendar and "startTime" in calendar:
            self.warnings.append(f"{window.pointer}/calendar/startTime: periods begin at midnight of their first day")
        return {"window": WindowKind.CALENDAR, "window_days": None, "calendar_unit": UNITS[unit], "time_zone": zone}

    def _sli(self, frame: _Frame, item: Node, slug: str) -> str:
        holder = self._indicator(frame.spec)
        name = _name(holder) if "metadata" in holder and "name" in holder.child("metadata") else slug
        values = {
            "name": _title(holder, name),
            "description": holder.child("spec").text("description", "", most=1050),
            **self._measure(holder.child("spec"), item),
            **_slices(item, frame.budgeting),
            **{key: value for key, value in _own(holder).items() if key in OWN_SLI},
        }
        for variant in _variants(name):
            known = self.slis.get((frame.service, variant))
            if known is None or known.values == values:
                self.slis[frame.service, variant] = SliPlan(frame.service, variant, values)
                return variant
        raise AssertionError("there is always another name")

    def _indicator(self, spec: Node) -> Node:
        if (inline := spec.maybe("indicator")) is not None:
            return inline
        wanted = spec.text("indicatorRef", most=100)
        if wanted not in self.shared:
            raise mistake(f"{spec.pointer}/indicatorRef", "missing", f"there is no SLI {wanted!r} in these documents")
        return self.shared[wanted]

    def _measure(self, spec: Node, item: Node) -> dict[str, Any]:
        if (threshold := spec.maybe("thresholdMetric")) is not None:
            source = self._source(threshold)
            operator = item.choice("op", OPERATORS)
            return {"kind": SliKind.THRESHOLD, "operator": operator, "threshold": item.number("value"),
                    **self._read_by({"metric": source}, threshold)}  # fmt: skip
        ratio = spec.child("ratioMetric")
        parts = {name: self._source(found) for name in ("good", "bad", "total", "raw") if (found := ratio.maybe(name))}
        if "raw" not in parts and not ("total" in parts and {"good", "bad"} & set(parts)):
            raise mistake(ratio.pointer, "required", "a ratio has total and good (or bad), or raw")
        return {"kind": SliKind.RATIO, "operator": "", "threshold": None, **self._read_by(parts, ratio)}

    def _source(self, metric: Node) -> dict[str, Any]:
        source = metric.child("metricSource")
        found: dict[str, Any] = {"type": source.text("type", "", most=200)}
        if reference := source.text("metricSourceRef", "", most=200):
            found["metricSourceRef"] = reference
            if (known := self.sources.get(reference)) is not None:
                found["type"] = found["type"] or known.text("type", "", most=200)
                details = known.maybe("connectionDetails")
                found["url"] = details.text("url", "", most=500) if details else ""
        spec = source.maybe("spec")
        return {**found, "spec": _plain(spec.value) if spec else {}}

    def _read_by(self, parts: Mapping[str, dict[str, Any]], at: Node) -> dict[str, Any]:
        """Return who reads the events: ourselves where we can, otherwise whoever sends them."""
        types = {part["type"] for part in parts.values()}
        first = next(iter(parts.values()))
        if types == {OWN_SOURCE} and first["spec"].get("source") in SliSource.values:
            return {"source": first["spec"]["source"], "config": first["spec"].get("config") or {}}
        urls = {part.get("url") or part["spec"].get("url", "") for part in parts.values()}
        queries = {name: part["spec"].get("query") for name, part in parts.items()}
        ours = types == {"Prometheus"} and len(urls) == 1 and all(urls) and "total" in queries
        if ours and all(isinstance(query, str) for query in queries.values()):
            return {"source": SliSource.PROMETHEUS, "config": {"url": urls.pop(), **queries}}
        shown = ", ".join(sorted(types - {""})) or "its source"
        self.warnings.append(f"{at.pointer}: {shown} is not read from here; send the events over the API")
        return {"source": SliSource.PUSH, "config": {"openslo": parts}}


def _name(holder: Node) -> str:
    metadata = holder.child("metadata")
    name = metadata.text("name", most=63)
    if not NAME.fullmatch(name):
        detail = "a name has up to 63 small letters, digits and -, and begins and ends with none of the latter"
        raise mistake(f"{metadata.pointer}/name", "pattern", detail)
    return name


def _title(holder: Node, default: str = "") -> str:
    metadata = holder.maybe("metadata")
    return metadata.text("displayName", default or _name(holder), most=200) if metadata else default


def _own(holder: Node) -> dict[str, Any]:
    """Return what an export of this platform has written beside the specification's words."""
    metadata = holder.maybe("metadata")
    annotations = metadata.maybe("annotations") if metadata else None
    if annotations is None or ANNOTATION not in annotations:
        return {}
    try:
        found = json.loads(annotations.text(ANNOTATION, most=10_000))
    except ValueError:
        raise mistake(f"{annotations.pointer}/{ANNOTATION}", "malformed", "this is not JSON") from None
    return found if isinstance(found, dict) else {}


def _target(item: Node) -> Decimal:
    if "targetPercent" in item and "target" not in item:
        target, name = item.number("targetPercent") / 100, "targetPercent"
    else:
        target, name = item.number("target"), "target"
    if not 0 < target < 1:
        raise mistake(
            f"{item.pointer}/{name}", "out_of_range", "a target is more than nothing and less than everything"
        )
    return target


def _slices(item: Node, budgeting: str) -> dict[str, Any]:
    if budgeting == Budgeting.OCCURRENCES:
        return {"slice_seconds": None, "slice_target": None}
    count, unit = _duration(item, "timeSliceWindow")
    seconds = count * SECONDS.get(unit, 0)
    if not seconds:
        raise mistake(f"{item.pointer}/timeSliceWindow", "choice", "a slice lasts minutes, hours or days")
    target = item.number("timeSliceTarget") if budgeting == Budgeting.TIMESLICES else None
    return {"slice_seconds": seconds, "slice_target": target}


def _duration(holder: Node, name: str) -> tuple[int, str]:
    found = DURATION.fullmatch(holder.text(name, most=20))
    if found is None:
        raise mistake(f"{holder.pointer}/{name}", "pattern", "a duration is a number and one of m, h, d, w, M, Q, Y")
    return int(found.group(1)), found.group(2)


def _variants(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _plain(value: Any) -> Any:
    """Return a value as JSON keeps it."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int | str) else str(value)
