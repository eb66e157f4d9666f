"""Both files or neither."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed; pip install 'gcpose-trt[export]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed; pip install 'gcpose-trt[export]'")

from gcpose_trt.errors import GcposeError
from gcpose_trt.export.writing import staging_folder


def test_files_take_their_place_at_the_end(tmp_path: Path) -> None:
    output = tmp_path / "a" / "b"
    output.mkdir(parents=True)
    (output / "detector.onnx").write_bytes(b"old")
    (output / "MODEL_CARD.md").write_text("card")
    with staging_folder(output) as staging:
        for name in ("detector.onnx", "pose.onnx"):
            (staging / name).write_bytes(b"new")
        assert (output / "detector.onnx").read_bytes() == b"old"
    assert {path.name: path.read_bytes() for path in output.iterdir()} == {
        "detector.onnx": b"new",
        "pose.onnx": b"new",
        "MODEL_CARD.md": b"card",
    }


def test_files_are_readable_by_others(tmp_path: Path) -> None:
    with staging_folder(tmp_path / "out") as staging:
        (staging / "pose.onnx").write_bytes(b"new")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "out" / "pose.onnx").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("failure", [GcposeError, KeyboardInterrupt, MemoryError])
def test_failure_leaves_nothing(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), staging_folder(tmp_path / "a" / "b") as staging:
        (staging / "detector.onnx").write_bytes(b"new")
        raise failure("stop")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match=r"No space left.*free some space"), staging_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(GcposeError, match=r"is a file; give a folder"), staging_folder(tmp_path / "file"):
        pytest.fail("must not get here")
    with pytest.raises(GcposeError, match=r"choose another folder"), staging_folder(tmp_path / "file" / "below"):
        pytest.fail("must not get here")
    with pytest.raises(GcposeError, match=r"choose another folder"), staging_folder(Path("/proc/gcpose")):
        pytest.fail("must not get here")
