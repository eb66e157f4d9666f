"""What people see: progress, report, bars and picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.engine.drawing import COLOURS, draw_largest
from gcpose_trt.engine.inspection import PRECISIONS, Layer
from gcpose_trt.engine.progress import Progress
from gcpose_trt.engine.report import describe_record, draw_layers, largest, short_name, size_text
from tests.runtime.test_engine_record import make_record


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def phases(progress: Progress, *events: dict[str, Any]) -> list[float]:
    fractions = []
    for event in events:
        progress(event)
        fractions.append(round(progress.fraction, 3))
    return fractions


def phase(name: str, parent: str | None, steps: int) -> dict[str, Any]:
    return {"event": "phase", "name": name, "parent": parent, "steps": steps}


def step(name: str, number: int) -> dict[str, Any]:
    return {"event": "step", "name": name, "step": number}


def test_nested_phases_count_as_parts_of_a_step() -> None:
    progress = Progress(Terminal())
    progress({"event": "stage", "text": "building pose"})
    events = [phase("all", None, 2), phase("inner", "all", 4), step("inner", 0), step("inner", 1)]
    events += [{"event": "finish", "name": "inner"}, step("all", 0), step("all", 1)]
    assert phases(progress, *events) == [0, 0, 0.125, 0.25, 0.5, 0.5, 1]


def test_a_repeated_phase_does_not_go_back() -> None:
    progress = Progress(Terminal())
    events = [phase("all", None, 1), phase("a", "all", 2), step("a", 0), phase("a", "all", 2)]
    assert phases(progress, *events) == [0, 0, 0.5, 0.5]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["phase", "step", "finish"]), st.sampled_from("abc"), st.integers(0, 5))))
def test_any_order_of_events_gives_a_rising_fraction(events: list[tuple[str, str, int]]) -> None:
    progress = Progress(Terminal())
    seen = phases(
        progress,
        *(
            {"event": kind, "name": name, "parent": None, "steps": number, "step": number}
            for kind, name, number in events
        ),
    )
    assert seen == sorted(seen)
    assert all(0 <= value <= 1 for value in seen)


def test_bar_and_spinner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcpose_trt.engine.progress._REDRAW_SECONDS", 0)
    stream = Terminal()
    progress = Progress(stream)
    progress({"event": "stage", "text": "building pose"})
    progress({"event": "tick"})
    assert "building pose, 0 s" in stream.getvalue()
    for event in (phase("all", None, 4), step("all", 0)):
        progress(event)
    progress({"event": "stage_done", "text": "pose"})
    progress.close()
    text = stream.getvalue()
    assert "[########......................]  25% 0 s all" in text
    assert "pose built in 0.0 s" in text
    assert text.endswith("\033[K")


def test_a_file_gets_lines_only() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    for event in (
        {"event": "stage", "text": "building pose"},
        phase("all", None, 4),
        step("all", 0),
        {"event": "tick"},
    ):
        progress(event)
    progress({"event": "log", "severity": "warning", "text": "w"})
    progress({"event": "log", "severity": "error", "text": "e"})
    progress.close()
    assert stream.getvalue() == "building pose ...\n[error] e\n"


def test_verbose_shows_the_log() -> None:
    stream = io.StringIO()
    Progress(stream, verbose=True)({"event": "log", "severity": "info", "text": "hello"})
    assert stream.getvalue() == "[info] hello\n"


def test_report_of_a_record(tmp_path: Path) -> None:
    lines = describe_record(make_record(tmp_path, outside=("Nms", "RoiAlign"), notes=("a note",)))
    text = "\n".join(lines)
    for part in (
        "mobile 64x96, batch 1, up to 3 people in buckets 1, 2, 3",
        "TensorRT 10.3.0 on linux",
        "Orin (compute capability 8.7)",
        "not inside   Nms, RoiAlign",
        "detector.engine, 800 B, 2 layers: 2 FP16",
        "note         a note",
        "build again  gcpose-trt build-engine mobile",
    ):
        assert part in text


LAYERS = [Layer(f"layer {index} " * 9, "kind", name, 1000 * index, 5000, (1,)) for index, name in enumerate(PRECISIONS)]


def test_bars_of_a_terminal() -> None:
    lines = draw_layers(LAYERS, 3)
    assert len(lines) == 3
    assert lines[0].count("#") == 28
    assert lines[0].count("#") > lines[2].count("#") > 0
    assert all(len(line) < 120 for line in lines)
    assert draw_layers([], 3) == []
    assert [layer.size for layer in largest(LAYERS, 2)] == [12000, 11000]


@pytest.mark.parametrize(("width", "text"), [(20, "abcdefghijk...uvwxyz"), (26, "abcdefghijklmnopqrstuvwxyz")])
def test_names_are_cut_in_the_middle(width: int, text: str) -> None:
    assert short_name("abcdefghijklmnopqrstuvwxyz", width) == text


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1536, "1.5 KiB"), (3 << 20, "3.0 MiB"), (5 << 30, "5.0 GiB")])
def test_sizes(count: int, text: str) -> None:
    assert size_text(count) == text


def test_the_picture_shows_precisions_and_shares() -> None:
    weights = Layer("heavy", "conv", "FP16", 4000, 0, (1,))
    half = Layer("half", "conv", "FP32", 2000, 0, (1,))
    image = draw_largest({"detector": [half, weights]}, 5)
    widths = {
        name: max(int((image == np.array(COLOURS[name], np.uint8)).all(axis=2).sum(axis=1).max()), 0)
        for name in ("FP16", "FP32", "INT8")
    }
    assert widths["FP16"] == pytest.approx(560, abs=2)
    assert widths["FP32"] == pytest.approx(280, abs=2)
    assert widths["INT8"] == 0
    # All of it lies inside: the margins are white.
    assert (image[-4:] == 255).all()
    assert (image[:, :8] == 255).all()


def test_pictures_of_odd_engines() -> None:
    empty = draw_largest({"a": []}, 5)
    nothing = draw_largest({"a": [Layer("ü \n" * 40, "", "other", 0, 0, ())]}, 5)
    assert empty.ndim == nothing.ndim == 3
    assert nothing.shape[0] > empty.shape[0]
