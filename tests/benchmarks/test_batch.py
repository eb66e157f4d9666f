"""The arithmetic of scaling, and the record that it was done for."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.batch import parts
from benchmarks.batch import table as tables
from benchmarks.batch.__main__ import _case
from benchmarks.batch.scaling import Assumptions, knee, limits, printed, slowest, table
from gcpose_trt.batch.types import Recipe
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import SizeRule

RECORD = Path(__file__).resolve().parents[2] / "benchmarks/results/batch.json"
# Numbers to calculate with by hand: a machine with 4 GPUs and 24 cores, 20 of which decode, links of 10 MB/s.
BASE = Assumptions(
    network_fps=100,
    decode_fps=50,
    merge_fps=1e12,
    gpus_a_node=4,
    cores_a_node=24,
    nic_gbps=0.08,
    frame_bytes=1e4,
    file_bytes=0,
    result_bytes=0,
    segment_frames=100,
    driver_segment_s=0,
    driver_block_s=0,
    block_bytes=1e5,
)


def by_hand(**changes: float) -> Assumptions:
    return replace(BASE, **changes)  # type: ignore[arg-type]


def test_each_part_binds_where_it_should() -> None:
    assert slowest(by_hand(), 4) == ("network", 400)
    assert slowest(by_hand(network_fps=1000), 4)[0] == "decoding"
    assert slowest(by_hand(network_fps=1000), 4)[1] == pytest.approx(20 * 50)
    # Two machines: half of the frames go over the links, 10 MB/s each way for 5 kB a frame.
    assert limits(by_hand(), 8)["traffic"] == pytest.approx(2 * 10e6 / 5e3)
    assert slowest(by_hand(nic_gbps=0.008), 8) == ("traffic", pytest.approx(400))
    assert limits(by_hand(local=1.0), 8)["traffic"] == math.inf
    assert slowest(by_hand(driver_segment_s=1), 8) == ("driver", pytest.approx(100))
    assert slowest(by_hand(driver_block_s=0.1), 8) == ("driver", pytest.approx(100))
    assert slowest(by_hand(result_bytes=1e5), 8) == ("results", pytest.approx(100))
    assert slowest(by_hand(merge_fps=10), 4)[1] == pytest.approx(20 / (1 / 10 + 1 / 50))


def test_merging_takes_cores_from_decoding() -> None:
    alone = limits(by_hand(), 4)["decoding"]
    assert limits(by_hand(merge_fps=50), 4)["decoding"] == pytest.approx(alone / 2)


def test_one_machine_sends_nothing() -> None:
    found = limits(by_hand(result_bytes=1e9), 4)
    assert found["traffic"] == found["results"] == math.inf


def test_knee() -> None:
    assert knee(by_hand()) == 64
    assert knee(by_hand(driver_segment_s=0.1)) == 10  # the driver does 1000 frames a second
    assert knee(by_hand(driver_segment_s=10)) == 0
    assert knee(by_hand(network_fps=1000)) == 1  # 23 cores beside one GPU decode 1150 frames a second


def test_more_is_never_slower() -> None:
    for a in (by_hand(), by_hand(nic_gbps=0.008), by_hand(driver_block_s=0.01)):
        full = [slowest(a, gpus)[1] for gpus in range(4, 65, 4)]
        assert full == sorted(full)


def test_the_record_is_the_arithmetic_of_its_own_measurements() -> None:
    record = json.loads(RECORD.read_text())
    assert record["kind"] == "batch"
    for case in record["scaling"]["cases"].values():
        rows = case["rows"]
        speeds, nics = ([row[name] for row in rows] for name in ("network_fps", "nic_gbps"))
        counts = [point["gpus"] for point in rows[0]["points"]]
        again = table(
            Assumptions(**case["assumptions"]), list(dict.fromkeys(speeds)), list(dict.fromkeys(nics)), counts
        )
        assert again == rows
        assert len(printed(rows).splitlines()) == len(rows) + 1
        assert case["assumptions"]["decode_fps"] == record["parts"]["decoding"][case["clip"]]["fps_a_core"]
    for runs in record["throughput"].values():
        assert runs["fps"]["min"] <= runs["fps"]["median"] <= runs["fps"]["max"]


def test_what_travels_is_what_decoders_make(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    clip = parts.make_clip(tmp_path / "clip.mp4", (640, 360), 5)
    recipe = Recipe("mobile", "0", "onnxruntime", "int8", None, 0.5, 30, 1, 2, 1.0, 64, True, False)
    whole = parts.decoding(clip, recipe, None, repeats=1)
    resized = parts.decoding(clip, recipe, SizeRule(long=320), repeats=1)
    assert whole["frames"] == resized["frames"] == 5
    assert (whole["frame_bytes"], resized["frame_bytes"]) == (640 * 360 * 3, 320 * 180 * 3)
    assert whole["file_bytes"] == resized["file_bytes"] > 0
    assert min(whole["fps_a_core"], resized["fps_a_core"]) > 0


def record_of(tmp_path: Path) -> Path:
    """A record with both kinds of frames, by the arithmetic of numbers made up."""
    decoding = {
        "1080p": {"fps_a_core": 98.0, "frame_bytes": 6220800.0, "file_bytes": 15600.0},
        "1080p, resized": {"fps_a_core": 91.0, "frame_bytes": 442368.0, "file_bytes": 15600.0},
    }
    measured = {
        "decoding": decoding,
        "merging": {"fps_a_core": 2125.0, "result_bytes": 970.0},
        "driver": {"segment_s": 0.0106, "block_s": 0.0109},
    }
    runs = {"frames": 100, "fps": {"median": 14.69, "min": 14.4, "max": 14.8}}
    record = {
        "date": "2026-11-23T12:00:00",
        "machine": {"cpu": "EPYC", "cores": 2, "load_before": 0.1},
        "throughput": {"local, 1 worker": runs, "Ray, 1 worker": runs, "Ray, 2 workers": runs},
        "parts": measured,
        "scaling": {"cases": {name: _case(name, measured, 4, 64) for name in decoding}},
    }
    path = tmp_path / "batch.json"
    path.write_text(json.dumps(record))
    return path


def test_tables_say_what_the_record_says(tmp_path: Path) -> None:
    path = record_of(tmp_path)
    measured, empty, head, _, *rows = tables.scaling(path)
    assert empty == ""
    assert "98 frames/s of 1080p (6.2 MB each) and 91 frames/s of 1080p resized (0.4 MB each)" in measured
    assert "11 ms a block of 64 MiB" in measured
    assert head == "| frames/s of one GPU | 1080p resized: up to | 1080p: up to |"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[0] for row in cells[:-1]] == ["100", "300", "1000"]
    cases = json.loads(path.read_text())["scaling"]["cases"]
    for place, name in ((1, "1080p, resized"), (2, "1080p")):
        knees = [row["knee"] for row in cases[name]["rows"] if row["nic_gbps"] == 25]
        assert [int(row[place].split()[0]) for row in cells[:-1]] == knees
        scheduler = 1 / (0.0106 / 750 + 0.0109 * cases[name]["assumptions"]["frame_bytes"] / 2**26)
        assert cells[-1][place] == f"{scheduler:.0f}: scheduler"
    rates = tables.rates(path)
    assert rates[0] == "| frames/s | 1 worker | 2 workers |"
    assert rates[2] == "| processes of this machine | 14.7 (14.4 to 14.8) |  |"
    assert rates[3].startswith("| Ray on this machine | 14.7 (14.4 to 14.8) | 14.7")


@pytest.mark.parametrize("text", [None, "{", "{}", "[]"])
def test_what_is_no_record(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "batch.json").write_text(text)
    for lines in (tables.rates, tables.scaling):
        with pytest.raises(GcposeError, match="holds no batches; record it with"):
            lines(tmp_path / "batch.json")
