"""Rows to OpenSLO v1 documents. What the specification has no word for travels in an annotation."""

from __future__ import annotations

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import yaml

from slas.choices import Budgeting, SliKind, SliSource, WindowKind
from slas.models import Service, Sli, Slo
from slas.openslo.reading import ANNOTATION, BUDGETING, OWN_SLI, OWN_SOURCE, VERSION

DURATIONS = {"day": "1d", "week": "1w", "month": "1M", "quarter": "1Q", "year": "1Y"}
METHODS: dict[str, str] = {ours: theirs for theirs, ours in BUDGETING.items()}
VALUED = (SliKind.THRESHOLD, SliKind.LATENCY)


class _Dumper(yaml.SafeDumper):
    """Writes decimals digit by digit."""


_Dumper.add_representer(
    Decimal, lambda dumper, value: dumper.represent_scalar("tag:yaml.org,2002:float", _number(value))
)


def write(services: Iterable[Service], slos: Iterable[Slo]) -> str:
    """Return the documents of services and their plain objectives; composites have no counterpart in version 1."""
    documents = [*map(_service, services), *(_slo(slo, slo.sli) for slo in slos if slo.sli is not None)]
    return "---\n".join(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True) for document in documents
    )


def _service(service: Service) -> dict[str, Any]:
    return _document("Service", service.slug, service.name, {"description": service.description})


def _document(
    kind: str, name: str, title: str, spec: dict[str, Any], own: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"apiVersion": VERSION, "kind": kind, "metadata": _metadata(name, title, own or {}), "spec": spec}


def _metadata(name: str, title: str, own: dict[str, Any]) -> dict[str, Any]:
    annotations = {"annotations": {ANNOTATION: json.dumps(own, sort_keys=True)}} if own else {}
    return {"name": name, "displayName": title, **annotations}


def _slo(slo: Slo, sli: Sli) -> dict[str, Any]:
    own = {"name": slo.name, **({"alerting": slo.alerting} if slo.alerting else {})}
    spec = {
        "description": slo.description,
        "service": slo.service.slug,
        "indicator": _indicator(sli),
        "timeWindow": [_window(slo)],
        "budgetingMethod": METHODS[slo.budgeting],
        "objectives": [_objective(slo, sli)],
    }
    return _document("SLO", slo.slug, slo.name, spec, own)


def _window(slo: Slo) -> dict[str, Any]:
    if slo.window == WindowKind.ROLLING:
        return {"duration": f"{slo.window_days}d", "isRolling": True}
    calendar = {"timeZone": slo.time_zone}
    return {"duration": DURATIONS[slo.calendar_unit], "isRolling": False, "calendar": calendar}


def _objective(slo: Slo, sli: Sli) -> dict[str, Any]:
    found: dict[str, Any] = {"target": slo.target}
    if sli.kind in VALUED:
        found |= {"op": sli.operator, "value": sli.threshold}
    if slo.budgeting != Budgeting.OCCURRENCES and sli.slice_seconds:
        found["timeSliceWindow"] = f"{sli.slice_seconds // 60}m"
    if slo.budgeting == Budgeting.TIMESLICES:
        found["timeSliceTarget"] = sli.slice_target
    return found


def _indicator(sli: Sli) -> dict[str, Any]:
    own = {name: getattr(sli, name) for name in OWN_SLI}
    metric = {"thresholdMetric": _threshold(sli)} if sli.kind in VALUED else {"ratioMetric": _ratio(sli)}
    return {
        "metadata": _metadata(sli.slug, sli.name, own),
        "spec": {"description": sli.description, **metric},
    }


def _threshold(sli: Sli) -> dict[str, Any]:
    given = sli.config.get("openslo", {}).get("metric")
    return {"metricSource": _source(given) if given else _own_source(sli)}


def _ratio(sli: Sli) -> dict[str, Any]:
    if parts := sli.config.get("openslo"):
        return {name: {"metricSource": _source(part)} for name, part in parts.items()}
    if sli.source == SliSource.PROMETHEUS:
        queries = [name for name in ("good", "bad", "total") if sli.config.get(name)]
        return {name: {"metricSource": _prometheus(sli, name)} for name in queries}
    return {name: {"metricSource": _own_source(sli)} for name in ("good", "total")}


def _source(part: dict[str, Any]) -> dict[str, Any]:
    return {name: part[name] for name in ("type", "metricSourceRef", "spec") if part.get(name)}


def _prometheus(sli: Sli, name: str) -> dict[str, Any]:
    return {"type": "Prometheus", "spec": {"url": sli.config["url"], "query": sli.config[name]}}


def _own_source(sli: Sli) -> dict[str, Any]:
    return {"type": OWN_SOURCE, "spec": {"source": sli.source, "config": sli.config}}


def _number(value: Decimal) -> str:
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text if "." in text else f"{text}.0"
