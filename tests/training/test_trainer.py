"""Runs: their files, stopping, killing, resuming, several processes, and what ends them with one line."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gcpose_trt.errors import GcposeError
from gcpose_trt.model import build_model, load_checkpoint
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.config_loading import load_config
from gcpose_trt.training.distributed import ProcessGroup
from gcpose_trt.training.trainer import Trainer
from tests.training.synthetic import write_recipe

REPOSITORY = Path(__file__).resolve().parents[2]
ALONE = ProcessGroup(0, 1, torch.device("cpu"))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return load_config(str(write_recipe(tmp_path)), ["workers=0"])


def weights(path: Path) -> dict[str, torch.Tensor]:
    content = torch.load(path, weights_only=True)
    return dict(content["model"])


def assert_equal_weights(a: Path, b: Path) -> None:
    first, second = weights(a), weights(b)
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different


def command(figures: Path, output: Path, *more: str) -> list[str]:
    recipe = write_recipe(output.parent)
    words = ["train", "--config", str(recipe), "--data", str(figures), "--output", str(output), "--threads", "1", *more]
    return [sys.executable, "-m", "gcpose_trt", *words]


def environment() -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def test_run_writes_a_model_that_loads(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    outcome = Trainer(config, [figures], tmp_path / "run", processes=ALONE).run()
    assert outcome.finished
    assert outcome.iteration == 6
    content = torch.load(outcome.path, weights_only=True)
    assert (content["config"], content["seed"], content["iteration"]) == ("mobile", 0, 6)
    assert content["recipe"]["optimizer"]["lr"] == 0.0005
    model = build_model("mobile")
    load_checkpoint(model, outcome.path)
    assert torch.equal(model.state_dict()["rpn.objectness.weight"], content["model"]["rpn.objectness.weight"])
    assert list((tmp_path / "run" / "events").glob("events.*"))
    assert not list((tmp_path / "run").glob(".*"))


def test_frozen_parts_stay_and_the_rest_moves(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(config, [figures], tmp_path / "run", processes=ALONE)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.run()
    after = trainer.model.state_dict()
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"neck", "rpn", "box_head", "keypoint_head"}


@pytest.mark.slow
def test_resuming_after_a_kill_is_exact(figures: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "a" / "run", tmp_path / "b" / "run"
    for folder in (whole, killed):
        folder.parent.mkdir()
    subprocess.run(command(figures, whole, "--set", "ema=0.9"), env=environment(), check=True, capture_output=True)
    process = subprocess.Popen(
        command(figures, killed), env=environment(), stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    # Killed right after iteration 3: its checkpoint is of iteration 2, and workers are busy with later ones.
    for line in process.stderr:
        if line.startswith("iteration 3 of 6:"):
            os.killpg(process.pid, signal.SIGKILL)
            break
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "model.pt").exists()
    resumed = subprocess.run(
        command(figures, killed, "--resume", "--set", "workers=0"),
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line for line in resumed.stderr.splitlines() if line.startswith("iteration ")]
    assert lines[0].startswith("iteration 3 of 6:")
    assert len(lines) == 4
    assert_equal_weights(whole / "model.pt", killed / "model.pt")
    assert_equal_weights(whole / "last.pt", killed / "last.pt")


@pytest.mark.slow
def test_ctrl_c_saves_and_says_how_to_resume(figures: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    process = subprocess.Popen(
        command(figures, output, "--iterations", "100000", "--set", "checkpoint_every=100000"),
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("iteration 2 of "):
            break
    os.killpg(process.pid, signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait() == 130
    assert "--resume goes on" in rest
    assert "Traceback" not in rest
    assert torch.load(output / "last.pt", weights_only=True)["iteration"] >= 2


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2])
def test_two_processes_train_the_same_model_everywhere(figures: Path, tmp_path: Path, processes: int) -> None:
    output = tmp_path / "run"
    words = command(figures, output, "--set", "workers=0")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    script = [words[0], *launcher, "-m", *words[2:]]
    done = subprocess.run(script, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr.count("iterations done") == 1
    assert all(torch.isfinite(value).all() for value in weights(output / "model.pt").values())


def test_clock_ends_the_run_and_its_schedule(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    config = replace(config, schedule=replace(config.schedule, iterations=10**6, warmup=0))
    seconds = itertools.count(100.0)  # one more each time that the clock is read: at the start, and before each step
    trainer = Trainer(config, [figures], tmp_path / "run", processes=ALONE, minutes=4 / 60, clock=lambda: next(seconds))
    outcome = trainer.run()
    assert outcome.finished
    assert outcome.iteration == 3
    assert trainer.elapsed == 4
    assert trainer.learning_rate < 0.9 * config.optimizer.lr


def test_best_model_is_kept(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    validation = replace(config.validation, every=2, images="images", annotations="annotations.json")
    scores = iter([0.2, 0.7, 0.5])
    trainer = Trainer(
        replace(config, validation=validation),
        [figures],
        tmp_path / "run",
        processes=ALONE,
        validator=lambda model: {"keypoints/AP": next(scores)},
    )
    trainer.run()
    best = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert (best["iteration"], best["metrics"]) == (4, {"keypoints/AP": 0.7})


@pytest.mark.slow
def test_validation_measures_the_network(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    validation = replace(config.validation, every=6, images="images", annotations="annotations.json", max_images=2)
    Trainer(replace(config, validation=validation), [figures], tmp_path / "run", processes=ALONE).run()
    metrics = torch.load(tmp_path / "run" / "best.pt", weights_only=True)["metrics"]
    assert 0 <= metrics["keypoints/AP"] <= 1
    assert 0 <= metrics["boxes/AP50"] <= 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_trains(figures: Path, config: TrainConfig, tmp_path: Path, precision: str) -> None:
    config = replace(config, precision=precision, schedule=replace(config.schedule, iterations=1), channels_last=True)
    outcome = Trainer(config, [figures], tmp_path / "run", processes=ALONE).run()
    assert outcome.finished


def test_a_loss_that_is_not_finite_stops_the_run(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    trainer = Trainer(config, [figures], tmp_path / "run", processes=ALONE)
    with torch.no_grad():
        trainer.model.box_head.classes.bias.fill_(float("nan"))
    with pytest.raises(GcposeError, match=r"the loss box_class is nan in iteration 1 .*lower optimizer.lr"):
        trainer.run()
    assert not (tmp_path / "run" / "last.pt").exists()


def test_running_out_of_memory_is_one_line(
    figures: Path, config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer(config, [figures], tmp_path / "run", processes=ALONE)
    monkeypatch.setattr(trainer, "objective", lambda *_: torch.empty(2**60))
    with pytest.raises(GcposeError, match="out of memory; lower"):
        trainer.run()


def test_output_that_holds_a_run(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    output = tmp_path / "run"
    Trainer(config, [figures], output, processes=ALONE).run()
    with pytest.raises(GcposeError, match="holds a run already; add --resume"):
        Trainer(config, [figures], output, processes=ALONE)
    changed = replace(config, optimizer=replace(config.optimizer, lr=1.0))
    with pytest.raises(GcposeError, match=r"another recipe \(optimizer.lr: 0.0005, now 1.0\)"):
        Trainer(changed, [figures], output, processes=ALONE, resume=True)
    longer = replace(config, schedule=replace(config.schedule, iterations=8), workers=1)
    assert Trainer(longer, [figures], output, processes=ALONE, resume=True).run().iteration == 8


def test_damaged_checkpoints(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    output = tmp_path / "run"
    Trainer(config, [figures], output, processes=ALONE).run()
    last = output / "last.pt"
    whole = last.read_bytes()
    for damage in ("truncated", "foreign", "weights"):
        if damage == "truncated":
            last.write_bytes(whole[:-1000])
        elif damage == "foreign":
            shutil.copy(output / "model.pt", last)
        else:
            last.write_bytes(whole)
            state = torch.load(last, weights_only=True)
            state["model"]["rpn.objectness.weight"] = torch.zeros(1)
            torch.save(state, last)
        with pytest.raises(GcposeError) as error:
            Trainer(config, [figures], output, processes=ALONE, resume=True)
        assert "\n" not in str(error.value), damage


def test_output_that_cannot_be_made(figures: Path, config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GcposeError, match="cannot make"):
        Trainer(config, [figures], tmp_path / "file" / "run", processes=ALONE)


def twenty_images(annotations: Path) -> dict[str, Any]:
    """Return the annotations of the first 20 images with one to three people, all of a fair size and well labelled."""
    tree: dict[str, Any] = json.loads(annotations.read_text())
    people: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in tree["images"]}
    for person in tree["annotations"]:
        people[person["image_id"]].append(person)

    def clear(image: dict[str, Any]) -> bool:
        least = 0.2 * max(image["width"], image["height"])
        return 1 <= len(people[image["id"]]) <= 3 and all(
            not person["iscrowd"] and person["num_keypoints"] >= 5 and person["bbox"][3] >= least
            for person in people[image["id"]]
        )

    tree["images"] = [image for image in tree["images"] if clear(image)][:20]
    tree["annotations"] = [person for image in tree["images"] for person in people[image["id"]]]
    return tree


@pytest.mark.slow(130)
def test_twenty_images_are_learnt_by_heart(shared: Path, tmp_path: Path) -> None:
    """Losses, targets, network, decode and evaluation fit together: AP above 0.9 on the images trained on."""
    from gcpose_trt.evaluation import evaluate
    from gcpose_trt.runtime.estimator import PoseEstimator

    data = shared / "data"
    tree = twenty_images(data / "coco" / "person_keypoints_train.json")
    assert len(tree["images"]) == 20
    (tmp_path / "twenty.json").write_text(json.dumps(tree))
    config = load_config("overfit", ["datasets.0.annotations=twenty.json"])
    torch.set_num_threads(1)  # the other core has tests of its own
    init = shared / "weights" / "movenet-multipose.npz"
    outcome = Trainer(config, [tmp_path, data], tmp_path / "run", init=init, processes=ALONE).run()
    model = build_model("mobile")
    load_checkpoint(model, outcome.path)
    size = config.datasets[0].augment.long
    with PoseEstimator(model=model, backend="torch", min_score=0.05, size=size) as estimator:
        result = evaluate(estimator, data / "coco" / "train", tmp_path / "twenty.json")
    assert result.keypoints["AP"] is not None
    assert result.keypoints["AP"] > 0.9
