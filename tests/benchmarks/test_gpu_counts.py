"""Bytes, operations and floors of the kernels, against counting by hand and by loops."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu import counts, kernels

REPOSITORY = Path(__file__).resolve().parents[2]


def test_attention_of_the_network() -> None:
    """32 people at 14 x 14 cells, 4 heads of 128 channels, float16, as the kernel's README says."""
    work = counts.gcm_attention(32, 4, 14, 14, 128, 128, 2)
    tensor = 32 * 4 * 128 * 196 * 2
    assert work.bytes == 4 * tensor + 54 * 128 * 2 == 25_703_936
    # q k and the weighted sum, 196 x 196 x 128 each a head, and 54 offsets for each query.
    assert work.matrix_operations == 2 * 128 * 196 * 128 * (196 + 196 + 54) == 2_864_447_488
    assert counts.gcm_attention_decomposed_bytes(32, 4, 14, 14, 128, 128, 2) - work.bytes == 32 * 128 * 196**2


def test_attention_against_loops() -> None:
    num, heads, height, width, dim, value_dim = 2, 3, 2, 4, 5, 7
    products = 0
    for _query in range(num * heads * height * width):
        products += dim * (2 * height - 1 + 2 * width - 1)
        for _key in range(height * width):
            products += dim + value_dim
    work = counts.gcm_attention(num, heads, height, width, dim, value_dim, 4)
    assert work.matrix_operations == 2 * products
    shapes = [(2, 15, 2, 4), (2, 15, 2, 4), (2, 21, 2, 4), (2, 21, 2, 4), (3, 5), (7, 5)]
    assert work.bytes == 4 * sum(torch.zeros(shape).numel() for shape in shapes)


def test_floors() -> None:
    peaks = counts.Peaks(bytes=1e12, matrix_operations=1e15, operations=1e13)
    work = counts.Work(bytes=10**6, matrix_operations=10**9, operations=5 * 10**7)
    assert counts.floors(work, peaks) == {"bytes": 1.0, "matrix_operations": 1.0, "operations": 5.0, "floor": 5.0}


def test_region_footprints() -> None:
    # Pixel 8 is the border of cells 0 and 1 at stride 8: a sample there reads both, and so does one at 16 read 1 and 2.
    assert counts.roi_footprint((8.0, 8.0, 16.0, 16.0), 8, (10, 10)) == 9
    assert counts.roi_footprint((-100.0, -100.0, 1000.0, 1000.0), 8, (10, 12)) == 120
    assert counts.roi_footprint((200.0, 0.0, 300.0, 8.0), 8, (10, 10)) == 0


def test_overlapping_regions_are_read_once() -> None:
    boxes = [(0.0, 0.0, 80.0, 80.0)] * 5
    work = counts.multi_level_roi_align(boxes, [0] * 5, [(10, 10)], [8], 16, 7, 2, 2)
    assert work.bytes == 16 * 2 * (100 + 5 * 49) + 5 * 20
    assert work.operations == 5 * 49 * 4 * 16 * 8
    apart = counts.multi_level_roi_align(boxes[:1], [0], [(10, 10)], [8], 16, 7, 2, 2)
    assert apart.bytes == 16 * 2 * (100 + 49) + 20
    # 10 x 10 cells in 7 x 7 bins: two samples a side and bin where their number follows the region.
    adaptive = counts.multi_level_roi_align(boxes[:1], [0], [(10, 10)], [8], 16, 7, 0, 2)
    assert adaptive.operations == apart.operations


def test_suppression() -> None:
    """Of 10 boxes 4 remain: 6 + 5 + ... are not needed, only each box against those kept before it."""
    work = counts.nms(2, 10, 4, 8, 5)
    pairs = sum(min(rank, 4) for rank in range(10))
    assert work.operations == 2 * (pairs * 16 + 10 * 4)
    assert work.bytes == 2 * 10 * 20 + 10 * 8 + 2 * 6 * 8


def test_decode_and_letterbox() -> None:
    assert counts.keypoint_decode(5, 17, 56, 4, 2).bytes == 5 * 17 * (56 * 56 * 2 + 12) + 80
    assert counts.letterbox((1080, 1920), (288, 512), (288, 512)).bytes == 3 * (1080 * 1920 + 288 * 512)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to measure on")
def test_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    result = tmp_path / "result.json"
    monkeypatch.setattr(sys, "argv", ["kernels", "--json", str(result)])
    assert kernels.main() == 2
    said = capsys.readouterr().err
    assert said.startswith("error: PyTorch finds no NVIDIA GPU") and said.count("\n") == 1
    assert not result.exists()


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU to measure on")
def test_the_script_without_a_gpu(tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = ["bash", "benchmarks/gpu/run.sh", str(output)]
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert run.returncode == 2
    assert run.stderr.startswith("error: ") and run.stderr.count("\n") == 1
    assert not output.exists()


def test_counts_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """`--counts` needs no GPU and says what each case costs at the least."""
    monkeypatch.setattr(sys, "argv", ["kernels", "--counts"])
    assert kernels.main() == 0
    cases = json.loads(capsys.readouterr().out)
    assert cases["gcm_attention 32 people, float16"]["bytes"] == 25_703_936
    assert {name.split()[0] for name in cases} == {
        "gcm_attention",
        "multi_level_roi_align",
        "nms",
        "keypoint_decode",
        "letterbox",
    }
