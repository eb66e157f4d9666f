"""Who gets in, what happens when the server goes away, and how the page fits screens and people."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from gcpose_trt.web.files import PAGE
from tests.web.browser.feed import Feed
from tests.web.browser.watched import Visitor, until

Visit = Callable[..., Visitor]
TOKEN = "correct-horse-battery"


def test_token_lets_in_and_a_wrong_one_does_not(visit: Visit) -> None:
    with Feed(token=TOKEN) as feed:
        visitor = visit(feed.server.url, expected=("401",))
        page = visitor.page
        assert page.url.endswith("/login")
        panel, title, field = (page.locator(part).bounding_box() for part in ("main", "h1", "#token"))
        assert panel["x"] < field["x"] and field["x"] + field["width"] < panel["x"] + panel["width"]
        assert title["y"] + title["height"] < field["y"]
        page.get_by_label("Token").fill("not-the-token")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=The token is wrong.")
        page.get_by_label("Token").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        visitor.sees_video()
        assert not any(TOKEN in line for line in feed.log)
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
        page.goto(feed.server.url)
        assert page.url.endswith("/login")
        visitor.leave()


def test_comes_back_after_the_server_does(visit: Visit) -> None:
    lost = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "WebSocket connection", "ERR_CONNECTION_RESET")
    with Feed() as feed:
        port = feed.server.address[1]
        visitor = visit(feed.server.url, expected=(*lost, "ERR_EMPTY_RESPONSE"))
        visitor.sees_video()
        visitor.page.get_by_label("Smoothing").focus()
    visitor.page.wait_for_selector("#banner:has-text('Connection lost')")
    visitor.sees_state("Offline")
    assert visitor.page.locator("#pause").is_disabled()
    with Feed(port=port) as feed:
        visitor.sees_state("Live")
        # The sequence numbers began again: what was seen before says nothing.
        until(lambda: len(feed.server.channels[0].viewers) == 1, "the video comes back")
        visitor.page.wait_for_selector("#banner:empty", state="attached")
        visitor.sees_video(after=int(visitor.page.get_attribute("#video", "data-sequence")))
        assert visitor.look()["blue"] is not None
        assert visitor.page.evaluate("document.activeElement.id") == "smooth"
        visitor.slide("Score threshold", 0.8)
        until(lambda: feed.controls.settings.min_score == 0.8, "settings go out again")


def test_fits_every_screen(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    visitor.page.wait_for_selector("#stages tr", state="attached")
    for width, height in ((320, 568), (390, 844), (768, 1024), (1280, 800), (3840, 2160)):
        visitor.page.set_viewport_size({"width": width, "height": height})
        visitor.page.wait_for_function("width => innerWidth === width", arg=width)
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width
        box: dict[str, Any] = visitor.page.locator("#video").bounding_box()
        assert box["width"] > 0.4 * width and box["x"] >= 0 and box["x"] + box["width"] <= width + 1
        if width < 500:
            small = map(_size, visitor.page.locator("button:visible, .button, .switch, .row").all())
            assert min(tall for _, tall in small) >= 32, "too small for a finger"


def _size(locator: Any) -> tuple[float, float]:
    box = locator.bounding_box()
    return (box["width"], box["height"]) if box else (100.0, 100.0)


def _luminance(colour: str) -> float:
    values = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


_TEXTS = """() => [...document.querySelectorAll("body *")].filter((element) =>
    element.getClientRects().length && !element.closest("#stage, .unseen") && !element.matches(":disabled, :disabled *")
    && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())
).map((element) => {
    let ground = element;
    while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    return [element.textContent.trim(), getComputedStyle(element).color, getComputedStyle(ground).backgroundColor];
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(feed: Feed, visit: Visit, scheme: str) -> None:
    feed.states[1], feed.messages[1] = "failed", "the camera is gone; plug it in"
    visitor = visit(feed.server.url, color_scheme=scheme)
    visitor.sees_video()
    visitor.page.wait_for_selector("#stages tr")
    texts = visitor.page.evaluate(_TEXTS)
    assert len(texts) > 30
    for text, colour, ground in texts:
        light, dark = sorted((_luminance(colour), _luminance(ground)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, colour, ground)
    body = _luminance(visitor.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (body < 0.05) == (scheme == "dark")


def test_everything_has_a_name(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    unnamed = visitor.page.evaluate(
        """() => [...document.querySelectorAll("input, button, a")].filter((element) =>
            !(element.labels?.length || element.textContent.trim())).map((element) => element.outerHTML)"""
    )
    assert unnamed == []
    visitor.page.wait_for_function(
        "() => /Latency in milliseconds, last 60 seconds. p50: \\d+, \\d+ to \\d+; p99/.test("
        "document.querySelector('#latency .summary').textContent)"
    )


def test_page_is_light_and_keeps_to_itself() -> None:
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 60_000
    for path in files:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|<style|style=|<script>| on\w+=", text), path.name
