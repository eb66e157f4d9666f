"""What is wrong with a folder of engines, in one line each. Run by test_on_standins.py, in a process of its own."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt import PoseEstimator
from gcpose_trt.cli import main
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import EngineFile, Gpu
from tests.support.bundles import make_bundle
from tests.support.cuda_standin import count
from tests.support.engine_folders import from_bundle
from tests.support.tensorrt_standin.surfaces import VERSIONS

GENERATION = os.environ["GCPOSE_TEST_GENERATION"]
REBUILD = "build it again: gcpose-trt build-engine tiny --output engines"


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    def make_folder(**options: Any) -> Path:
        bundle = make_bundle(tmp_path / "bundle", size=[64, 96], batch=1)
        return from_bundle(tmp_path / "engines", bundle, generation=GENERATION, **options)

    return make_folder


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(GcposeError) as caught:
        PoseEstimator(folder, **options)
    assert "\n" not in str(caught.value)
    assert [count(what) for what in ("device", "pinned", "streams", "contexts", "pushed")] == [0] * 5
    return str(caught.value)


def test_what_was_built_elsewhere(make: Callable[..., Path]) -> None:
    here = VERSIONS[GENERATION]
    cases = [
        ({"tensorrt": "9.9.9"}, f"built with TensorRT 9.9.9, this is {here}"),
        ({"gpu": Gpu("Orin", "8.7")}, "built for Orin (compute capability 8.7), this GPU is Stand-in GPU"),
        ({"gpu": Gpu("Another", "9.0")}, "built on Another, this is Stand-in GPU"),
        ({"os": "linux-riscv64"}, "built on linux-riscv64, this is linux-"),
    ]
    for changes, words in cases:
        text = refusal(make(**changes))
        assert words in text
        assert text.endswith(REBUILD)


def test_a_model_that_changed_since(make: Callable[..., Path], tmp_path: Path) -> None:
    source = {"detector": str(tmp_path / "bundle" / "detector.onnx"), "pose": str(tmp_path / "gone.onnx")}
    text = refusal(make(source=source))
    assert "detector.onnx has changed since the engine was built from it; " + REBUILD in text


def test_damaged_files(make: Callable[..., Path]) -> None:
    folder = make()
    plan = folder / "pose.engine"
    content = plan.read_bytes()
    plan.write_bytes(content[:-10])
    assert "pose.engine is cut short" in refusal(folder)
    plan.write_bytes(content[:-1] + b"X")
    assert "is not the file that engine.json describes" in refusal(folder)
    plan.unlink()
    assert "pose.engine is missing; " + REBUILD in refusal(folder)
    record = folder / "engine.json"
    record.write_text(record.read_text()[:200])
    assert "damaged or cut short" in refusal(folder)


def test_a_plan_that_tensorrt_refuses(make: Callable[..., Path]) -> None:
    folder = make()
    plan = folder / "detector.engine"
    plan.write_bytes(b"not a plan")
    record = json.loads((folder / "engine.json").read_text())
    file = EngineFile.of(plan)
    record["files"]["detector"] = {"name": file.name, "sha256": file.sha256, "bytes": file.bytes}
    (folder / "engine.json").write_text(json.dumps(record))
    text = refusal(folder)
    assert "TensorRT refuses" in text
    assert "build the engine again" in text


def test_engines_that_do_not_fit_their_record(make: Callable[..., Path]) -> None:
    assert "do not have the shapes that engine.json gives" in refusal(make(size=(64, 64)))
    folder = make()
    record = json.loads((folder / "engine.json").read_text())
    record["files"]["pose"] = record["files"]["detector"]
    (folder / "engine.json").write_text(json.dumps(record))
    assert "detector.engine is no engine of ours: it takes ['image', 'image_size']" in refusal(folder)
    del record["files"]["pose"]
    (folder / "engine.json").write_text(json.dumps(record))
    assert "has no engine of the detector or of the pose half" in refusal(folder)
    assert "built for tensorrt-rtx, which backend tensorrt does not run" in refusal(make(target="tensorrt-rtx"))


def test_plugin_library(make: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libgcpose_plugins.so"
    names = ["MultiLevelRoiAlign", "GcmAttention", "Nms", "KeypointDecode"]
    library.write_text(json.dumps({"exports": ["getCreators"], "creators": names[:3]}))
    folder = make(plugin_library=library)
    monkeypatch.setenv("GCPOSE_PLUGINS", str(tmp_path / "nothing.so"))
    assert "cannot read the plugin library" in refusal(folder)
    monkeypatch.setenv("GCPOSE_PLUGINS", "")
    text = refusal(folder)  # found where it was when the engine was built, and loaded before the plans
    assert str(library) in text
    assert text.endswith("gcpose-trt plugins build")
    library.write_text("another library")
    assert "is not the one that the engine was built with; " + REBUILD in refusal(folder)
    library.unlink()
    assert "needs the plugin library that it was built with" in refusal(folder)


def test_no_tensorrt(make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make()
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert "tensorrt" in refusal(folder)


def test_options_that_do_not_go_together(make: Callable[..., Path], tmp_path: Path) -> None:
    folder = make()
    assert "was built in fp32, not fp16" in refusal(folder, precision="fp16")
    assert "has no CPU threads to set" in refusal(folder, threads=2)
    assert "runs on a GPU, not on 'cpu'" in refusal(folder, device="cpu")
    assert "there is no GPU 3, this machine shows 1" in refusal(folder, device="cuda:3")
    assert "use backend tensorrt" in refusal(folder, backend="onnxruntime")
    assert "takes inputs of 64x96 only" in refusal(folder, size=(64, 64))
    bundle = tmp_path / "bundle"
    assert "is no folder of TensorRT engines; build them with" in refusal(bundle, backend="tensorrt")
    for name in ("engine.json", "pose.engine"):
        with PoseEstimator(folder / name, backend="tensorrt", precision="fp32", size=(64, 96), device="cuda") as opened:
            assert opened.info.size == (64, 96)


def test_demo(make: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import cv2
    import numpy as np

    picture = np.zeros((64, 96, 3), np.uint8)
    picture[10:50, 10:60, 0] = 255
    cv2.imwrite(str(tmp_path / "picture.png"), picture)
    arguments = ["demo", "--model", str(make()), "--source", str(tmp_path / "picture.png"), "--quiet"]
    arguments += ["--output", str(tmp_path / "out.png")]
    assert main([*arguments, "--backend", "tensorrt"]) == 0
    line = json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])
    assert len(line["people"]) == 1
    assert main([*arguments, "--precision", "fp16"]) == 2
    assert "was built in fp32" in capsys.readouterr().err
