"""The base of every API view."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.views import APIView

from core.api.authentication import caller
from core.api.problems import CONTENT_TYPE as PROBLEM_TYPE
from core.api.rendering import JsonNegotiation
from core.api.throttling import spend_request

ANY = ""
"""The scope of a method that any valid key or signed-in person may use."""

HANDLERS = ("get", "post", "put", "patch", "delete")


class ApiView(APIView):
    """One address of the API: `required_scopes` maps each served method to its scope ("GET": "costs:read").

    A handler without a scope is a mistake found when the class is made.
    """

    required_scopes: ClassVar[Mapping[str, str]] = {}
    error_types: ClassVar[tuple[str, ...]] = (PROBLEM_TYPE,)
    """The media types of this address's errors; another protocol's address states that protocol's own."""
    content_negotiation_class = JsonNegotiation

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in HANDLERS:
            if hasattr(cls, name) and name.upper() not in cls.required_scopes:
                raise TypeError(f"{cls.__name__}.{name} has no scope: add {name.upper()} to required_scopes")

    def check_throttles(self, request: Request) -> None:
        """Count the request against the client's rate; the limit 0 counts nothing."""
        limit: int = settings.API_RATE_LIMIT_PER_MINUTE
        if limit:
            spend_request(caller(request).family.hex, limit=limit)

    def options(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:  # type: ignore[override]  # plain
        """Name the methods served here."""
        return HttpResponse(status=204, headers={"Allow": ", ".join(self.allowed_methods)})


class WholeFleetView(ApiView):
    """A view that speaks of everything: a key that is bound to one entity is refused."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse bound keys after the scope was checked."""
        super().initial(request, *args, **kwargs)
        caller(request).require_unbound()
