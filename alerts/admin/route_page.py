"""The routing tree on one page, with a box to try labels in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.urls import reverse
from django.utils import timezone

from alerts.admin.sections import TELLING
from alerts.matching import as_text, parse_matchers
from alerts.models import Receiver
from alerts.services.routetree import load_tree
from alerts.tree import EVERY_LABEL, Branch, Step, walk
from core.adminkit import PageView, page
from core.errors import Invalid

EXAMPLE = "alertname=DiskFull, severity=critical"


@dataclass(frozen=True, slots=True)
class Line:
    """One route as a line of the tree."""

    name: str
    depth: int
    takes: str
    receiver: str
    tells: str
    grouping: str
    timing: str
    quiet: str
    goes_on: bool
    link: str
    verdict: str = ""
    why: str = ""


@page
class RoutingPage(PageView):
    """Which alert goes where."""

    path = "alerts/routing/"
    name = "alerts_routing"
    title = "Routing"
    subtitle = "Which alert reaches whom. Of each level the first route that matches takes it."
    permissions = ("alerts.view_route",)
    menu_section = TELLING
    menu_icon = "account_tree"
    menu_order = 40
    template_name = "admin/alerts/routing.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the tree, and how the labels of the address go through it."""
        text = self.request.GET.get("labels", "")
        labels, mistake = _labels(text)
        context = {"lines": _lines(labels, timezone.now()), "labels_text": text, "mistake": mistake, "example": EXAMPLE}
        return {**super().get_context_data(**kwargs), **context, "tried": labels is not None}


def _labels(text: str) -> tuple[dict[str, str] | None, str]:
    """Return the labels of a text such as `alertname=DiskFull, severity=critical`, or what is wrong with it."""
    if not text.strip():
        return None, ""
    try:
        matchers = parse_matchers(text)
    except Invalid as invalid:
        return None, invalid.detail
    if any(matcher.op != "=" for matcher in matchers):
        return None, "An alert has values: write name=value."
    return {matcher.name: matcher.value for matcher in matchers}, ""


def _lines(labels: Mapping[str, str] | None, now: datetime) -> list[Line]:
    tree = load_tree()
    if tree is None:
        return []
    receivers = {row.pk: row for row in Receiver.objects.prefetch_related("channels")}
    steps = {} if labels is None else {step.branch.id: step for step in walk(tree.root, labels).steps}
    found: list[Line] = []

    def add(branch: Branch, depth: int) -> None:
        verdict = _verdict(branch, steps.get(branch.id), labels)
        found.append(_line(branch, depth, receivers.get(branch.receiver or 0), verdict, now))
        for child in branch.children:
            add(child, depth + 1)

    add(tree.root, 0)
    return found


def _line(branch: Branch, depth: int, receiver: Receiver | None, verdict: tuple[str, str], now: datetime) -> Line:
    quiet = branch.muted_by(now)
    return Line(
        name=branch.name,
        depth=depth,
        takes=(as_text(branch.matchers) or "everything that reaches it") if depth else "everything",
        receiver=receiver.name if receiver else "nobody",
        tells=_tells(receiver),
        grouping=_grouping(branch.group_by),
        timing=_timing(branch),
        quiet=f"quiet now ({quiet})" if quiet else "",
        goes_on=branch.continues,
        link=reverse("admin:alerts_route_change", args=[branch.id]),
        verdict=verdict[0],
        why=verdict[1],
    )


def _verdict(branch: Branch, step: Step | None, labels: Mapping[str, str] | None) -> tuple[str, str]:
    """Return a word for the style of a line, and the sentence beside it."""
    if labels is None:
        return "", ""
    if step is None:
        return "skipped", "not looked at: an earlier route has taken it"
    if step.reached:
        return "reached", "gets it"
    if step.matched:
        return "passed", "matches; a route below takes it"
    failing = as_text(matcher for matcher in branch.matchers if not matcher.matches(labels))
    return "missed", f"does not match {failing}"


def _tells(receiver: Receiver | None) -> str:
    if receiver is None:
        return "nobody"
    names = [channel.name for channel in receiver.channels.all()]
    parts = ([", ".join(names)] if names else []) + (["opens an incident"] if receiver.opens_incident else [])
    return " and ".join(parts) or "nobody"


def _grouping(names: Sequence[str]) -> str:
    if EVERY_LABEL in names:
        return "each alert by itself"
    return f"together by {', '.join(names)}" if names else "all together"


def _timing(branch: Branch) -> str:
    wait, interval, repeat = (_words(span) for span in (branch.wait, branch.interval, branch.repeat))
    return f"after {wait}, at most every {interval}, again after {repeat}"


def _words(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    for size, word in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds and seconds % size == 0:
            return f"{seconds // size} {word}"
    return f"{seconds} s"
