"""Exporting at the end of a run: when, from what, and what is said when it fails."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from gcpose_trt import export
from gcpose_trt.cli import main
from gcpose_trt.errors import GcposeError
from gcpose_trt.export.record import write_record
from gcpose_trt.model import GCPoseRCNN, load_model
from gcpose_trt.model.checkpoint.exported import weights_digest
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.config_loading import load_config
from gcpose_trt.training.distributed import ProcessGroup
from gcpose_trt.training.shipping import export_run, finished_run
from gcpose_trt.training.trainer import Trainer
from tests.training.synthetic import write_recipe

ALONE = ProcessGroup(0, 1, torch.device("cpu"))
FILES = ("detector.onnx", "pose.onnx")


class StandIn:
    """Takes what `export_model` takes, and writes graphs that have nothing but the record."""

    def __init__(self) -> None:
        self.digests: list[str] = []

    def __call__(self, model: GCPoseRCNN, output_dir: Path, **options: Any) -> export.ExportReport:
        assert set(options) == {"progress"}, "verified, of any size"
        assert not model.training
        record = {**model.metadata(), "weights_sha256": weights_digest(model.state_dict())}
        self.digests.append(record["weights_sha256"])
        for graph in ("detector", "pose"):
            proto = onnx.helper.make_model(onnx.helper.make_graph([], graph, [], []))
            write_record(proto, graph, record, "{}", None, 18)
            onnx.save(proto, output_dir / f"{graph}.onnx")
        return export.ExportReport(output_dir / "detector.onnx", output_dir / "pose.onnx", ())


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    monkeypatch.setattr(export, "export_model", stand_in)
    return stand_in


@pytest.fixture(scope="module")
def run_folder(figures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe that exports and a finished run of two iterations that was not exported."""
    folder = tmp_path_factory.mktemp("finished")
    recipe = write_recipe(folder)
    recipe.write_text(recipe.read_text() + "export: true\n")
    config = load_config(str(recipe), ["workers=0", "schedule.iterations=2"])
    Trainer(config, [figures], folder / "run", processes=ALONE).run()
    return folder


@pytest.fixture
def finished(run_folder: Path) -> Any:
    """That folder, again without the export afterwards."""
    yield run_folder
    for name in FILES:
        (run_folder / "run" / name).unlink(missing_ok=True)


def recipe_of(folder: Path, *overrides: str) -> TrainConfig:
    return load_config(str(folder / "recipe.yaml"), ["workers=0", "schedule.iterations=2", *overrides])


def train(folder: Path, figures: Path, *options: str) -> int:
    settings = ["--set", "workers=0", "--set", "schedule.iterations=2"]
    words = ["--config", str(folder / "recipe.yaml"), "--data", str(figures), "--output", str(folder / "run")]
    return main(["train", *words, *settings, *options])


def test_recipe_switches_it_on_and_set_off_again(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    assert not load_config(str(recipe)).export
    recipe.write_text(recipe.read_text() + "export: true\n")
    assert load_config(str(recipe)).export
    assert not load_config(str(recipe), ["export=false"]).export
    with pytest.raises(GcposeError, match=r"recipe\.export is 'often'; give a value of type bool"):
        load_config(str(recipe), ["export=often"])


def test_one_command_from_data_to_files(
    figures: Path, tmp_path: Path, exporter: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(write_recipe(tmp_path).read_text() + "export: true\n")
    assert train(tmp_path, figures) == 0
    run = tmp_path / "run"
    assert exporter.digests == [weights_digest(load_model(run / "model.pt").state_dict())]
    assert all((run / name).is_file() for name in FILES)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == [
        f"2 iterations done; the model is {run / 'model.pt'}",
        f"wrote {run / 'detector.onnx'} and {run / 'pose.onnx'}",
    ]


def test_resume_of_a_finished_run_exports_and_does_nothing_else(
    finished: Path,
    figures: Path,
    exporter: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Trainer, "run", lambda self: pytest.fail("nothing is left to train"))
    before = (finished / "run/model.pt").read_bytes()
    assert train(finished, figures, "--resume") == 0
    assert all((finished / "run" / name).is_file() for name in FILES)
    assert (finished / "run/model.pt").read_bytes() == before
    assert train(finished, figures, "--resume") == 0
    assert len(exporter.digests) == 1
    assert "holds its ONNX files already" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["missing", "torn", "other weights"])
def test_files_that_do_not_hold_the_model_are_made_again(
    finished: Path, figures: Path, exporter: StandIn, damage: str
) -> None:
    assert train(finished, figures, "--resume") == 0
    pose = finished / "run/pose.onnx"
    if damage == "missing":
        pose.unlink()
    elif damage == "torn":
        pose.write_bytes(pose.read_bytes()[:20])
    else:
        pose.write_bytes(pose.read_bytes().replace(exporter.digests[0].encode(), b"0" * 64))
    assert train(finished, figures, "--resume") == 0
    assert exporter.digests == 2 * exporter.digests[:1]


def test_without_export_nothing_is_exported(finished: Path, figures: Path, exporter: StandIn) -> None:
    assert train(finished, figures, "--resume", "--set", "export=false") == 0
    assert exporter.digests == []


def test_runs_that_are_not_finished(finished: Path, tmp_path: Path) -> None:
    run, config = finished / "run", recipe_of(finished)
    outcome = finished_run(run, config, None)
    assert outcome is not None
    assert (outcome.finished, outcome.iteration, outcome.path) == (True, 2, run / "model.pt")
    assert finished_run(tmp_path, config, None) is None
    assert finished_run(run, replace(config, schedule=replace(config.schedule, iterations=3)), None) is None
    assert finished_run(run, config, minutes=1e6) is None
    with pytest.raises(GcposeError, match="another recipe"):
        finished_run(run, recipe_of(finished, "seed=5"), None)


def test_a_model_from_before_is_not_taken_for_the_run(finished: Path, tmp_path: Path) -> None:
    for name in ("last.pt", "model.pt"):
        content = torch.load(finished / "run" / name, weights_only=True)
        torch.save({**content, "iteration": 2 if name == "last.pt" else 1}, tmp_path / name)
    assert finished_run(tmp_path, recipe_of(finished), None) is None


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_packages_are_said_at_the_start(
    figures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    package: str,
) -> None:
    (tmp_path / "recipe.yaml").write_text(write_recipe(tmp_path).read_text() + "export: true\n")
    monkeypatch.setitem(sys.modules, package, None)
    assert train(tmp_path, figures) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"needs the package {package}: pip install 'gcpose-trt[export]'" in line
    assert "--set export=false leaves it out" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", [GcposeError("the files disagree; report it"), RuntimeError("no\nkernel"), OSError()])
def test_failing_export_leaves_the_model_and_says_how_to_go_on(
    finished: Path,
    figures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(export, "export_model", fail)
    assert train(finished, figures, "--resume") == 2
    line = capsys.readouterr().err.splitlines()[-1]
    model, folder = finished / "run/model.pt", finished / "run"
    assert model.is_file()
    assert " ".join(str(error).split()) in line
    assert line.endswith(f"try again: gcpose-trt export {model} --output {folder}")
    assert not any((folder / name).exists() for name in FILES)


@pytest.mark.slow(60)
def test_a_real_export_of_a_run(figures: Path, tmp_path: Path) -> None:
    """Weights that find people, hardly changed, through the exporter and its own check: the shipped graphs, any size.

    Tracing this network takes most of a minute; the exporter's own tests have a tiny one.
    """
    torch.save({"model": load_model("mobile").state_dict(), "config": "mobile"}, tmp_path / "init.pt")
    (tmp_path / "recipe.yaml").write_text(write_recipe(tmp_path).read_text() + "export: true\n")
    options = ["--init", str(tmp_path / "init.pt"), "--set", "optimizer.lr=1e-9", "--set", "ema=0"]
    assert train(tmp_path, figures, *options) == 0
    trained, exported = load_model(tmp_path / "run/model.pt"), load_model(tmp_path / "run/pose.onnx")
    assert weights_digest(trained.state_dict()) == weights_digest(exported.state_dict())
    files = [tmp_path / "run" / name for name in FILES]
    assert sum(file.stat().st_size for file in files) < 30e6
    # The box branch pools the pyramid's four levels and the prior's one map: two numbers of levels, one function.
    nodes = [node for node in onnx.load(files[0]).graph.node if node.op_type == "MultiLevelRoiAlign"]
    assert [len(node.input) for node in nodes] == [6, 6]
    said: list[str] = []
    export_run(tmp_path / "run/model.pt", said.append)
    assert said == [f"{tmp_path / 'run'} holds its ONNX files already"]
