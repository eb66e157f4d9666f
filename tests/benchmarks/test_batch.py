"""The arithmetic of scaling, and the record that it was done for."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.batch.scaling import Assumptions, knee, limits, printed, slowest, table

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
