"""Windows: where there can be none, and what keys do; real ones are opened where this machine has them."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.sinks import WindowSink, window
from tests.video.sinks.common import IMAGE, result

HEADLESS = """
  GUI:                           NONE
    VTK support:                 NO

  Media I/O:
    ZLib:                        YES
"""
QT = HEADLESS.replace("NONE", "QT5").replace("    VTK", "    QT:                          YES (ver 5.15.19 )\n    VTK")
OLD = """
  GUI:
    GTK+:                        YES (ver 2.24.32)
      GThread :                  YES (ver 2.64.6)
    VTK support:                 NO

  Media I/O:
"""


def test_what_builds_can_do() -> None:
    assert not window.has_windows(HEADLESS)
    assert window.has_windows(QT)
    assert window.has_windows(OLD)
    assert not window.has_windows(
        OLD.replace("YES", "NO").replace("VTK support:                 NO", "VTK support: YES")
    )
    assert not window.has_windows("nothing of the kind")


def test_an_opencv_without_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: HEADLESS)
    with pytest.raises(GcposeError, match="pip install opencv-python, or watch in a browser: --web"):
        WindowSink()


def test_no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: QT)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(GcposeError, match="DISPLAY is not set"):
        WindowSink()
    # Whichever OpenCV is installed, it opens no window there: without a window system, or without that screen.
    monkeypatch.setenv("DISPLAY", ":4711")
    with pytest.raises(GcposeError, match="no window opens on the screen :4711"):
        WindowSink()


class Toolkit:
    """Stands in for OpenCV's windows, which the headless build lacks."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[tuple[str, float]] = []
        self.open: set[str] = set()
        self.key = -1
        monkeypatch.setattr(window, "check_windows", lambda: None)
        calls: dict[str, Callable[..., object]] = {
            "namedWindow": lambda title, flags: self.open.add(title),
            "resizeWindow": lambda title, width, height: None,
            "imshow": lambda title, image: self.shown.append((title, image.mean())),
            "waitKey": lambda wait: self.key,
            "getWindowProperty": lambda title, which: float(title in self.open),
            "destroyAllWindows": self.open.clear,
        }
        for name, call in calls.items():
            monkeypatch.setattr(window.cv2, name, call)


@pytest.fixture
def toolkit(monkeypatch: pytest.MonkeyPatch) -> Toolkit:
    return Toolkit(monkeypatch)


def test_one_window_a_source(toolkit: Toolkit) -> None:
    with WindowSink(["door", "yard"]) as sink:
        assert sink.needs_picture
        for stream in (0, 1, 0):
            sink.write(result(stream=stream, image=IMAGE + stream))
        assert toolkit.open == {"gcpose-trt: door", "gcpose-trt: yard"}
    assert toolkit.open == set()
    assert toolkit.shown == [("gcpose-trt: door", 90), ("gcpose-trt: yard", 91), ("gcpose-trt: door", 90)]


@pytest.mark.parametrize("key", [ord("q"), 27, None])
def test_asking_to_stop(toolkit: Toolkit, key: int | None) -> None:
    asked: list[int] = []
    with WindowSink(on_close=lambda: asked.append(1)) as sink:
        sink.write(result())
        assert not asked
        if key is None:
            toolkit.open.clear()
        else:
            toolkit.key = key
        sink.idle()
        assert not sink.needs_picture
        sink.idle()
        sink.write(result())
    assert asked == [1]
    assert len(toolkit.shown) == 1


def test_other_keys_do_nothing(toolkit: Toolkit) -> None:
    toolkit.key = ord("x")
    with WindowSink(on_close=lambda: pytest.fail("nobody asked")) as sink:
        sink.idle()
        sink.write(result())
        sink.write(result())
    assert len(toolkit.shown) == 2


def test_a_toolkit_that_fails(toolkit: Toolkit, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(title: str, image: np.ndarray) -> None:
        raise cv2.error("OpenCV(9) window.cpp:1:\n error: no more")

    monkeypatch.setattr(window.cv2, "imshow", fail)
    with pytest.raises(GcposeError, match="no more") as caught, WindowSink() as sink:
        sink.write(result())
    assert "\n" not in str(caught.value)
