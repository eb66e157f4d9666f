"""Finding models, and refusing files that are not one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from tests.support.bundles import make_bundle, metadata, save


def foreign_graph() -> onnx.GraphProto:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    return helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "other", [value], [
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    ])  # fmt: skip


def refusal(model: object) -> str:
    with pytest.raises(GcposeError) as caught:
        PoseEstimator(model, threads=1)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_folder_or_either_file(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "model")
    for model in (folder, folder / "detector.onnx", folder / "pose.onnx", str(folder)):
        assert bundle.find(model) == bundle.BundlePaths(folder / "detector.onnx", folder / "pose.onnx")


def test_shipped_names_go_before_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = make_bundle(tmp_path / "assets" / "mobile").parent
    monkeypatch.setattr(bundle, "SHIPPED", shipped)
    make_bundle(tmp_path / "here" / "mobile")
    monkeypatch.chdir(tmp_path / "here")
    assert bundle.shipped_names() == ["mobile"]
    assert bundle.find("mobile").detector == shipped / "mobile" / "detector.onnx"
    assert bundle.find("./mobile").detector == Path("mobile/detector.onnx")


@pytest.mark.parametrize("name", ["nothing", "", "a/b/c", "nothing.onnx", "../mobile"])
def test_missing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"no model {name!r}" in refusal(name)


def test_half_a_model(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path)
    (folder / "pose.onnx").write_bytes(b"")
    assert "pose.onnx is empty" in refusal(folder)
    (folder / "pose.onnx").unlink()
    assert "has no pose.onnx" in refusal(folder / "detector.onnx")


@pytest.mark.parametrize("keep", [1, 100, 0.5, 0.99])
def test_truncated(tmp_path: Path, keep: float) -> None:
    file = make_bundle(tmp_path) / "detector.onnx"
    data = file.read_bytes()
    file.write_bytes(data[: int(keep if keep >= 1 else keep * len(data))])
    assert "detector.onnx" in refusal(tmp_path)


def test_garbage(tmp_path: Path) -> None:
    (make_bundle(tmp_path) / "detector.onnx").write_bytes(os.urandom(5000))
    assert "detector.onnx cannot be loaded" in refusal(tmp_path)


def test_foreign(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    save(foreign_graph(), tmp_path / "detector.onnx", None)
    assert "not one of gcpose-trt" in refusal(tmp_path)
    save(foreign_graph(), tmp_path / "detector.onnx", metadata("detector"))
    assert "takes ['x'] and returns ['y']" in refusal(tmp_path)
    (tmp_path / "yolo.onnx").write_bytes(b"some model")
    assert "not a model of two files" in refusal(tmp_path / "yolo.onnx")


def test_swapped(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    (tmp_path / "detector.onnx").write_bytes((tmp_path / "pose.onnx").read_bytes())
    assert "holds the graph 'pose', not 'detector'" in refusal(tmp_path)


@pytest.mark.parametrize(("change", "word"), [({"weights_sha256": "1" * 64}, "weights"), ({"size": [64, 64]}, "sizes")])
def test_two_files_of_different_models(tmp_path: Path, change: dict, word: str) -> None:
    make_bundle(tmp_path / "one")
    make_bundle(tmp_path / "two", **change)
    (tmp_path / "one" / "pose.onnx").write_bytes((tmp_path / "two" / "pose.onnx").read_bytes())
    message = refusal(tmp_path / "one")
    assert word in message
    assert "detector.onnx" in message
    assert "pose.onnx" in message


def test_unreadable_record(tmp_path: Path) -> None:
    make_bundle(tmp_path)
    model = onnx.load(tmp_path / "pose.onnx")
    helper.set_model_props(model, {"gcpose": "{not json"})
    onnx.save(model, tmp_path / "pose.onnx")
    assert "unreadable model record" in refusal(tmp_path)


def test_refusals_print_nothing(tmp_path: Path) -> None:
    (make_bundle(tmp_path) / "detector.onnx").write_bytes(os.urandom(5000))
    code = (
        "from gcpose_trt import PoseEstimator\n"
        "from gcpose_trt.errors import GcposeError\n"
        f"try: PoseEstimator({str(tmp_path)!r})\n"
        "except GcposeError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert done.stderr == ""
