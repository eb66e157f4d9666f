"""A person in front of the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

WAIT_S = 30.0

# Where what is drawn lies, in pixels of the frame: means of x of what has the colours of the bar, and of the skeleton
# in the columns from `left` to `right`.
_LOOK = """([left, right]) => {
    const canvas = document.getElementById("video");
    const { width, height } = canvas;
    const scale = 640 / width;
    // A copy: the browser would slow down a canvas that is read often, and say so.
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const pixels = copy.getImageData(0, 0, width, height).data;
    const means = { bar: [0, 0], blue: [0, 0], orange: [0, 0] };
    for (let y = 0; y < height; y += 2) for (let x = 0; x < width; x += 1) {
        const at = 4 * (y * width + x);
        const [r, g, b] = [pixels[at], pixels[at + 1], pixels[at + 2]];
        let name = null;
        if (g > 200 && r < 60 && b < 60) name = "bar";
        else if (x * scale < left || x * scale >= right) continue;
        else if (b > 230 && g > 150 && g < 200 && r < 70) name = "blue";
        else if (r > 230 && g > 100 && g < 160 && b < 80) name = "orange";
        if (name) { means[name][0] += (x + 0.5) * scale; means[name][1] += 1; }
    }
    const mean = ([sum, count]) => (count ? sum / count : null);
    const ground = Array.from(pixels.slice(4 * (width * 5 + 5), 4 * (width * 5 + 5) + 3));
    return { bar: mean(means.bar), blue: mean(means.blue), orange: mean(means.orange), ground,
             sequence: Number(canvas.dataset.sequence || 0), width, height };
}"""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for something that another thread does and return it."""
    end = time.monotonic() + WAIT_S
    while not (value := condition()):
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)
    return value


class Visitor:
    """A page in a profile of its own, and what went wrong there.

    Attributes:
        page: playwright's.
        errors: what the console and the page complained about; `expected` lines are left out.
        foreign: requests to other hosts.
    """

    def __init__(self, browser: Any, url: str, expected: tuple[str, ...] = (), **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(WAIT_S * 1000)
        self.page = self.context.new_page()
        self.expected, self.errors, self.foreign = expected, [], []
        self._host = urlsplit(url).netloc
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._see)
        self.page.goto(url)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in self.expected):
            self.errors.append(message.text)

    def _see(self, request: Any) -> None:
        if urlsplit(request.url).netloc not in ("", self._host):
            self.foreign.append(request.url)

    def leave(self) -> None:
        """Close the page; before its server ends where the test does not mean the page to notice."""
        self.context.close()

    def look(self, left: int = 0, right: int = 470) -> dict[str, Any]:
        """Return what the canvas shows; skeletons only between two columns of the frame."""
        found: dict[str, Any] = self.page.evaluate(_LOOK, [left, right])
        return found

    def sees_video(self, after: int = 0) -> int:
        """Wait for a picture later than `after` and return its sequence number."""
        self.page.wait_for_function(
            "after => Number(document.getElementById('video').dataset.sequence || 0) > after", arg=after
        )
        return int(self.page.get_attribute("#video", "data-sequence"))

    def sees_state(self, text: str) -> None:
        """Wait until the page says this of itself."""
        self.page.wait_for_function("text => document.getElementById('state').textContent === text", arg=text)

    def slide(self, label: str, value: float) -> None:
        """Drag a slider."""
        self.page.get_by_label(label).fill(str(value))
