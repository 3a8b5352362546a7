"""YAML with its places: every mistake is named by a JSON pointer, the first part of which counts the documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from core.errors import FieldError, Invalid

MOST_BYTES = 1024 * 1024
MOST_DOCUMENTS = 1000


class OpenSloError(Invalid):
    """The documents are not OpenSLO v1, or ask for what cannot be; `errors` say where."""

    code = "invalid_openslo"


def mistake(pointer: str, code: str, detail: str) -> OpenSloError:
    """Return the refusal of one place."""
    return OpenSloError(f"{pointer}: {detail}" if pointer else detail, errors=[FieldError(pointer, code, detail)])


class _Loader(yaml.SafeLoader):
    """Keeps decimals as they were written; takes no anchors, by which a small text can stand for a huge one."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not taken", self.peek_event().start_mark)  # type: ignore[no-untyped-call]  # untyped in the stubs
        return super().compose_node(parent, index)


def _decimal(loader: yaml.SafeLoader, node: Any) -> Decimal:
    text = str(loader.construct_scalar(node)).replace("_", "")
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise yaml.constructor.ConstructorError(None, None, f"{text} is no number that counts", node.start_mark)
    return value


_Loader.add_constructor("tag:yaml.org,2002:float", _decimal)


def load(text: str) -> list[Node]:
    """Return the documents of a text (YAML, or JSON, which is YAML); raises OpenSloError for anything else."""
    if len(text.encode()) > MOST_BYTES:
        raise mistake("", "too_large", f"at most {MOST_BYTES:,} bytes are read at once")
    try:
        # A subclass of the safe loader: it makes plain values only.
        documents = [found for found in yaml.load_all(text, Loader=_Loader) if found is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise mistake("", "malformed", f"this is not YAML: {' '.join(str(error).split())[:300]}") from error
    if not documents:
        raise mistake("", "empty", "there is no document in it")
    if len(documents) > MOST_DOCUMENTS:
        raise mistake("", "too_many", f"at most {MOST_DOCUMENTS} documents are read at once")
    return [Node(found, f"/{number}") for number, found in enumerate(documents)]


class Node:
    """One value and where it stands."""

    def __init__(self, value: Any, pointer: str) -> None:
        self.value, self.pointer = value, pointer

    def __contains__(self, name: str) -> bool:
        return isinstance(self.value, dict) and self.value.get(name) is not None

    def child(self, name: str) -> Node:
        """Return a member that has to be there."""
        if not isinstance(self.value, dict):
            raise mistake(self.pointer, "type", "an object is expected")
        if self.value.get(name) is None:
            raise mistake(f"{self.pointer}/{name}", "required", f"{name} is required")
        return Node(self.value[name], f"{self.pointer}/{name}")

    def maybe(self, name: str) -> Node | None:
        """Return a member, or None."""
        return self.child(name) if name in self else None

    def text(self, name: str, default: str | None = None, *, most: int = 2000) -> str:
        """Return a member that is a text; without a default it has to be there."""
        if name not in self and default is not None:
            return default
        found = self.child(name)
        if not isinstance(found.value, str) or len(found.value) > most:
            raise mistake(found.pointer, "type", f"a text of at most {most} characters is expected")
        return found.value

    def number(self, name: str) -> Decimal:
        """Return a member that is a number, exactly as it was written."""
        found = self.child(name)
        if isinstance(found.value, bool) or not isinstance(found.value, int | Decimal):
            raise mistake(found.pointer, "type", "a number is expected")
        return Decimal(found.value)

    def choice(self, name: str, allowed: Sequence[str], default: str | None = None) -> str:
        """Return a member that is one of a few words."""
        value = self.text(name, default)
        if value not in allowed:
            detail = f"{value!r} is none of {', '.join(allowed)}"
            raise mistake(f"{self.pointer}/{name}", "choice", detail)
        return value

    def items(self, name: str) -> Iterator[Node]:
        """Yield the items of a member that is a list; nothing when it is not there."""
        found = self.maybe(name)
        if found is None:
            return
        if not isinstance(found.value, list):
            raise mistake(found.pointer, "type", "a list is expected")
        for number, item in enumerate(found.value):
            yield Node(item, f"{found.pointer}/{number}")
