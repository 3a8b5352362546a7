"""The guide to the API is true: its examples are run in order, and answer what the page says."""

from __future__ import annotations

import gzip
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from costs import pricebook
from costs.tests.api_client import Answer, Caller
from costs.tests.api_prices import build_price_book

pytestmark = pytest.mark.django_db
GUIDE = Path(settings.BASE_DIR) / "docs" / "api.md"
EXAMPLE = re.compile(r"```sh\n(.*?)```\n(?:```json\n(.*?)```\n)?", re.DOTALL)
SENT = re.compile(r"(Idempotency-Key|Content-Type|Content-Encoding): ")
ANYTHING = "…"


@dataclass
class Reader:
    """Somebody who follows the page: remembers the ids that were answered and uses them further down."""

    caller: Caller = field(default_factory=Caller)
    known: dict[str, str] = field(default_factory=dict)

    def run(self, command: str) -> Answer:
        """Run one curl command through the test client."""
        for name, value in self.known.items():
            command = command.replace(f"${name}", value)
        words = shlex.split(command.replace("\\\n", " "))
        given = words[words.index("curl") + 1 :]
        options = dict(pairwise(given))
        path = next(word for word in given if word.startswith("$AF/")).removeprefix("$AF/")
        body = _piped(words) if "--data-binary" in given else options.get("--json", "").encode()
        if not body:
            return self.caller.get(path)
        named = (word.partition(": ") for word in given if SENT.match(word))
        headers = {name.replace("-", "_"): value for name, _, value in named}
        content_type = headers.pop("Content_Type", "application/json")
        return self.caller.send(path, body, method=options.get("-X", "POST"), content_type=content_type, **headers)

    def remember(self, body: Any) -> None:
        """Keep the ids that the page refers to by name."""
        for name, variable in (("budget_id", "BUDGET"), ("reservation_id", "RESERVATION")):
            if isinstance(body, dict) and name in body and body.get("status") in {"created", "pending"}:
                self.known[variable] = body[name]


def _piped(words: list[str]) -> bytes:
    """Return what `printf … | gzip | curl --data-binary @-` sends."""
    return gzip.compress(words[words.index("printf") + 2].encode())


def differences(said: Any, answered: Any, where: str = "") -> Iterator[str]:
    """Yield where an answer is not what the page says; an ellipsis on the page stands for anything."""
    if said == ANYTHING:
        return
    if isinstance(said, dict) and isinstance(answered, dict):
        for name in said.keys() | answered.keys():
            yield from differences(said.get(name, "(not said)"), answered.get(name, "(missing)"), f"{where}/{name}")
    elif isinstance(said, list) and isinstance(answered, list) and len(said) == len(answered):
        for index, (left, right) in enumerate(zip(said, answered, strict=True)):
            yield from differences(left, right, f"{where}/{index}")
    elif said != answered:
        yield f"{where}: the page says {said!r}, the answer is {answered!r}"


def dated(text: str) -> str:
    """Move the page's days to now: its 20 November is today, and what happened then happened a moment ago."""
    now = timezone.now().astimezone(UTC)
    ended = int(now.timestamp()) - 5

    def day(distance: int) -> str:
        return (now.date() + timedelta(days=distance)).isoformat()

    moved = {
        "1795168800000000000": str((ended - 1) * 10**9),
        "1795168801000000000": str(ended * 10**9),
        "2026-11-20T10:00:00Z": (now - timedelta(seconds=5)).isoformat(),
        "2026-11-20": day(0),
        "2026-11-21": day(1),
        "2026-11-01": day(-19),
        "2026-12-01": day(3),
    }
    # In one go, longest first: a day that was moved may look like one of the page.
    return re.sub("|".join(sorted(moved, key=len, reverse=True)), lambda found: moved[found[0]], text)


def test_guide__every_example__answers_what_the_page_says() -> None:
    build_price_book()
    reader, wrong = Reader(), []
    examples = EXAMPLE.findall(dated(GUIDE.read_text()))

    for command, said in examples:
        answer = reader.run(command)
        reader.remember(answer.body)
        found = list(differences(json.loads(said), answer.body)) if said else []
        if not said and answer.status >= 300:
            found = [f"status {answer.status}: {answer.body}"]
        wrong += [f"{command.splitlines()[0]}\n  {difference}" for difference in found]
    pricebook.forget()

    assert not wrong, "\n".join(wrong)
    assert len(examples) >= 20
