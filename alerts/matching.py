"""Matchers of label sets with Alertmanager's meaning: a missing label counts as empty, expressions match the whole.

Expressions are RE2's, which has no backtracking: however it is written, one takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.errors import FieldError, Invalid

OPERATORS = ("=", "!=", "=~", "!~")
MOST_MATCHERS = 64
LONGEST_NAME = 200
LONGEST_VALUE = 10_240
LONGEST_EXPRESSION = 1_000
EXPRESSION_MEMORY_BYTES = 1 << 20

# The name of a label as Prometheus has it, or any name in double quotes.
_MATCHER = re.compile(r'\s*([a-zA-Z_:][a-zA-Z0-9_:]*|"(?:[^"\\]|\\.)*")\s*(=~|!=|!~|=)\s*(.*?)\s*', re.DOTALL)
_ALTERNATIVES = re.compile(r"[\w\-/:@ |]*")
_PLAIN_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_Test = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label: `op` is one of =, !=, =~ and !~."""

    name: str
    op: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Say whether a label set meets the condition."""
        value = labels.get(self.name, "")
        if self.op == "=":
            return value == self.value
        if self.op == "!=":
            return value != self.value
        return _expression(self.value)(value) is (self.op == "=~")

    def __str__(self) -> str:
        value = self.value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'{_quoted_name(self.name)}{self.op}"{value}"'

    def as_json(self) -> dict[str, str]:
        """Return the matcher as it is stored."""
        return {"name": self.name, "op": self.op, "value": self.value}


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Say whether a label set meets all of the conditions; no conditions are met by every one."""
    return all(matcher.matches(labels) for matcher in matchers)


def parse_matchers(given: str | Sequence[Mapping[str, Any] | Matcher], *, pointer: str = "") -> tuple[Matcher, ...]:
    r"""Return the matchers of a JSON list or of Alertmanager's text: `alertname="Disk", severity=~"high|critical"`.

    The braces around the text may be left out, and so may the quotes of a value without a comma. Raises Invalid with
    pointers below `pointer`.
    """
    found = list(_from_text(given, pointer) if isinstance(given, str) else _from_json(given, pointer))
    if len(found) > MOST_MATCHERS:
        raise _invalid(pointer, f"there can be at most {MOST_MATCHERS} matchers")
    return tuple(found)


def stored_matchers(given: Sequence[Mapping[str, Any]]) -> tuple[Matcher, ...]:
    """Return matchers that were checked when they were stored, without checking them again."""
    return tuple(Matcher(item["name"], item["op"], item["value"]) for item in given)


def as_json(matchers: Iterable[Matcher]) -> list[dict[str, str]]:
    """Return matchers as they are stored."""
    return [matcher.as_json() for matcher in matchers]


def as_text(matchers: Iterable[Matcher]) -> str:
    """Return matchers as text that `parse_matchers` reads."""
    return ", ".join(map(str, matchers))


def matches_empty(matchers: Iterable[Matcher]) -> bool:
    """Say whether a label set without any labels would match, and so every alert that lacks the labels named."""
    return matches(matchers, {})


def _from_json(given: Sequence[Mapping[str, Any] | Matcher], pointer: str) -> Iterator[Matcher]:
    for index, item in enumerate(given):
        place = f"{pointer}/{index}"
        if isinstance(item, Matcher):
            yield _checked(item.name, item.op, item.value, place)
            continue
        if not isinstance(item, Mapping) or set(item) != {"name", "op", "value"}:
            raise _invalid(place, "a matcher has a name, an op and a value")
        yield _checked(item["name"], item["op"], item["value"], place)


def _from_text(text: str, pointer: str) -> Iterator[Matcher]:
    inner = text.strip()
    inner = inner.removeprefix("{").removesuffix("}")
    for part in _split(inner):
        found = _MATCHER.fullmatch(part)
        if found is None:
            raise _invalid(pointer, f'this is no matcher: {part.strip()[:200]} (write for example severity="high")')
        name, op, value = found.groups()
        name = _unquoted(name, part, pointer) if name.startswith('"') else name
        yield _checked(name, op, _unquoted(value, part, pointer), pointer)


def _split(text: str) -> list[str]:
    """Return the parts between commas outside of quotes; one after a trailing comma does not count."""
    parts, start, quoted, escaped = [], 0, False, False
    for index, character in enumerate(text):
        if character == "," and not quoted:
            parts.append(text[start:index])
            start = index + 1
        if character == '"' and not escaped:
            quoted = not quoted
        escaped = character == "\\" and not escaped
    return [*parts, text[start:]] if text[start:].strip() else parts


def _unquoted(text: str, part: str, pointer: str) -> str:
    r"""Return a text without its quotes and with \n, \" and \\ resolved; any other backslash stands for itself."""
    quoted = text.startswith('"')
    inner = text[1:] if quoted else text
    if quoted:
        if not _ends_quoted(inner):
            raise _invalid(pointer, f"a double quote is missing or not escaped in {part.strip()[:200]}")
        inner = inner[:-1]
    if re.search(r'(?<!\\)(?:\\\\)*"', inner):
        raise _invalid(pointer, f"a double quote is not escaped in {part.strip()[:200]}")
    return re.sub(r'\\([n"\\])', lambda found: "\n" if found[1] == "n" else found[1], inner)


def _ends_quoted(text: str) -> bool:
    if not text.endswith('"'):
        return False
    before = text[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 0


def _checked(name: Any, op: Any, value: Any, pointer: str) -> Matcher:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or "\x00" in name:
        raise _invalid(f"{pointer}/name", f"the name of a label has 1 to {LONGEST_NAME} characters")
    if op not in OPERATORS:
        raise _invalid(f"{pointer}/op", f"the operator is one of {', '.join(OPERATORS)}")
    if not isinstance(value, str) or len(value) > LONGEST_VALUE or "\x00" in value:
        raise _invalid(f"{pointer}/value", f"the value is a text of at most {LONGEST_VALUE} characters")
    if op in {"=~", "!~"}:
        _require_expression(value, pointer)
    return Matcher(name, op, value)


def _require_expression(value: str, pointer: str) -> None:
    if len(value) > LONGEST_EXPRESSION:
        raise _invalid(f"{pointer}/value", f"an expression has at most {LONGEST_EXPRESSION} characters")
    import re2  # loaded by who uses expressions only

    try:
        _expression(value)
    except re2.error as error:
        raise _invalid(f"{pointer}/value", f"this is no regular expression of RE2: {_words(error)}") from error


def _words(error: Exception) -> str:
    text = error.args[0] if error.args else ""
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


@lru_cache(maxsize=2048)
def _expression(text: str) -> _Test:
    """Return the test whether a whole value matches an expression; a choice between plain words is looked up."""
    if _ALTERNATIVES.fullmatch(text):
        return frozenset(text.split("|")).__contains__
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = EXPRESSION_MEMORY_BYTES, False
    compiled = re2.compile(text, options)
    return lambda value: compiled.fullmatch(value) is not None


def _quoted_name(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code="invalid_matcher", errors=[FieldError(pointer, "invalid_matcher", detail)])
