"""The way from frames to people through two models of a server, which here are two ONNX Runtime sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.triton.graphs import Graph
from gcpose_trt.triton.serving import PoseService, Settings, pack
from gcpose_trt.triton.source import open_source
from gcpose_trt.video.clips import VideoSource
from tests.support.bundles import make_bundle

SAMPLE = Path(__file__).parents[2] / "gcpose_trt" / "assets" / "sample.mp4"


class Models:
    """Two models of a server, and what was asked of them."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.graphs = {name: Graph(folder / f"{name}.onnx", threads) for name in ("detector", "pose")}
        self.calls: list[tuple[str, tuple[int, ...]]] = []
        self.types: set[Any] = set()

    def __call__(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Mapping[str, Any]:
        self.calls.append((model, inputs["image" if model == "detector" else "boxes"].shape))
        self.types.add(inputs["image_size" if model == "detector" else "batch_index"].dtype)
        wide = {name: value.astype(np.int64) if value.dtype == np.int32 else value for name, value in inputs.items()}
        return self.graphs[model].run(wide, outputs)


def settings(model: Path, **changes: Any) -> Settings:
    return Settings(open_source(str(model)).info, "detector", "pose", **changes)


def coloured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return a frame in which the tiny model finds a person a colour channel."""
    random = np.random.default_rng(seed)
    frame = np.zeros((height, width, 3), np.uint8)
    for channel in range(3):
        top, left = random.integers(0, height // 2 + 1), random.integers(0, width // 2 + 1)
        frame[top : top + height // 3 + 1, left : left + width // 3 + 1, channel] = 255
    return frame


def answers(service: PoseService, *frames: np.ndarray) -> list[PoseFrame]:
    jobs = [service.job([frame]) for frame in frames]
    service.answer(jobs)
    assert [job.error for job in jobs] == [None] * len(jobs)
    return [pose for job in jobs for pose in job.poses if pose is not None]


def test_the_shipped_model_answers_as_the_estimator_does() -> None:
    with VideoSource(SAMPLE) as clip:
        frame = next(iter(clip)).image
    folder = SAMPLE.parent / "mobile"
    with PoseEstimator("mobile", threads=1) as estimator:
        expected = estimator(frame)
        service = PoseService(Models(folder), settings(folder, min_score=estimator.min_score, max_people=30))
    assert len(expected) > 0
    assert answers(service, frame) == [expected]


@pytest.mark.parametrize("size", [None, "96", "64x96"])
def test_one_frame_at_a_time_is_bit_for_bit_the_estimator(tmp_path: Path, size: str | None) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    service = PoseService(Models(bundle), settings(bundle, size=size, min_score=0.3, max_people=2))
    with PoseEstimator(bundle, size=size, min_score=0.3, max_people=2, threads=1) as estimator:
        for seed, shape in enumerate([(48, 64), (64, 48), (1, 1), (30, 90), (200, 3)]):
            frame = coloured(*shape, seed)
            assert answers(service, frame) == [estimator(frame)]


def test_frames_of_one_size_go_together(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    models = Models(bundle)
    service = PoseService(models, settings(bundle, batch=2, min_score=0.3))
    frames = [coloured(48, 64, 1), coloured(90, 30, 2), coloured(24, 32, 3), coloured(48, 64, 4)]
    found = answers(service, *frames)
    # 48x64 and 24x32 have one letterbox, and there is room for two.
    assert [shape[0] for model, shape in models.calls if model == "detector"] == [2, 1, 1]
    assert [shape[0] for model, shape in models.calls if model == "pose"] == [4, 2, 2]
    with PoseEstimator(bundle, threads=1, min_score=0.3) as estimator:
        for pose, frame in zip(found, frames, strict=True):
            expected = estimator(frame)
            np.testing.assert_allclose(pose.keypoints, expected.keypoints, atol=1e-4)
            np.testing.assert_allclose(pose.boxes, expected.boxes, atol=1e-4)


def test_limits_of_a_request_go_before_the_models(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    models = Models(bundle)
    service = PoseService(models, settings(bundle, min_score=0.3))
    frame = coloured(48, 64)
    wanted = [{}, {"min_score": "0.1"}, {"min_score": 0.7}, {"max_people": 1}]
    jobs = [service.job([frame], parameters) for parameters in wanted]
    service.answer(jobs)
    assert [len(job.poses[0] or ()) for job in jobs] == [2, 3, 1, 1]


@pytest.mark.parametrize(
    "parameters",
    [
        *({"min_score": value} for value in ("high", 2, True, "nan")),
        *({"max_people": value} for value in (0, "1.5", None)),
    ],
)
def test_limits_out_of_range(tmp_path: Path, parameters: dict[str, Any]) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    service = PoseService(Models(bundle), settings(bundle))
    with pytest.raises(GcposeError, match=r"parameter (min_score|max_people) is .*; give a"):
        service.job([coloured(48, 64)], parameters)


def test_people_are_filled_up_to_a_bucket(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    models = Models(bundle)
    fixed = settings(bundle, batch=4, batch_limit=4, buckets=(1, 4), int64=False, min_score=0.1)
    frames = [coloured(48, 64, seed) for seed in range(3)]
    found = answers(PoseService(models, fixed), *frames)
    # Nine people of three frames, of which the fourth place stays black, in calls of at most four.
    assert models.calls == [("detector", (4, 64, 64, 3)), *(("pose", (people, 4)) for people in (4, 4, 1))]
    assert models.types == {np.dtype(np.int32)}
    expected = answers(PoseService(Models(bundle), settings(bundle, min_score=0.1)), *frames)
    for pose, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(pose.keypoints, other.keypoints, atol=1e-4)


def test_a_network_that_fails_fails_only_its_group(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "tiny")
    models = Models(bundle)

    def infer(model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> Mapping[str, Any]:
        if model == "detector" and inputs["image"].shape[1] > inputs["image"].shape[2]:
            raise GcposeError("detector failed; see the server's log")
        return models(model, inputs, outputs)

    service = PoseService(infer, settings(bundle))
    jobs = [service.job([coloured(30, 90)]), service.job([coloured(90, 30)])]
    service.answer(jobs)
    assert jobs[0].error is None and jobs[0].poses[0] is not None
    assert "see the server's log" in str(jobs[1].error)


def test_pack_fills_up_with_zeros() -> None:
    one = PoseFrame(np.ones((1, 4)), np.ones(1), np.ones((1, 17, 3)))  # type: ignore[arg-type]
    packed = pack([PoseFrame.empty(), one])
    assert packed["count"].tolist() == [[0], [1]]
    assert {name: (array.dtype, array.shape) for name, array in packed.items()} == {
        "count": (np.int32, (2, 1)),
        "boxes": (np.float32, (2, 1, 4)),
        "scores": (np.float32, (2, 1)),
        "keypoints": (np.float32, (2, 1, 17, 3)),
    }
    assert not packed["keypoints"][0].any() and packed["keypoints"][1].all()
    assert pack([PoseFrame.empty()])["keypoints"].shape == (1, 0, 17, 3)


def test_parameters_that_are_damaged() -> None:
    with pytest.raises(GcposeError, match=r"config\.pbtxt of gcpose are incomplete or damaged.*export the model again"):
        Settings.from_parameters({"model": "{"}, "gcpose")
