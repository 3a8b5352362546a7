"""Answers: JSON by msgspec from structs or plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from django.http import HttpResponse
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

CONTENT_TYPE = "application/json"
_encode = msgspec.json.Encoder().encode


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    """Return `data` (a struct, or anything msgspec encodes) as JSON. Money goes in as text, by `core.money.to_text`."""
    return HttpResponse(_encode(data), content_type=CONTENT_TYPE, status=status, headers=dict(headers or {}))


class JsonRenderer(BaseRenderer):
    """Renders the data of a REST framework `Response`; views that use `answer` do not come here."""

    media_type = CONTENT_TYPE
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return the data as JSON; no data is no body."""
        return b"" if data is None else _encode(data)


class JsonNegotiation(BaseContentNegotiation):
    """One representation: JSON. A caller that excludes it gets 406."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        """Return none: views decode the body themselves."""
        return None

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        """Return the one renderer; raises NotAcceptable when the Accept header leaves it out."""
        renderer = renderers[0]
        accepted = request.META.get("HTTP_ACCEPT", "*/*")
        if any(_accepts(item, renderer.media_type) for item in accepted.split(",")):
            return renderer, renderer.media_type
        raise NotAcceptable(f"this address answers {renderer.media_type} only")


def _accepts(item: str, offered: str) -> bool:
    media_type, _, parameters = item.partition(";")
    wanted = media_type.strip().lower()
    if "q=0" in parameters.replace(" ", "").split(";") or "q=0.0" in parameters:
        return False
    return wanted in {"", "*/*", offered, offered.split("/", maxsplit=1)[0] + "/*"}
