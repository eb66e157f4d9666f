"""What adapters share: times that add up, settings that are checked, poses in our coordinates, threads."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from gcpose_trt.benchmark import adapting
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError


def spec(**words: object) -> ContenderSpec:
    return ContenderSpec("weights", peer="folder/other.py", **words)  # type: ignore[arg-type]


def test_laps_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 10.5, 10.75, 11.75])
    monkeypatch.setattr(adapting.time, "perf_counter", lambda: next(clock))
    laps = adapting.Laps()
    for stage in ("pose", "postprocess", "pose"):
        laps.end(stage)
    assert laps.stages == {"pose": 1500.0, "postprocess": 250.0}


def test_poses_are_ours() -> None:
    boxes = np.array([[-4, 2, 30, 90], [1, 2, 3, 4], [5, 5, 6, 6]])
    joints = np.tile([3.0, 4.0, 0.5], (3, 17, 1))
    found = adapting.poses(boxes, np.array([0.4, 0.9, 0.1]), joints, (50, 20, 3), 0.4)
    assert found.scores == pytest.approx([0.9, 0.4])
    assert found.boxes[1] == pytest.approx([0, 2, 20, 50])
    assert found.keypoints[0, 0] == pytest.approx([3.5, 4.5, 0.5]), "the centre of pixel 3 is at 3.5"
    assert joints[0, 0, 0] == 3, "what was given stays as it is"
    assert len(adapting.poses(np.zeros(0), np.zeros(0), np.zeros(0), (50, 20, 3), 0.0)) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"backend": "tensorrt"}, "peer other has no backend 'tensorrt'; choose backend onnxruntime, or leave it out"),
        ({"precision": "fp16"}, "runs in fp32 only, not fp16; leave its precision out"),
        ({"device": "npu:1"}, "does not run on 'npu:1'; choose device cpu or cuda"),
        ({"options": {"mode": "x"}}, "has no setting 'mode'; choose setting kind"),
        ({"threads": 0}, "threads 0 is out of range"),
        ({"min_score": -0.1}, "min_score -0.1 is out of range"),
    ],
)
def test_settings_are_checked(words: dict[str, object], message: str) -> None:
    adapting.check_spec(spec(backend="onnxruntime", precision="fp32", device="cuda:0"), ["onnxruntime"], ["kind"])
    with pytest.raises(GcposeError, match=message):
        adapting.check_spec(spec(**words), ["onnxruntime"], ["kind"])


def test_long_sides() -> None:
    assert adapting.square_size(spec()) is None
    assert adapting.square_size(spec(size="333")) == 333
    assert adapting.square_size(spec(size="320"), 32) == 320
    with pytest.raises(GcposeError, match="cannot take size 333; give one number, the long side, a multiple of 32"):
        adapting.square_size(spec(size="333"), 32)
    with pytest.raises(GcposeError, match="cannot take size 320x320; give one number"):
        adapting.square_size(spec(size="320x320"))


def test_threads_of_sessions_that_others_open(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[tuple[object, ...], dict[str, object]]] = []
    monkeypatch.setattr(ort, "InferenceSession", lambda *args, **words: seen.append((args, words)))
    before = ort.InferenceSession
    with adapting.ort_threads(3):
        ort.InferenceSession("a.onnx", None, providers=["p"])
        ort.InferenceSession(path_or_bytes="b.onnx", providers=["p"])
    assert ort.InferenceSession is before
    (first, _), (_, second) = seen
    assert first[1].intra_op_num_threads == 3  # type: ignore[attr-defined]
    assert second["sess_options"].intra_op_num_threads == 3  # type: ignore[attr-defined]
    assert second["path_or_bytes"] == "b.onnx"


def test_versions() -> None:
    assert adapting.version("numpy", "no-such-package") == f"numpy {np.__version__}"


def test_a_gpu_is_not_replaced_in_silence() -> None:
    class OnCpu:
        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    adapting.check_provider(OnCpu(), "cpu")  # type: ignore[arg-type]
    with pytest.raises(GcposeError, match="could not start CUDA"):
        adapting.check_provider(OnCpu(), "cuda:1")  # type: ignore[arg-type]
