"""Port `scopes`: what an API key may be allowed to do, and the permission that stands for it in a person's session."""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.ports import Registry

NAME = re.compile(r"[a-z][a-z_]*:(read|write|admin)")


@dataclass(frozen=True, slots=True)
class Scope:
    """One right of the closed vocabulary, as `things:verb`.

    `permission` is the Django permission ("costs.view_costevent") that a signed-in person needs for the same.
    """

    name: str
    description: str
    permission: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"scope {self.name!r} is not of the form things:read, things:write or things:admin")


scopes: Registry[Scope] = Registry("scopes", key=lambda scope: scope.name)
