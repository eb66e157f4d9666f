"""Time left and memory."""

from __future__ import annotations

import pytest
import torch

from gcpose_trt.training.progress import MIB, TimeLeft, duration, peak_memory


class Clock:
    """Goes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_pace_of_this_process_tells_what_is_left() -> None:
    clock = Clock()
    left = TimeLeft(total=100, start=40, clock=clock)
    assert left.after(40) is None, "no iteration yet, no pace"
    clock.now += 30
    assert left.after(55) == pytest.approx(90), "2 s each, 45 to go; the 40 before do not count"
    clock.now += 60
    assert left.after(100) == 0
    assert left.after(101) == 0


def test_clock_ends_the_run() -> None:
    clock = Clock()
    left = TimeLeft(total=None, seconds=50, clock=clock)
    assert left.after(0) == 50
    clock.now += 20
    assert left.after(3) == 30
    clock.now += 40
    assert left.after(9) == 0


def test_run_without_an_end_has_no_time_left() -> None:
    assert TimeLeft(total=None).after(5) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (119.4, "119 s"),
        (119.6, "2 min"),
        (1380, "23 min"),
        (7199, "2 h 00 min"),
        (7500, "2 h 05 min"),
        (172_799, "2 d 00 h"),
        (187_200, "2 d 04 h"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_memory_of_the_process_grows_with_what_it_holds() -> None:
    before = peak_memory(torch.device("cpu"))
    assert before is not None
    held = torch.ones(before // 4 + 16 * MIB)
    after = peak_memory(torch.device("cpu"))
    assert after is not None
    assert after >= before + MIB
    assert len(held)


def test_memory_of_a_gpu_is_pytorchs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: asked.append(device) or 3 * MIB)
    assert peak_memory(torch.device("cuda", 1)) == 3 * MIB
    assert asked == [torch.device("cuda", 1)]
