"""The part of Markdown that our documents use, as HTML. Everything is escaped first: a document cannot bring markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html import escape

INLINE: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\*\*(.+?)\*\*"), r"<strong>\1</strong>"),
    (re.compile(r"(?<![\w*])\*([^*\s][^*]*)\*(?!\w)"), r"<em>\1</em>"),
)
CODE = re.compile(r"`([^`]+)`")
AUTOLINK = re.compile(r"&lt;(https?://[^\s&]+)&gt;")
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
ITEM = re.compile(r"^(\s*)(?:[-*]|(\d+)\.)\s+(.*)$")
HEADING = re.compile(r"^(#{1,4})\s+(.*?)#*$")
FENCE = re.compile(r"^```")
RULE = re.compile(r"^\s*\|?\s*:?-{2,}")
SAFE_LINK = re.compile(r"^(https?://|/|#|[\w./-]+$|[\w./-]+#)")

Resolve = Callable[[str], str]


def to_html(text: str, resolve: Resolve = lambda address: address) -> str:
    """Return the HTML of a document: headings, paragraphs, lists, tables, code, emphasis and links.

    `resolve` turns the address of a link into the one to show, so that documents link to each other by file name.
    """
    return "\n".join(_blocks(text.splitlines(), resolve))


def title_of(text: str, otherwise: str) -> str:
    """Return the first heading of a document."""
    for line in text.splitlines():
        if match := HEADING.match(line):
            return match.group(2).strip()
    return otherwise


def anchor(heading: str) -> str:
    """Return the id of a heading, as forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def inline(text: str, resolve: Resolve = lambda address: address) -> str:
    """Return one line's HTML; what stands in backquotes is left as it is."""
    kept: list[str] = []

    def keep(html: str) -> str:
        kept.append(html)
        return f"\x00{len(kept) - 1}\x00"

    def link(match: re.Match[str]) -> str:
        address = resolve(match.group(2))
        if not SAFE_LINK.match(address):
            return match.group(0)
        return f'<a href="{keep(address)}">{match.group(1)}</a>'

    html = CODE.sub(lambda match: keep(f"<code>{match.group(1)}</code>"), escape(text))
    html = AUTOLINK.sub(r'<a href="\1">\1</a>', LINK.sub(link, html))
    for pattern, replacement in INLINE:
        html = pattern.sub(replacement, html)
    return re.sub(r"\x00(\d+)\x00", lambda match: kept[int(match.group(1))], html)


def _blocks(lines: list[str], resolve: Resolve) -> Iterator[str]:
    position = 0
    while position < len(lines):
        line = lines[position]
        if not line.strip():
            position += 1
            continue
        for starts, render in _KINDS:
            if starts(lines, position):
                html, position = render(lines, position, resolve)
                yield html
                break


def _code(lines: list[str], start: int, resolve: Resolve) -> tuple[str, int]:
    end = start + 1
    while end < len(lines) and not FENCE.match(lines[end]):
        end += 1
    code = escape("\n".join(lines[start + 1 : end]))
    return f'<pre tabindex="0"><code>{code}</code></pre>', end + 1


def _heading(lines: list[str], start: int, resolve: Resolve) -> tuple[str, int]:
    match = HEADING.match(lines[start])
    assert match is not None  # the caller looked
    level, words = len(match.group(1)), match.group(2).strip()
    return f'<h{level} id="{anchor(words)}">{inline(words, resolve)}</h{level}>', start + 1


def _table(lines: list[str], start: int, resolve: Resolve) -> tuple[str, int]:
    end = start
    while end < len(lines) and "|" in lines[end] and lines[end].strip():
        end += 1
    rows = [_cells(line) for line in (lines[start], *lines[start + 2 : end])]
    head = "".join(f'<th scope="col">{inline(cell, resolve)}</th>' for cell in rows[0])
    body = "".join(f"<tr>{''.join(f'<td>{inline(cell, resolve)}</td>' for cell in row)}</tr>" for row in rows[1:])
    return f'<table tabindex="0"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>', end


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def _list(lines: list[str], start: int, resolve: Resolve) -> tuple[str, int]:
    """Render one list; lines that are indented further belong to the item above, as text or as a list of its own."""
    match = ITEM.match(lines[start])
    assert match is not None  # the caller looked
    indent, ordered = len(match.group(1)), match.group(2) is not None
    items: list[str] = []
    position = start
    while position < len(lines):
        found = ITEM.match(lines[position])
        if found and len(found.group(1)) == indent:
            items.append(inline(found.group(3), resolve))
            position += 1
        elif found and len(found.group(1)) > indent:
            nested, position = _list(lines, position, resolve)
            items[-1] += nested
        elif lines[position].startswith(" " * (indent + 1)) and lines[position].strip():
            items[-1] += " " + inline(lines[position].strip(), resolve)
            position += 1
        else:
            break
    tag = "ol" if ordered else "ul"
    return f"<{tag}>{''.join(f'<li>{item}</li>' for item in items)}</{tag}>", position


def _paragraph(lines: list[str], start: int, resolve: Resolve) -> tuple[str, int]:
    end = start + 1
    while end < len(lines) and lines[end].strip() and not any(starts(lines, end) for starts, _ in _KINDS[:-1]):
        end += 1
    return f"<p>{inline(' '.join(line.strip() for line in lines[start:end]), resolve)}</p>", end


def _is_table(lines: list[str], position: int) -> bool:
    return "|" in lines[position] and position + 1 < len(lines) and RULE.match(lines[position + 1]) is not None


_Starts = Callable[[list[str], int], bool]
_Render = Callable[[list[str], int, Resolve], tuple[str, int]]
_KINDS: tuple[tuple[_Starts, _Render], ...] = (
    (lambda lines, position: FENCE.match(lines[position]) is not None, _code),
    (lambda lines, position: HEADING.match(lines[position]) is not None, _heading),
    (_is_table, _table),
    (lambda lines, position: ITEM.match(lines[position]) is not None, _list),
    (lambda _lines, _position: True, _paragraph),
)
