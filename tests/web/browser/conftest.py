"""A headless Chromium for the tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.web.browser.feed import Feed
from tests.web.browser.watched import Visitor

pytest.importorskip("aiohttp", reason="the page needs aiohttp: pip install 'gcpose-trt[web]'")
pytest.importorskip("playwright", reason="browser tests need playwright: pip install playwright")

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# Nothing but what the test asks for: no updates, no reports, no GPU, no sandbox where a container has none.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


# Not for the whole session: while Playwright runs, this thread has an event loop and this process has children, which
# tests elsewhere count.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser with a profile of its own."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no Chromium on the PATH ({', '.join(PROGRAMS)}); install one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS, headless=True)
        yield browser
        browser.close()


@pytest.fixture
def feed() -> Iterator[Feed]:
    """A page with two sources."""
    with Feed() as running:
        yield running


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Visitor]]:
    """Open pages as people do who share nothing; at the end none may have had an error or asked another host."""
    visitors: list[Visitor] = []

    def open_page(url: str, **options: Any) -> Visitor:
        visitors.append(Visitor(chromium, url, **options))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        visitor.leave()
    for visitor in visitors:
        assert visitor.errors == []
        assert visitor.foreign == []
