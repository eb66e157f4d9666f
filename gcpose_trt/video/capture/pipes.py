"""Programs that read what this process cannot, and hand the pictures over through a pipe."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Sequence

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.capture.feed import Grabbed
from gcpose_trt.video.capture.uri import mask
from gcpose_trt.video.capture.y4m import Y4mReader

_PATIENCE_S = 0.7  # for a program to end by itself: a Jetson's camera service does not like being cut off
_POLL_S = 0.25
_LAST_WORDS_S = 5.0  # for a program whose pictures have ended to exit, and for its words to be read, on a busy machine


class PipeDevice:
    """A child process that writes YUV4MPEG2 to its standard output, as a `Device`.

    Args:
        command: program and arguments. Other users of the machine can read them while it runs, passwords included.
        shown: the source's name in messages.
        timeout_s: for the first picture's header, and for each picture.
        remedy: what to do when it fails, for messages.

    Raises:
        GcposeError: it cannot be started, ends at once, or writes nothing in time; with its own last words.
    """

    kind = "stream"
    live = True
    frames: int | None = None

    def __init__(self, command: Sequence[str], shown: str, timeout_s: float, remedy: str = "check it") -> None:
        self._shown, self._timeout_s, self._remedy, self._stopping = shown, timeout_s, remedy, False
        self.warnings: list[str] = []
        self._words: deque[str] = deque(maxlen=30)
        try:
            # A session of its own: Ctrl-C in the terminal is for us, who then end the child in order.
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise GcposeError(f"cannot start {command[0]} ({error.strerror}); install it again") from error
        self._listener = threading.Thread(target=self._listen, name=f"stderr of {command[0]}", daemon=True)
        self._listener.start()
        self._reader = Y4mReader(self._receive)
        try:
            if not self._reader.read_header():
                self._exit_code()  # what it says of the reason may come after the end of its pictures
                raise GcposeError(f"{shown} ended at once{self._reason()}; {self._remedy}")
        except BaseException:
            self.release()
            raise
        self.rate: float | None = self._reader.rate

    def grab(self) -> Grabbed | None:
        """See `Device.grab`."""
        image = self._reader.read()
        if image is not None:
            return Grabbed(image, time.perf_counter())
        if not self._stopping and self._exit_code() != 0:
            raise GcposeError(f"lost {self._shown}{self._reason()}; {self._remedy}")
        return None

    def interrupt(self) -> None:
        """See `Device.interrupt`."""
        self._stopping = True
        self._signal(signal.SIGINT)

    def release(self) -> None:
        """See `Device.release`. The process is gone afterwards."""
        self._stopping = True
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_S)
                break
        self._listener.join(_PATIENCE_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    def _receive(self, count: int) -> bytes:
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        deadline = time.monotonic() + self._timeout_s
        while not select.select([pipe], [], [], _POLL_S)[0]:
            if self._stopping:
                return b""
            if time.monotonic() > deadline:
                raise GcposeError(
                    f"{self._shown} sent no picture for {self._timeout_s:g} s{self._reason()}; {self._remedy}"
                )
        return os.read(pipe, count)

    def _exit_code(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_LAST_WORDS_S)
        return None

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            words = " ".join(line.decode("utf-8", "replace").split())
            if words:
                self._words.append(mask(words)[:200])

    def _reason(self) -> str:
        if self._process.poll() is not None:
            self._listener.join(_LAST_WORDS_S)
        # GStreamer's first error is followed by where in its source that was found, and by what failed because of it.
        told = [words for words in self._words if words.startswith(("ERROR", "WARNING: erroneous"))]
        words = told[:1] or list(self._words)[-1:]
        return f" ({words[0].rstrip('.')})" if words else ""
