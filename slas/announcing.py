"""What a condition of an objective carries: the labels alerts are grouped and routed by, and the page it leads to."""

from __future__ import annotations

from django.urls import reverse

from slas.models import Slo


def labels(slo: Slo) -> dict[str, str]:
    """Return the labels of an objective; it comes with its service."""
    service = slo.service
    return {
        "slo": slo.slug,
        "service": service.slug,
        **({"owner": service.owner} if service.owner else {}),
        **({"entity_type": service.entity_type, "entity_id": service.entity_id} if service.entity_type else {}),
    }


def link(slo: Slo) -> str:
    """Return the address of an objective's page."""
    return reverse("admin:slas_slo_change", args=[slo.pk])


def words(seconds: int) -> str:
    """Return a length of time in the largest unit that fits: 3 d, 6 h, 30 min."""
    for length, unit in ((86_400, "d"), (3_600, "h")):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds // 60} min"
