"""The menu: what a person may see, by section, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from core.adminkit.pages import pages

PLATFORM = "Platform"
PEOPLE = "People and access"
HELP = "Help"
# Sections that are not an app of their own. Any other app's section is its verbose name, or it names several in their
# order as `menu_sections` of its config, and each of its pages says which is its own.
SECTION_OF_APP = {
    "core": PLATFORM,
    "auth": PEOPLE,
    "mfa": PEOPLE,
    "usersessions": PEOPLE,
    "django_celery_beat": PLATFORM,
    "django_celery_results": PLATFORM,
}


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One line of the menu."""

    section: str
    title: str
    link: str
    icon: str
    order: int


def menu_items(request: HttpRequest) -> list[MenuItem]:
    """Return every page this person may open, in the order of the menu."""
    found = [*_model_items(request), *_page_items(request)]
    sections = _section_order()
    return sorted(found, key=lambda item: (sections.get(item.section, 50), item.section, item.order, item.title))


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the menu in the theme's shape; called for each page, so it makes no query of its own."""
    home = {"title": "Home", "icon": "home", "link": reverse("admin:index")}
    groups: dict[str, list[dict[str, Any]]] = {"": [home]}
    for item in menu_items(request):
        entry = {"title": item.title, "icon": item.icon, "link": item.link}
        groups.setdefault(item.section, []).append(entry)
    return [{"title": title, "items": items, "separator": bool(title)} for title, items in groups.items()]


def section_of(app_label: str) -> str:
    """Return the heading under which an app's pages stand."""
    return SECTION_OF_APP.get(app_label) or str(apps.get_app_config(app_label).verbose_name)


def _section_order() -> dict[str, int]:
    ours = [
        name
        for config in apps.get_app_configs()
        if config.label not in SECTION_OF_APP
        for name in getattr(config, "menu_sections", (str(config.verbose_name),))
    ]
    order = {name: number for number, name in enumerate(dict.fromkeys(ours))}
    return {**order, PLATFORM: 1000, PEOPLE: 1001, HELP: 1002}


def _model_items(request: HttpRequest) -> list[MenuItem]:
    site = admin.site
    found = []
    for model, model_admin in site._registry.items():
        options = model._meta
        if not getattr(model_admin, "in_menu", True) or not model_admin.has_view_permission(request):
            continue
        found.append(
            MenuItem(
                section=getattr(model_admin, "menu_section", "") or section_of(options.app_label),
                title=str(capfirst(options.verbose_name_plural)),
                link=reverse(f"{site.name}:{options.app_label}_{options.model_name}_changelist"),
                icon=getattr(model_admin, "menu_icon", "list"),
                order=getattr(model_admin, "menu_order", 100),
            )
        )
    return found


def _page_items(request: HttpRequest) -> list[MenuItem]:
    return [
        MenuItem(view.menu_section, view.title, reverse(f"admin:{view.name}"), view.menu_icon, view.menu_order)
        for view in pages()
        if view.menu_section and view.permits(request)
    ]
