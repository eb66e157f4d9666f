"""The page as a browser shows it, from the disk: nothing is fetched, nothing sticks out, both schemes work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
A4 = 703  # CSS pixels between the margins of the page
# Elements that stick out of the window and are in nothing that scrolls.
_OUTSIDE = """() => [...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect();
    return box.right > innerWidth + 1 && !element.closest(".wide, nav, svg");
}).map(element => element.outerHTML.slice(0, 120))"""
_INK = """() => {
    const text = document.querySelector("figure svg[role=img] text[fill=currentColor]");
    const shape = document.querySelector("figure svg[role=img] [fill='var(--c0)'], figure svg [stroke='var(--c0)']");
    const panel = getComputedStyle(document.querySelector("section")).backgroundColor;
    const style = getComputedStyle(shape);
    return [getComputedStyle(text).fill, style.fill === "none" ? style.stroke : style.fill, panel];
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    pytest.importorskip("playwright", reason="browser tests need playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no Chromium on the PATH ({', '.join(PROGRAMS)}); install one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS, headless=True)
        yield browser
        browser.close()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1400, "dark")])
def test_the_page_stands_alone_and_fits(chromium: Any, rendered: Path, width: int, scheme: str) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    address = (rendered / "report.html").as_uri()
    page.goto(address)
    try:
        assert [url for url in asked if not url.startswith("data:")] == [address]
        assert said == []  # the policy would complain of what it kept out
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(_OUTSIDE) == []
        assert page.evaluate("[...document.images].every(image => image.naturalWidth > 0)")
        ink, series, panel = page.evaluate(_INK)
        light = {"ink": "rgb(20, 24, 30)", "series": "rgb(10, 112, 189)", "panel": "rgb(255, 255, 255)"}
        dark = {"ink": "rgb(232, 235, 240)", "series": "rgb(68, 180, 255)", "panel": "rgb(22, 26, 32)"}
        assert {"ink": ink, "series": series, "panel": panel} == (light if scheme == "light" else dark)
        letters = page.evaluate("document.querySelector('figure svg[role=img] text').getBoundingClientRect().height")
        assert letters >= 11  # pixels of a line: readable on a phone
        page.emulate_media(media="print")
        page.set_viewport_size({"width": A4, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= A4
    finally:
        context.close()
