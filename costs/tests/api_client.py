"""A caller of the API for tests: a key, a base address, JSON in and out."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.test import Client
from django.utils import timezone

from core.apikeys import create_key

BASE = "/api/v1/financial/"
EVERYTHING = ("costs:read", "costs:write", "budgets:read", "budgets:write", "prices:read")


@dataclass(frozen=True)
class Answer:
    """What came back: status, JSON body and headers."""

    status: int
    body: Any
    headers: Any


class Caller:
    """Calls the API with one key, through the whole middleware."""

    def __init__(self, scopes: Collection[str] = EVERYTHING, entity: tuple[str, str] | None = None) -> None:
        self.key = create_key("test", scopes=scopes, now=timezone.now(), entity=entity)
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, **query: Any) -> Answer:
        """Ask for a path below /api/v1/financial."""
        return self._answer(self._client.get(BASE + path, query, headers=self._headers({})))

    def send(self, path: str, body: Any, *, method: str = "POST", **headers: str) -> Answer:
        """Send a JSON body; header names are given with underscores."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        content_type = headers.pop("content_type", "application/json")
        # Named twice: Django's client leaves the type of an empty body out.
        response = self._client.generic(
            method,
            BASE + path,
            content,
            content_type=content_type,
            headers=self._headers(headers),
            CONTENT_TYPE=content_type,
        )
        return self._answer(response)

    def _headers(self, headers: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key.secret}", **{k.replace("_", "-"): v for k, v in headers.items()}}

    def _answer(self, response: Any) -> Answer:
        kind = response.get("Content-Type", "")
        return Answer(response.status_code, json.loads(response.content) if "json" in kind else response, response)


def pointers(answer: Answer) -> list[tuple[str, str]]:
    """Return (pointer, code) of each error of a problem document."""
    return [(error["pointer"], error["code"]) for error in answer.body["errors"]]
