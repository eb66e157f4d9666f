"""The video and what is drawn on it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from tests.web.browser.feed import BAR, GROUND, HEIGHT, STEP, WIDTH, Feed
from tests.web.browser.watched import WAIT_S, Visitor, until

Visit = Callable[..., Visitor]


def test_video_moves_with_its_skeletons(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    places, sequence = set(), 0
    for _ in range(8):
        sequence = visitor.sees_video(after=sequence)
        seen = visitor.look()
        # Left joints are blue and on the picture's right.
        assert seen["orange"] < seen["blue"]
        centre = (seen["orange"] + seen["blue"]) / 2
        assert abs(centre - seen["bar"] - BAR) < STEP / 2, "the skeleton of another frame"
        places.add(round(seen["bar"]))
    assert len(places) >= 4


def test_canvas_has_the_screens_pixels(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url, device_scale_factor=2, viewport={"width": 700, "height": 900})
    visitor.sees_video()
    seen = visitor.look()
    assert seen["width"] == 2 * visitor.page.evaluate("document.getElementById('video').clientWidth") > 2 * WIDTH
    assert abs(seen["width"] / seen["height"] - WIDTH / HEIGHT) < 0.01
    visitor.page.set_viewport_size({"width": 400, "height": 800})
    visitor.page.wait_for_function("() => document.getElementById('video').width === 800")


def test_overlay_can_be_left_out(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    visitor.page.get_by_role("switch", name="Skeletons").uncheck()
    shown = visitor.sees_video()
    visitor.sees_video(after=shown)
    seen = visitor.look()
    assert seen["bar"] is not None and seen["blue"] is None and seen["orange"] is None
    assert visitor.page.get_attribute("#snapshot", "href").endswith("plain=1")


def test_source_is_picked(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    for name, source in (("rear", 1), ("front", 0)):
        visitor.page.get_by_role("radio", name=name).check()
        visitor.sees_video()
        blue, green, red = GROUND[source]
        until(lambda wanted=(red, green, blue): np.abs(np.subtract(visitor.look()["ground"], wanted)).max() < 12, name)
        assert visitor.look()["blue"] is not None
        assert visitor.page.text_content("#caption").startswith(name)


def test_snapshot_is_downloaded(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    with visitor.page.expect_download() as download:
        visitor.page.click("#snapshot")
    assert download.value.suggested_filename.endswith(".jpg")
    picture = cv2.imread(str(download.value.path()))
    assert picture.shape == (HEIGHT, WIDTH, 3)


def test_hidden_page_does_not_stream(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    visitor.sees_video()
    viewers = feed.server.channels[0].viewers
    hide = """hidden => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    visitor.page.evaluate(hide, True)
    until(lambda: not viewers, "the stream ends")
    shown = int(visitor.page.get_attribute("#video", "data-sequence"))
    visitor.page.evaluate(hide, False)
    visitor.sees_video(after=shown)
    assert len(viewers) == 1


@pytest.mark.slow
def test_ten_visitors_at_once(feed: Feed, visit: Visit) -> None:
    feed.period_s = 0.5  # one browser draws for all ten
    visitors = [visit(feed.server.url, viewport={"width": 320, "height": 480}) for _ in range(10)]
    first = [visitor.sees_video() for visitor in visitors]
    assert len(feed.server.channels[0].viewers) == 10
    for visitor, sequence in zip(visitors, first, strict=True):
        visitor.sees_video(after=sequence)
        visitor.sees_state("Live")


def test_client_that_stalls_disturbs_nobody(feed: Feed, visit: Visit) -> None:
    visitor = visit(feed.server.url)
    shown = visitor.sees_video()
    # It asks for the video and never reads; its window is full after a few pictures.
    with socket.socket() as stalled:
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(feed.server.address)
        stalled.sendall(b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: len(feed.server.channels[0].viewers) == 2, "the client that stalls is served")
        for _ in range(10):
            before = time.monotonic()
            shown = visitor.sees_video(after=shown)
            assert time.monotonic() - before < WAIT_S
            visitor.sees_state("Live")
