"""What people change, and what they see of what others changed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.web.browser.feed import Feed
from tests.web.browser.watched import Visitor, until

Visit = Callable[..., Visitor]


def test_threshold_acts_at_once(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    shown = visitor.sees_video()
    assert visitor.look(left=500, right=640)["blue"] is not None
    visitor.slide("Score threshold", 0.7)
    until(lambda: feed.controls.settings.min_score == 0.7, "the setting arrives")
    assert visitor.page.text_content("output[for=min_score]") == "0.70"
    until(lambda: visitor.look(left=500, right=640)["blue"] is None, "the second person disappears")
    visitor.sees_video(after=shown)
    assert visitor.look()["blue"] is not None


def test_smoothing_and_blur(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    assert visitor.page.text_content("output[for=smooth]") == "off"
    visitor.slide("Smoothing", 0.45)
    until(lambda: feed.controls.settings.smooth == 0.45, "the setting arrives")
    visitor.page.get_by_role("switch", name="Blur heads").check()
    until(lambda: feed.controls.settings.blur_heads, "the setting arrives")


def test_dragging_ends_where_it_was_let_go(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    visitor.page.evaluate(
        """() => {
            const slider = document.getElementById("min_score");
            for (let step = 0; step <= 100; step += 1) {
                slider.value = step / 100;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
            }
            slider.value = 0.62;
            slider.dispatchEvent(new Event("input", { bubbles: true }));
        }"""
    )
    until(lambda: feed.controls.settings.min_score == 0.62, "the last value arrives")
    visitor.sees_state("Live")


def test_changes_of_others_are_seen(feed: Feed, visit: Visit) -> None:
    one, other = visit(feed.server.url), visit(feed.server.url)
    for visitor in (one, other):
        visitor.sees_video()
    one.slide("Score threshold", 0.55)
    other.page.wait_for_function("() => document.getElementById('min_score').value === '0.55'")
    assert other.page.text_content("output[for=min_score]") == "0.55"
    feed.controls.update(blur_heads=True, paused=True)
    for visitor in (one, other):
        visitor.sees_state("Paused")
        assert visitor.page.get_by_role("switch", name="Blur heads").is_checked()
        assert visitor.page.get_by_role("button", name="Start").is_visible()


def test_pause_and_start(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    visitor.page.get_by_role("button", name="Pause").click()
    until(lambda: feed.controls.settings.paused, "the setting arrives")
    visitor.sees_state("Paused")
    shown = int(visitor.page.get_attribute("#video", "data-sequence"))
    # Who comes now sees the last picture with its people.
    late = visit(feed.server.url)
    assert late.sees_video() >= shown
    assert late.look()["blue"] is not None
    visitor.page.get_by_role("button", name="Start").click()
    visitor.sees_video(after=shown + 5)
    visitor.sees_state("Live")


def test_keyboard_alone(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    page = visitor.page
    page.wait_for_selector("#settings:enabled")
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.id || document.activeElement.name || ''")
        if name and name in reached:
            break  # all the way round
        reached.append(name)
        if name != "":
            style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert style != "none", f"focus on {name} cannot be seen"
        if name == "pause":
            page.keyboard.press("Space")
            until(lambda: feed.controls.settings.paused, "pause by keyboard")
            visitor.sees_state("Paused")
            page.keyboard.press("Space")
            until(lambda: not feed.controls.settings.paused, "start by keyboard")
        elif name == "min_score":
            page.keyboard.press("End")
            until(lambda: feed.controls.settings.min_score == 1.0, "slider by keyboard")
            page.keyboard.press("ArrowLeft")
            until(lambda: feed.controls.settings.min_score == 0.99, "slider by keyboard")
        elif name == "blur_heads":
            page.keyboard.press("Space")
            until(lambda: feed.controls.settings.blur_heads, "switch by keyboard")
        elif name == "source":
            page.keyboard.press("ArrowDown")
            page.wait_for_function("() => document.getElementById('caption').textContent.startsWith('rear')")
    assert set(reached) >= {"pause", "snapshot", "source", "min_score", "smooth", "blur_heads", "skeletons", "boxes"}


@pytest.mark.parametrize("kind", ["failed", "reconnecting"])
def test_trouble_of_a_source_is_told(feed: Feed, visit: Visit, kind: str) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    feed.messages[0] = "no frame from the camera for 3 s; check its cable"
    feed.states[0] = kind
    visitor.sees_state(kind.capitalize())
    assert visitor.page.text_content("#notice") == feed.messages[0]
    assert feed.messages[0] in visitor.page.text_content("#source-list")
