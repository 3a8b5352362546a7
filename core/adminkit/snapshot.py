"""What an object looks like at one moment, for the audit log; secrets are named and never copied."""

from __future__ import annotations

from typing import Any

from django.db import models

HIDDEN = "(hidden)"


def snapshot(obj: models.Model, hidden: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the stored values of one object: columns by name, many-to-many relations as sorted texts."""
    values: dict[str, Any] = {field.attname: field.value_from_object(obj) for field in obj._meta.concrete_fields}
    for field in obj._meta.many_to_many:
        values[field.name] = sorted(str(item) for item in getattr(obj, field.name).all())
    return {name: HIDDEN if name in hidden and value else value for name, value in values.items()}


def differences(
    before: dict[str, Any], after: dict[str, Any], changed: tuple[str, ...] = ()
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return only what differs, on both sides; a hidden value counts as different when it is in `changed`."""
    names = [name for name in after if before.get(name) != after[name] or name in changed]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}
