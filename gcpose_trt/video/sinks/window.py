"""A window on this machine's screen, by OpenCV."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from types import TracebackType

import cv2

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.frames import Result
from gcpose_trt.video.sinks.pictures import picture_of

TITLE = "gcpose-trt"
_ESCAPE = 27
_ELSEWHERE = "or watch in a browser: --web"
_PROBE = "import cv2; cv2.namedWindow('gcpose-trt', cv2.WINDOW_NORMAL); cv2.waitKey(1); cv2.destroyAllWindows()"
_PROBE_S = 60


class WindowSink:
    """Shows results, one window a source. The key q or Esc, or closing a window, asks to stop.

    Windows belong to the thread that writes first; it must also be the one that leaves the sink. One sink serves all
    sources, because OpenCV's windows tolerate only one thread in a program.

    Args:
        streams: names of the sources, where there are several.
        on_close: called once when the user asks to stop, in the thread that writes; nothing is shown from then on.

    Raises:
        GcposeError: this OpenCV has no windows, or there is no screen.
    """

    def __init__(self, streams: Sequence[str] = (), on_close: Callable[[], object] | None = None) -> None:
        check_windows()
        self.needs_picture = True
        self._titles = [f"{TITLE}: {name}" for name in streams] or [TITLE]
        self._open: set[str] = set()
        self._on_close = on_close
        self._closed = False

    def write(self, result: Result) -> None:
        """Show one picture."""
        if self._closed:
            return
        picture = picture_of(result)
        title = self._titles[result.frame.stream if len(self._titles) > 1 else 0]
        try:
            if title not in self._open:
                cv2.namedWindow(title, cv2.WINDOW_NORMAL)
                cv2.resizeWindow(title, picture.shape[1], picture.shape[0])
                self._open.add(title)
            cv2.imshow(title, picture)
        except cv2.error as error:
            raise GcposeError(f"the window cannot be shown ({_reason(error)}); watch in a browser: --web") from error
        self.idle()

    def idle(self) -> None:
        """Let the windows react to keys and the mouse; worth a call now and then while no results come."""
        if self._closed or not self._open:
            return
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), _ESCAPE) or any(not _visible(title) for title in self._open):
            self._close()
            if self._on_close is not None:
                self._on_close()

    def _close(self) -> None:
        self._closed, self.needs_picture = True, False  # nothing more need be drawn
        if self._open:
            self._open.clear()
            cv2.destroyAllWindows()
            cv2.waitKey(1)  # some toolkits take windows away only then

    def __enter__(self) -> WindowSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def check_windows() -> None:
    """Fail early where OpenCV could not show a window.

    Raises:
        GcposeError: it was built without windows, or no screen is within reach.
    """
    if not has_windows(cv2.getBuildInformation()):
        raise GcposeError(
            "this OpenCV was built without windows; install the other build: pip uninstall opencv-python-headless && "
            f"pip install opencv-python, {_ELSEWHERE}"
        )
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not display:
        raise GcposeError(
            f"no screen to show a window on: DISPLAY is not set; run it in a desktop session or by ssh -X, {_ELSEWHERE}"
        )
    # Qt's warnings about fonts and threads would come between our lines.
    os.environ.setdefault("QT_LOGGING_RULES", "*.warning=false")
    # Qt and GTK end the whole program where they cannot reach the screen, so another program tries first.
    command = [sys.executable, "-c", _PROBE]
    try:
        works = subprocess.run(command, capture_output=True, timeout=_PROBE_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        works = False
    if not works:
        raise GcposeError(f"no window opens on the screen {display}; check that you may use it (xhost), {_ELSEWHERE}")


def has_windows(build_information: str) -> bool:
    """Say whether an OpenCV can show windows, from what `cv2.getBuildInformation()` returns.

    Newer ones name a toolkit or NONE ("GUI: QT5"); older ones list toolkits line by line ("GTK+: YES").
    """
    section = re.search(r"^ *GUI:(.*)\n((?:^ {4,}\S.*\n?)*)", build_information, re.MULTILINE)
    if section is None:
        return False
    if named := section[1].strip():
        return named.upper() != "NONE"
    lines = (line.partition(":") for line in section[2].splitlines())
    no_toolkits = ("VTK", "OpenGL")  # of no use without one
    return any(value.strip().startswith("YES") and not name.strip().startswith(no_toolkits) for name, _, value in lines)


def _visible(title: str) -> bool:
    try:
        return cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # GTK forgets a window that was closed
        return False


def _reason(error: cv2.error) -> str:
    return " ".join(str(getattr(error, "err", "") or error).split())
