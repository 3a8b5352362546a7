"""Objectives made from ready templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from core.errors import FieldError, Invalid
from slas.models import Service, Slo
from slas.services.objectives import create_sli, create_slo
from slas.sli_templates import BY_KEY, Template


@transaction.atomic
def instantiate(
    service: Service, keys: Sequence[str], *, now: datetime, targets: Mapping[str, Decimal] | None = None
) -> list[Slo]:
    """Make the indicators and objectives of these templates for a service; all of them or none.

    `targets` replaces the templates' own. Raises Invalid for an unknown template, Conflict for one that is there.
    """
    wrong = [
        FieldError(f"/templates/{number}", "not_a_choice", f"there is no template {key!r}; known: {', '.join(BY_KEY)}")
        for number, key in enumerate(keys)
        if key not in BY_KEY
    ]
    if wrong or not keys:
        raise Invalid("name the templates", errors=wrong or [FieldError("/templates", "required", "name one at least")])
    return [_make(service, BY_KEY[key], (targets or {}).get(key), now) for key in dict.fromkeys(keys)]


def _make(service: Service, template: Template, target: Decimal | None, now: datetime) -> Slo:
    slug = template.key.replace("_", "-")
    common: dict[str, Any] = {"slug": slug, "name": template.title, "description": template.description}
    measure = {
        "kind": template.kind,
        "operator": template.operator,
        "threshold": template.threshold,
        "unit": template.unit,
    }
    sli = create_sli(service, {**common, **measure}, now=now)
    return create_slo(service, sli, {**common, "target": target or template.target}, now=now)
