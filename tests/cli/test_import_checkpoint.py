"""`gcpose-trt import-checkpoint`: what it writes, prints and refuses."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from gcpose_trt.cli import main
from gcpose_trt.model import build_model, load_checkpoint


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A bare state dict of `mobile`."""
    torch.manual_seed(5)
    path = tmp_path / "source.pth"
    torch.save(build_model("mobile").state_dict(), path)
    return path


def run(*arguments: object) -> int:
    return main(["import-checkpoint", *map(str, arguments)])


def test_writes_one_of_ours(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "new" / "mobile.pt"
    assert run(source, "--model", "mobile", "--output", output) == 0
    content = torch.load(output, weights_only=True)
    assert content["config"] == "mobile"
    assert content["recipe"]["source"] == "source.pth"
    assert content["recipe"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    expected = torch.load(source, weights_only=True)
    assert all(torch.equal(value, expected[name]) for name, value in content["model"].items())
    assert load_checkpoint(build_model("mobile"), output).initialised == ()
    printed = capsys.readouterr().out
    assert f"{len(expected)} tensors loaded, 0 left as they were" in printed
    assert str(output) in printed
    assert [path.name for path in output.parent.iterdir()] == ["mobile.pt"]


def test_movenet(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "mobile.pt"
    source = shared / "weights" / "movenet-multipose.npz"
    assert run(source, "--model", "mobile", "--output", output, "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "loaded       backbone.stem.weight" in lines
    assert "initialised  rpn.deltas.bias" in lines
    assert any(line.startswith("ignored      StatefulPartitionedCall|kpt_offset_0|") for line in lines)
    first = torch.load(output, weights_only=True)
    assert "rpn.deltas.bias" in first["recipe"]["initialised"]
    # Whatever the source lacks comes out alike each time.
    assert run(source, "--model", "mobile", "--output", output) == 0
    second = torch.load(output, weights_only=True)
    assert all(torch.equal(value, second["model"][name]) for name, value in first["model"].items())


def test_list_alone_writes_nothing(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(source, "--model", "mobile", "--list") == 0
    assert "loaded       rpn.deltas.bias" in capsys.readouterr().out
    assert [path.name for path in source.parent.iterdir()] == ["source.pth"]


def test_list_shows_all_that_does_not_match(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = torch.load(source, weights_only=True)
    for index in range(5):
        tensors[f"rpn.extra{index}"] = torch.zeros(1)
    torch.save(tensors, source)
    output = source.parent / "out.pt"
    assert run(source, "--model", "mobile", "--output", output, "--list") == 2
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [f"of no use: rpn.extra{index}" for index in range(5)]
    assert "5 of no use (rpn.extra0, rpn.extra1, rpn.extra2 and 2 more)" in printed.err
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{source}", "--model", "mobile"], "nothing to do"),
        (["{source}", "--model", "mobile", "--output", "{folder}/model.onnx"], "does not end in .pt or .pth"),
        (["{source}", "--model", "mobile", "--output", "{source}"], "the source itself"),
        (["{source}", "--model", "mobile", "--output", "/proc/none/model.pt"], "cannot write"),
        (["{source}", "--model", "r18", "--output", "{folder}/model.pt"], "choose one of r50, r101, mobile"),
        (["{source}", "--model", "r50", "--output", "{folder}/model.pt"], "not for r50"),
        (["{folder}/none.pth", "--model", "mobile", "--output", "{folder}/model.pt"], "there is no file"),
        (["{source}", "--output", "{folder}/model.pt"], "--model"),
    ],
)
def test_refusals(source: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = source.read_bytes()
    filled = [word.format(source=source, folder=source.parent) for word in arguments]
    try:
        code = run(*filled)
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("gcpose-trt: error: ") and printed.err.count("\n") == 1
    assert message in printed.err
    assert [path.name for path in source.parent.iterdir()] == ["source.pth"]
    assert source.read_bytes() == before
