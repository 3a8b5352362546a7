"""The files of a report: HTML, PDF, CSV and the inputs themselves as JSON. The same document gives the same bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from django.template.loader import render_to_string

from core.exports import csv_lines
from slas.choices import ReportFormat
from slas.reporting.document import Document

TEMPLATE = Path(__file__).with_name("report.typ")
CONTENT_TYPES = {
    ReportFormat.HTML: "text/html; charset=utf-8",
    ReportFormat.PDF: "application/pdf",
    ReportFormat.CSV: "text/csv; charset=utf-8",
    ReportFormat.JSON: "application/json",
}


def files_of(laid_out: Document, inputs: str, digest: str) -> dict[str, tuple[bytes, str]]:
    """Return (bytes, what made them) of each format; `digest` is printed at the end of what people read."""
    makers: dict[str, Callable[[], tuple[bytes, str]]] = {
        ReportFormat.HTML: lambda: (html(laid_out, digest), "template"),
        ReportFormat.PDF: lambda: (pdf(laid_out, digest), f"typst {version('typst')}"),
        ReportFormat.CSV: lambda: (csv(laid_out), "csv"),
        ReportFormat.JSON: lambda: (inputs.encode(), "inputs"),
    }
    return {name: make() for name, make in makers.items()}


def html(laid_out: Document, digest: str) -> bytes:
    """Return a page that stands alone: no script, no request, made for the screen and for paper."""
    return render_to_string("slas/report.html", {"document": laid_out, "digest": digest}).encode()


def pdf(laid_out: Document, digest: str) -> bytes:
    """Return a tagged PDF (PDF/UA-1). The text goes in as data and is never run as markup."""
    import typst  # 80 MB that only a report needs

    data = json.dumps({**laid_out.to_json(), "digest": digest}, ensure_ascii=False)
    compiled: bytes = typst.compile(
        TEMPLATE.read_bytes(), sys_inputs={"data": data}, ignore_system_fonts=True, pdf_standards="ua-1"
    )
    return compiled


def csv(laid_out: Document) -> bytes:
    """Return the first table of the document."""
    first = laid_out.sections[0]
    return "".join(csv_lines(first.headings or ("Nothing to report",), first.rows)).encode()
