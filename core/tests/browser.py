"""A real browser for tests: it must not ask anything of another machine, and no page may have an error.

Fixtures: `page` (a fresh browser window on the live server), `sign_in`, `accessible`. Without Chromium the tests are
skipped with a word; with CI set they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
AXE = Path(settings.BASE_DIR) / "frontend-tests" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def _missing(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and CI demands it")
    pytest.skip(f"{what} is missing")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Return one running Chromium for the whole session."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not path:
        _missing("chromium")
    from playwright.sync_api import sync_playwright

    # Playwright's calls hold an event loop in this thread; Django would refuse to use the database beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Watch:
    """Collects what must not happen in a page."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc
        self.found: list[str] = []
        self.expected: tuple[str, ...] = ()

    def attach(self, page: Any) -> None:
        """Listen to a page."""
        page.on("request", self._request)
        page.on("pageerror", lambda error: self.found.append(f"page error: {error}"))
        page.on("console", self._console)

    def _request(self, request: Any) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.netloc != self.host:
            self.found.append(f"request to another machine: {request.url}")

    def _console(self, message: Any) -> None:
        if message.type == "error" and not any(text in message.text for text in self.expected):
            self.found.append(f"console error: {message.text}")


@pytest.fixture(params=["light"])
def page(chromium: Any, live_server: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return a fresh window; parametrize indirectly with "dark" or "narrow" for another look."""
    look = request.param
    size = {"width": 390, "height": 844} if look == "narrow" else {"width": 1280, "height": 900}
    context = chromium.new_context(
        base_url=live_server.url,
        viewport=size,
        color_scheme="dark" if look == "dark" else "light",
        timezone_id="Europe/Berlin",
        reduced_motion="reduce",
    )
    context.set_default_timeout(60_000)
    window = context.new_page()
    window.watch = Watch(live_server.url)
    window.watch.attach(window)
    yield window
    context.close()
    assert window.watch.found == []


@pytest.fixture
def sign_in(page: Any, live_server: Any) -> Callable[[User], None]:
    """Return what signs a person in without the form."""

    def into(user: User) -> None:
        client = Client()
        client.force_login(user)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        host = urlsplit(live_server.url).hostname
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "domain": host, "path": "/"}])

    return into


@pytest.fixture
def accessible(page: Any) -> Callable[..., list[str]]:
    """Return what checks the page against WCAG A and AA: broken rules with the first selectors that break them."""
    if not AXE.is_file():
        _missing("axe-core (npm ci in frontend-tests)")
    source = AXE.read_text(encoding="utf-8")

    def check() -> list[str]:
        page.evaluate(source)
        result = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
        return [
            f"{rule['id']}: {' '.join(node['target'][-1] for node in rule['nodes'][:4])} ({len(rule['nodes'])})"
            for rule in result["violations"]
        ]

    return check
