"""`gcpose-trt train` from the shell: what it refuses, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcpose_trt.cli import main


def refuse(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command, expect exit code 2, and return its one line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_WAIT_POLICY", "passive")
        try:
            code = main(["train", *words])
        except SystemExit as stop:
            code = int(stop.code or 0)
    text = capsys.readouterr().err
    assert code == 2
    assert text.startswith("gcpose-trt: error: ")
    assert text.count("\n") == 1
    return text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--iterations", "0"], "--iterations is 0"),
        (["--minutes", "-1"], "--minutes is -1.0"),
        (["--minutes", "nan"], "--minutes is nan"),
        (["--minutes", "1", "--iterations", "5"], "give one of them"),
        (["--threads", "0"], "--threads is 0"),
        (["--seed", "-3"], "--seed is -3"),
        (["--init", "nowhere.npz"], "no weights nowhere.npz"),
        (["--device", "abacus"], "no device abacus"),
        (["--device", "meta"], "does not run on meta"),
        (["--set", "optimizer.lr=-1"], "optimizer.lr is -1"),
        (["--config", "r18"], "no recipe r18"),
        ([], "is not in"),
    ],
)
def test_bad_options(capsys: pytest.CaptureFixture[str], tmp_path: Path, options: list[str], message: str) -> None:
    common = ["--config", "mobile", "--data", str(tmp_path), "--output", str(tmp_path / "run")]
    assert message in refuse(capsys, *common, *options)


def test_missing_data_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["--config", "mobile", "--data", str(tmp_path / "no"), "--output", str(tmp_path / "run")]
    assert "no data folder" in refuse(capsys, *words)
    assert not (tmp_path / "run").exists()


def test_weights_of_another_network(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import torch

    path = tmp_path / "other.pt"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    common = ["--config", "mobile", "--data", str(tmp_path), "--output", str(tmp_path / "run")]
    refuse(capsys, *common, "--init", str(path))


def test_required_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--data" in refuse(capsys, "--config", "mobile")
