"""Documents inside the product: the Markdown that we use, escaped, linked, readable offline."""

from __future__ import annotations

import pytest

from core.markdown import anchor, inline, title_of, to_html
from core.tests.people import person, signed_in


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("# A *b*", '<h1 id="a-b">A <em>b</em></h1>'),
        ("a\nb\n\nc", "<p>a b</p>\n<p>c</p>"),
        ("- a\n- b\n  more\n  1. c", "<ul><li>a</li><li>b more<ol><li>c</li></ol></li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("```sh\na < b\n\n# c\n```\nd", '<pre tabindex="0"><code>a &lt; b\n\n# c</code></pre>\n<p>d</p>'),
        (
            "| a | b\\|c |\n|---|---|\n| `xy` | 2 |",
            (
                '<table tabindex="0"><thead><tr><th scope="col">a</th><th scope="col">b|c</th></tr></thead>'
                "<tbody><tr><td><code>xy</code></td><td>2</td></tr></tbody></table>"
            ),
        ),
        ("```\nnever closed", '<pre tabindex="0"><code>never closed</code></pre>'),
    ],
)
def test_to_html__block__is_rendered(text: str, html: str) -> None:
    assert to_html(text) == html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** and `**b**`", "<strong>a</strong> and <code>**b**</code>"),
        ("[a](b.md#c)", '<a href="b.md#c">a</a>'),
        ("<https://example.org/a_b_c>", '<a href="https://example.org/a_b_c">https://example.org/a_b_c</a>'),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("[x](javascript:alert(1))", "[x](javascript:alert(1))"),
        ('[x](/a"onclick="b)', '<a href="/a&quot;onclick=&quot;b">x</a>'),
        ("2 * 3 * 4", "2 * 3 * 4"),
    ],
)
def test_inline__text__is_escaped_and_marked_up(text: str, html: str) -> None:
    assert inline(text) == html


def test_title_of__document__is_its_first_heading() -> None:
    assert title_of("intro\n## The guide\n# Later", "x") == "The guide"
    assert title_of("nothing", "fallback") == "fallback"
    assert anchor("Money, exactly: 1.0") == "money-exactly-10"


@pytest.mark.django_db
def test_page__documents__open_for_everybody_inside_and_unknown_ones_are_404() -> None:
    client = signed_in(person(permissions=("core.view_job",)))

    first = client.get("/admin/docs/")

    assert first.status_code == 200
    assert '<h1 id="agent-factory">Agent Factory</h1>' in first.content.decode()
    assert client.get("/admin/docs/architecture/").status_code == 200
    assert client.get("/admin/docs/nothing/").status_code == 404
