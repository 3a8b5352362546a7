"""What routing offers to the platform: panels; and what it keeps in place: a tree that tells somebody."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate
from django.utils import timezone


def register_routing(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
    from alerts.routing_panels import PANELS
    from core.ports.panels import panels

    for panel in PANELS:
        panels.register(panel)
    post_migrate.connect(keep_in_place, sender=app, dispatch_uid="alerts.routing")


def keep_in_place(*, using: str, **_: Any) -> None:
    """After every migration and flush: a routing tree where there is none."""
    from alerts.models import GroupNotice
    from alerts.services.routing_defaults import ensure_routing

    # Migrations may stop half-way, at a schema older than this code.
    if GroupNotice._meta.db_table in connections[using].introspection.table_names():
        ensure_routing(now=timezone.now())
