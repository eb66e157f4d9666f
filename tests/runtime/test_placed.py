"""Frames that are resized elsewhere: the network sees the same bytes, and nobody takes one that does not fit."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt import PoseEstimator, PoseFrame
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import estimator as estimator_module
from gcpose_trt.runtime.preprocess import (
    Image,
    Placed,
    SizeRule,
    fit,
    fit_frame,
    place,
    place_ahead,
    size_of,
)
from gcpose_trt.runtime.timing import Timing

LONG = SizeRule(long=64)
sides = st.integers(1, 500)
multiples = st.integers(1, 10).map(lambda n: 32 * n)
rules = st.one_of(
    st.builds(SizeRule, exact=st.tuples(multiples, multiples)),
    st.builds(SizeRule, long=st.integers(32, 400)),
    st.builds(SizeRule, short=st.integers(32, 200), long=st.integers(200, 400)),
)


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(height=sides, width=sides, rule=rules, extra=st.integers(0, 70), flipped=st.booleans())
def test_the_input_is_the_same_to_the_last_bit(
    height: int, width: int, rule: SizeRule, extra: int, flipped: bool
) -> None:
    frame = noise(height, width)
    whole = frame[:, ::-1] if flipped else frame  # as decoders show turned frames: a view
    box = fit((height, width), rule)
    # Both into a batch whose canvas is larger than this frame's, as beside a frame of another shape.
    canvas = (box.canvas[0] + extra, box.canvas[1] + 2 * extra, 3)
    direct, ahead = np.full(canvas, 7, np.uint8), np.full(canvas, 7, np.uint8)
    place(np.ascontiguousarray(whole), box, direct)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # as decoders have it
    try:
        sent = place_ahead(whole, rule)
    finally:
        cv2.setNumThreads(threads)
    assert fit_frame(sent, rule) == box
    assert size_of(sent) == (height, width)
    assert place_ahead(sent, rule) is sent
    place(sent, box, ahead)
    assert np.array_equal(direct, ahead)
    pixels = sent.pixels if isinstance(sent, Placed) else sent
    assert pixels.size <= frame.size, "resizing ahead never makes more of it"


@pytest.mark.parametrize("size", [(64, 64), (64, 40), (20, 30), (1, 1)])
def test_frames_that_would_not_shrink_stay_whole(size: tuple[int, int]) -> None:
    frame = noise(*size)
    assert place_ahead(frame, LONG) is frame


def test_poses_are_the_same_whichever_frames_are_resized_ahead(tiny: Path) -> None:
    sizes = [(300, 200), (90, 400), (30, 50), (64, 64), (500, 77)] * 2  # more than one call of the network
    frames = [np.full((*size, 3), 255, np.uint8) for size in sizes]
    for frame, seed in zip(frames, range(10), strict=True):
        frame[: 5 + seed] = frame[:, : 3 * seed] = 0  # where a person's box begins
    with PoseEstimator(tiny, size="192", threads=1) as estimator:
        wanted = estimator(frames)
        rule = SizeRule(long=192)
        placed = [place_ahead(frame, rule) for frame in frames]
        mixed = [one if n % 3 else frame for n, (one, frame) in enumerate(zip(placed, frames, strict=True))]
        for found in (estimator(placed), estimator(mixed)):
            assert all(map(same, found, wanted))
        assert same(estimator(placed[0]), estimator(frames[0]))
        for frame, (poses, _) in zip(frames, estimator.stream(placed), strict=True):
            assert same(poses, estimator(frame))
    assert sum(isinstance(one, Placed) for one in placed) == 6
    assert sum(map(len, wanted)) > 0


def same(one: PoseFrame, other: PoseFrame) -> bool:
    return all(
        getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in ("boxes", "scores", "keypoints")
    )


def test_a_frame_that_was_resized_for_another_network_is_refused(tiny: Path) -> None:
    frame = noise(300, 200)
    other = place_ahead(frame, SizeRule(long=96))
    assert isinstance(other, Placed)
    with PoseEstimator(tiny, size="192", threads=1) as estimator:
        line = (
            r"^a frame of 300x200 was resized to \(96, 64, 3\) uint8, but .* takes \(192, 128, 3\) uint8 of it; resize"
        )
        with pytest.raises(GcposeError, match=line):
            estimator([frame, other])
        fitting = place_ahead(frame, SizeRule(long=192))
        assert isinstance(fitting, Placed)
        # The same pixels as of a frame of another shape, floats, and no pixels: none of them is this frame.
        for wrong in (
            Placed(fitting.pixels, (600, 300)),
            Placed(fitting.pixels.astype(np.float32), fitting.frame),  # type: ignore[arg-type]
            Placed(fitting.pixels[:, :0], fitting.frame),
            Placed(fitting.pixels[..., 0], fitting.frame),
        ):
            with pytest.raises(GcposeError, match=r"; resize it by the size of this network, or pass the whole frame$"):
                estimator(wrong)


class Engines:
    """A backend that takes whole frames, as engines do."""

    name, precision, device_name, batch_limit = "tensorrt", "fp16", "cuda:0", 1

    def __init__(self, info: Any) -> None:
        self.info = info

    def estimate(
        self, frames: Iterable[Any], rule: SizeRule, min_score: float, max_people: int
    ) -> Generator[tuple[list[PoseFrame], Timing], None, None]:
        for _ in frames:
            yield [PoseFrame.empty()], Timing(0, 0, 0, 0)

    def warmup(self) -> None: ...

    def close(self) -> None: ...


def test_engines_take_whole_frames_only(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with PoseEstimator(tiny, threads=1) as opened:
        backend = Engines(opened.info)
    monkeypatch.setattr(estimator_module, "open_backend", lambda *_: backend)
    frame = noise(300, 200)
    with PoseEstimator("engines", "tensorrt") as estimator:
        assert len(estimator([frame, frame])) == 2
        placed = place_ahead(frame, LONG)
        for call in (lambda: estimator([frame, placed]), lambda: list(estimator.stream([placed]))):
            with pytest.raises(
                GcposeError, match=r"^backend tensorrt resizes frames itself, on the GPU; pass the whole frame$"
            ):
                call()
