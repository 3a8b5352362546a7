"""The documents of docs/, readable inside the product, without a connection."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import Http404
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from core.adminkit import PageView, page
from core.adminkit.navigation import HELP
from core.markdown import title_of, to_html

FIRST = "README"


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the documentation."""

    slug: str
    title: str
    file: Path


@cache
def documents() -> dict[str, Document]:
    """Return the documents by slug, read once per process: the README, then docs/ by name."""
    files = [settings.BASE_DIR / "README.md", *sorted((settings.BASE_DIR / "docs").rglob("*.md"))]
    found = {}
    for file in files:
        if file.is_file():
            slug = re.sub(r"\W+", "-", str(file.relative_to(settings.BASE_DIR).with_suffix("")).removeprefix("docs/"))
            found[slug] = Document(slug, title_of(file.read_text(encoding="utf-8"), slug), file)
    return found


def html_of(document: Document) -> SafeString:
    """Return a document's HTML, with links between documents leading to their pages here."""

    def resolve(address: str) -> str:
        target, _, part = address.partition("#")
        file = (document.file.parent / target).resolve() if target else None
        for other in documents().values():
            if file == other.file.resolve():
                return reverse("admin:docs_page", args=[other.slug]) + (f"#{part}" if part else "")
        return address

    # Escaped by to_html; the files are part of the product.
    return mark_safe(to_html(document.file.read_text(encoding="utf-8"), resolve))  # noqa: S308


class DocsView(PageView):
    """The first document."""

    path = "docs/"
    name = "docs"
    title = "Documentation"
    template_name = "admin/docs/page.html"
    menu_section = HELP
    menu_icon = "menu_book"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the document asked for and the list of all."""
        slug = self.kwargs.get("slug") or next(iter(documents()), FIRST)
        document = documents().get(slug)
        if document is None:
            raise Http404("there is no such document")
        entries = [
            {"title": item.title, "link": reverse("admin:docs_page", args=[item.slug]), "active": item == document}
            for item in documents().values()
        ]
        return {**super().get_context_data(**kwargs), "document": html_of(document), "entries": entries}


page(DocsView)


@page
class DocsPageView(DocsView):
    """One document by name."""

    path = "docs/<slug:slug>/"
    name = "docs_page"
    menu_section = ""
