"""Clips of many codecs and containers, made on the spot, and what their parts hold."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from gcpose_trt.video.clips import VideoSource
from gcpose_trt.video.frames import Image
from gcpose_trt.video.segments import Clip, Notes, find_cuts, read_window

FRAMES = 60
RATE = 25


@dataclass(frozen=True)
class Recipe:
    """How a clip is made.

    Attributes:
        suffix: of its name; says the container.
        codec: as FFmpeg calls the encoder.
        options: of the encoder.
        container: options of the container.
        pix_fmt: of the encoder.
        times: when frames are shown, seconds; every 1 / RATE if empty.
    """

    suffix: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    times: tuple[float, ...] = ()


def moving(count: int = FRAMES) -> list[Image]:
    """Return (64, 96, 3) pictures of which no two are alike: a pattern that moves, another that stands, a change."""
    rng = np.random.default_rng(0)
    texture = cv2.resize(rng.integers(0, 256, (12, 40, 3), np.uint8), (320, 96), interpolation=cv2.INTER_CUBIC)
    images = []
    for index in range(count):
        image = np.ascontiguousarray(texture[16:80, 2 * index % 200 : 2 * index % 200 + 96])
        cv2.circle(image, (10 + index, 20 + index // 3), 9, (255, 255, (37 * index) % 256), -1)
        images.append(image)
    return images


def make(path: Path, recipe: Recipe, images: Sequence[Image] | None = None) -> Path:
    """Encode `images`, or moving ones."""
    # A thread of its own: SVT-AV1 gives the one that opens it real-time priority where it may, for good, and whatever
    # that thread starts later would inherit it and starve every other process.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(_make, path, recipe, moving() if images is None else images).result()


def _make(path: Path, recipe: Recipe, images: Sequence[Image]) -> Path:
    with av.open(str(path), "w", options=recipe.container) as container:
        stream = container.add_stream(recipe.codec, rate=RATE, options=recipe.options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = recipe.pix_fmt
        if recipe.times:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            base = Fraction(1, 1000) if recipe.times else Fraction(1, RATE)
            frame.pts = round(1000 * recipe.times[index]) if recipe.times else index
            frame.time_base = base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def hide_key_frames(source: Path, path: Path) -> Path:
    """Copy a VP9 clip so that its key frames are decoded but not shown, each together with the frame after it."""
    with av.open(str(source)) as given, av.open(str(path), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        hidden = b""
        for packet in given.demux(video=0):
            data = bytes(packet)
            if packet.is_keyframe and data:
                assert data[0] >> 1 & 1, "show_frame is bit 1 of the first byte of a key frame"
                hidden = bytes([data[0] & 0xFD]) + data[1:]
                continue
            if not data:
                continue
            copy = av.Packet(_superframe(hidden, data) if hidden else data)
            copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
            copy.is_keyframe, copy.stream, hidden = bool(hidden), stream, b""
            made.mux(copy)
    return path


def _superframe(*frames: bytes) -> bytes:
    # VP9's annex B: sizes of four bytes each between two bytes that say how many they are.
    marker = bytes([0b110_11_000 | len(frames) - 1])
    return b"".join(frames) + marker + b"".join(len(frame).to_bytes(4, "little") for frame in frames) + marker


def whole(path: Path) -> tuple[list[Image], list[float]]:
    """Return the images of a video read in one go, and their times from the first."""
    with VideoSource(path) as source:
        frames = list(source)
    return [frame.image for frame in frames], [frame.time_s or 0.0 for frame in frames]


def parts(path: Path, seconds: float) -> list[list[tuple[float, Image]]]:
    """Return the times and images of a video's parts, each read by itself."""
    with Clip(path, path.name) as clip:
        cuts = find_cuts(clip, seconds)
    found = []
    for start, end in zip([None, *cuts], [*cuts, None], strict=True):
        with Clip(path, path.name) as clip:
            found.append(list(read_window(clip, start, end, Notes())))
    return found
