"""Settings, contenders and frames of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.benchmark.clip import look_at
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.obstacles import has_gpu, obstacle
from gcpose_trt.benchmark.plan import Settings, contenders, make_plan
from gcpose_trt.errors import GcposeError


def test_every_combination_is_a_contender_once() -> None:
    """Ours first, in the order that they were given; repetitions are left out."""
    settings = Settings(models=("mobile", "mobile"), precisions=("fp32", "int8"), sizes=("default", "448"), threads=2)
    found = contenders(settings)
    assert [(spec.precision, spec.size, spec.threads) for spec in found] == [
        ("fp32", None, 2),
        ("int8", None, 2),
        ("fp32", "448", 2),
        ("int8", "448", 2),
    ]


def test_rounds_are_filled_in_until_there_are_200_frames(pictures: Path) -> None:
    """Six frames take 34 rounds; more than the clip has cannot be had, and the report says so."""
    plan = make_plan(Settings(clip=str(pictures), frames=40))
    assert (plan.settings.frames, plan.rounds, plan.clip.indices) == (6, 34, (0, 1, 2, 3, 4, 5))
    assert plan.notes == ("the clip has 6 frames, 40 were asked for",)


def test_too_few_frames_are_noted(pictures: Path) -> None:
    """Whoever asks for fewer than 200 gets them, and the reader is told."""
    plan = make_plan(Settings(clip=str(pictures), frames=3, rounds=2))
    assert "6 timed frames" in plan.notes[0] and "200" in plan.notes[0]


def test_accuracy_needs_annotations(pictures: Path) -> None:
    """A suite may list accuracy although nobody gave images; it is then left out and noted."""
    settings = Settings(clip=str(pictures), sections=("latency", "accuracy"))
    plan = make_plan(settings)
    assert plan.wants("latency") and not plan.wants("accuracy") and not plan.wants("start")
    assert any("accuracy was not measured" in note for note in plan.notes)
    assert make_plan(replace(settings, images="a", annotations="b")).wants("accuracy")


def test_the_record_has_no_folders(pictures: Path, fake: str) -> None:
    """Two machines' settings can be compared, and say nothing about either's disk."""
    settings = Settings(models=("mobile", "/a/r50.pth"), peers=(f"{fake},size=3",), clip=str(pictures), images="/x/val")
    record = make_plan(settings).settings.to_dict()
    assert record["models"] == ["mobile", "r50.pth"] and record["images"] == "val"
    assert record["peers"] == ["fake_peer.py=nothing,size=3"]
    assert "/" not in json.dumps(record)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frames": 0}, "frames 0"),
        ({"rounds": -1}, "rounds -1"),
        ({"batches": (1, 0)}, "batches has 0"),
        ({"people": (-2,)}, "people has -2"),
        ({"sections": ("speed",)}, "no section is called 'speed'"),
        ({"peers": ("nobody=x",)}, "no peer is called 'nobody'"),
        ({"models": ()}, "nothing to measure"),
        ({"clip": "nowhere.mp4"}, "no file nowhere.mp4"),
    ],
)
def test_bad_settings(options: dict[str, object], message: str) -> None:
    """One line that names the setting and what to do."""
    with pytest.raises(GcposeError, match=message) as error:
        make_plan(Settings(**options))  # type: ignore[arg-type]
    assert "\n" not in str(error.value) and "; " in str(error.value)


@pytest.mark.parametrize(
    ("spec", "gpu", "reason"),
    [
        (ContenderSpec("mobile"), False, None),
        (ContenderSpec("mobile", backend="onnxruntime", precision="int8"), False, None),
        (ContenderSpec("mobile", backend="torch", precision="int8"), True, "does not run in int8"),
        (ContenderSpec("mobile", backend="tensorrt"), False, "no NVIDIA GPU"),
        (ContenderSpec("mobile", backend="tensorrt"), True, "no folder of TensorRT engines"),
        (ContenderSpec("engines/x", backend="tensorrt"), True, "no folder engines/x; build engines with"),
        (ContenderSpec("mobile", backend="onnxruntime", device="cuda"), True, "runs on the CPU"),
    ],
)
def test_obstacles(spec: ContenderSpec, gpu: bool, reason: str | None) -> None:
    """Combinations that cannot be are known before anything is opened."""
    found = obstacle(spec, lambda: gpu)
    assert found is None if reason is None else found is not None and reason in found and ";" in found


def test_engines_run_in_tensorrt_only(tmp_path: Path) -> None:
    """A folder of engines is no model for the others; a damaged record is the reason by itself."""
    (tmp_path / "engine.json").write_text("{")
    for backend, reason in (("torch", "TensorRT engines"), ("onnxruntime", "TensorRT engines"), ("auto", "no NVIDIA")):
        assert reason in str(obstacle(ContenderSpec(str(tmp_path), backend=backend), lambda: False))
    damaged = obstacle(ContenderSpec(str(tmp_path), backend="tensorrt", precision="fp16"), lambda: True)
    assert "damaged" in str(damaged)


def test_gpus_are_seen_by_their_devices(tmp_path: Path) -> None:
    """The control device alone is no GPU."""
    (tmp_path / "nvidiactl").touch()
    assert not has_gpu(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert has_gpu(tmp_path)


def test_frames_are_spread_over_the_clip() -> None:
    """From the first to the last, and the digest is the file's."""
    clip = look_at(SAMPLE, 4)
    assert (clip.width, clip.height, clip.indices[0], len(clip.indices)) == (960, 540, 0, 4)
    assert clip.indices[-1] == 229 and clip.to_dict()["name"] == "sample.mp4" and len(clip.sha256) == 64


def test_a_folder_of_images_is_a_clip(pictures: Path, tmp_path: Path) -> None:
    """Its digest covers names and contents."""
    clip = look_at(pictures, 2)
    assert (clip.indices, clip.width, clip.height) == ((0, 5), 64, 48)
    (tmp_path / "other.png").write_bytes((pictures / "0.png").read_bytes())
    assert look_at(tmp_path, 2).sha256 != clip.sha256
