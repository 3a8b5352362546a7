"""Where one app offers what another uses, without either importing the other.

Each port is a frozen dataclass and a `Registry` of it. Apps register in `AppConfig.ready()`; once every app is ready
the registries are closed, so that nothing can be added, or swapped, while requests are served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class PortError(RuntimeError):
    """A registration came twice or too late, or something was asked for that nobody offers."""


_registries: list[Registry[object]] = []


class Registry(Generic[Item]):
    """An ordered collection of offers, each under one name, that is closed once the apps are ready."""

    def __init__(self, name: str, key: Callable[[Item], str]) -> None:
        self.name = name
        self._key = key
        self._items: dict[str, Item] = {}
        self._closed = False
        _registries.append(self)  # type: ignore[arg-type]  # the list only closes them

    def register(self, item: Item) -> Item:
        """Add one offer; raises PortError for a name already taken or after the port was closed."""
        name = self._key(item)
        if self._closed:
            raise PortError(f"{self.name}: {name!r} was registered after start-up; register in AppConfig.ready()")
        if name in self._items:
            raise PortError(f"{self.name}: {name!r} is registered twice")
        self._items[name] = item
        return item

    def close(self) -> None:
        """Take no more offers."""
        self._closed = True

    def get(self, name: str) -> Item:
        """Return one offer; raises PortError with the known names when there is none of that name."""
        try:
            return self._items[name]
        except KeyError:
            known = ", ".join(sorted(self._items)) or "none"
            raise PortError(f"{self.name}: nobody offers {name!r} (known: {known})") from None

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items


def close_all() -> None:
    """Close every port; called once, by the last app to become ready."""
    for registry in _registries:
        registry.close()
