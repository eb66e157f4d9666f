"""Two networks are timed on the same frames, in turn."""

from __future__ import annotations

import numpy as np

from benchmarks.compare_movenet import interleave
from gcpose_trt import PoseFrame


def test_both_see_every_frame_in_turn() -> None:
    seen: list[tuple[str, int]] = []

    def finder(name: str) -> object:
        def find(frame: np.ndarray) -> PoseFrame:
            seen.append((name, int(frame[0, 0, 0])))
            return PoseFrame.empty()

        return find

    frames = [np.full((4, 4, 3), value, np.uint8) for value in (1, 2, 3)]
    measured = interleave(finder("a"), finder("b"), frames, warmup=1)  # type: ignore[arg-type]
    assert seen == [("a", 1), ("b", 1), ("a", 1), ("b", 1), ("b", 2), ("a", 2), ("a", 3), ("b", 3)]
    assert measured["ratio_of_medians"] > 0
    assert measured["ours"]["people_a_frame"] == 0
