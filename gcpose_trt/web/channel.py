"""From the pipeline's thread to the clients: the newest frame of a source, to whoever watches it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from gcpose_trt.pose.drawing import HeadBlur, blur_heads
from gcpose_trt.video.frames import Image, Result
from gcpose_trt.video.live_types import Controls
from gcpose_trt.web.messages import frame_message
from gcpose_trt.web.pictures import part


class Outbox:
    """What waits to be sent to one client: of each kind only the newest, so that a slow one costs no memory.

    Used in the server's thread only.
    """

    def __init__(self, session: str = "") -> None:
        self.session = session
        self.ended = False
        self._slots: dict[Any, Any] = {}
        self._waiter: asyncio.Future[None] | None = None

    def put(self, kind: Any, item: Any) -> None:
        """Replace what waits of this kind."""
        self._slots[kind] = item
        self._wake()

    def end(self) -> None:
        """Have the client leave as soon as it can."""
        self.ended = True
        self._wake()

    async def get(self, timeout: float) -> list[Any]:
        """Wait for something to send and return all of it; nothing after `timeout` seconds or at the end."""
        if not self._slots and not self.ended:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            alarm = loop.call_later(timeout, self._wake)
            try:
                await self._waiter
            finally:
                alarm.cancel()
                self._waiter = None
        items = list(self._slots.values())
        self._slots.clear()
        return items

    def __len__(self) -> int:
        return len(self._slots)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Published:
    """A frame that clients may have, encoded once for all of them, and not before one wants it.

    Args:
        result: the frame and its people.
        sequence: its number among the published frames of its source.
        quality: of the JPEG, 1..100.
        threshold: joints below this confidence do not say where a head is.
        hidden: (H, W, 3) BGR uint8, the frame with its heads made unrecognisable, where that was done already.
    """

    def __init__(
        self, result: Result, sequence: int, quality: int, threshold: float, hidden: Image | None = None
    ) -> None:
        self.result, self.sequence, self.quality = result, sequence, quality
        self._threshold, self._hidden = threshold, hidden
        self._lock = threading.Lock()
        self._parts: dict[bool, bytes] = {}
        self._message: str | None = None

    def image(self, blur: bool) -> Image:
        """Return the frame, (H, W, 3) BGR uint8, its heads made unrecognisable where asked for."""
        if not blur:
            return self.result.frame.image
        if self._hidden is None:
            self._hidden = blur_heads(self.result.frame.image, self.result.poses, keypoint_threshold=self._threshold)
        return self._hidden

    def ready(self, blur: bool) -> bytes | None:
        """Return the part of the video stream if it was made already."""
        return self._parts.get(blur)

    def part(self, blur: bool) -> bytes:
        """Return the part of the video stream; takes milliseconds the first time."""
        with self._lock:
            if blur not in self._parts:
                self._parts[blur] = part(self.image(blur), self.result.frame.index, self.sequence, self.quality)
            return self._parts[blur]

    def message(self) -> str:
        """Return the message of the WebSocket."""
        with self._lock:
            if self._message is None:
                self._message = frame_message(self.result, self.sequence)
            return self._message


class Channel:
    """One source's frames on their way to its clients.

    Args:
        controls: says whether heads are blurred.
        threshold: joints below this confidence do not say where a head is.
        post: runs a function in the server's thread soon, or says that there is none.
    """

    def __init__(self, controls: Controls, threshold: float, post: Callable[[Callable[[], None]], bool]) -> None:
        # Changed in the server's thread; other threads look only whether there are any.
        self.viewers: set[Outbox] = set()
        self.listeners: set[Outbox] = set()
        self.latest: Published | None = None
        self.published = 0
        self._controls, self._threshold, self._post = controls, threshold, post
        self._heads = HeadBlur()
        self._lock = threading.Lock()
        self._posted = False

    def publish(self, result: Result, quality: int) -> None:
        """Hand a frame to all who watch. From any thread; what it costs depends on whether anybody does."""
        with self._lock:
            self._publish(result, quality)

    def publish_again(self) -> None:
        """Show the latest frame as the settings are now, for they may change while no new one comes."""
        with self._lock:
            if self.latest is not None:
                self._publish(self.latest.result, self.latest.quality)

    def _publish(self, result: Result, quality: int) -> None:
        blur = self._controls.settings.blur_heads
        hidden = self._hide(result) if blur else None
        published = Published(result, self.published + 1, quality, self._threshold, hidden)
        if not blur:
            self._heads.reset()
        if self.viewers:
            published.part(blur)
        if self.listeners:
            published.message()
        self.published += 1
        self.latest = published
        self._announce()

    def _hide(self, result: Result) -> Image:
        # Even if nobody watches now: where a head was lost for a moment, earlier frames say where it is.
        image = np.array(result.frame.image)
        self._heads.apply(image, result.poses, self._threshold)
        return image

    def _announce(self) -> None:
        # One call waits in the server's thread at most, however far that lies behind.
        if not self._posted and (self.viewers or self.listeners):
            self._posted = True
            if not self._post(self._deliver):
                self._posted = False

    def _deliver(self) -> None:
        self._posted = False
        for outbox in (*self.viewers, *self.listeners):
            outbox.put("frame", self.latest)
