"""Suites from TOML files."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcpose_trt.benchmark import suites
from gcpose_trt.benchmark.plan import Settings
from gcpose_trt.errors import GcposeError


def test_every_shipped_suite_can_be_read() -> None:
    """And measures enough frames for a median."""
    assert "cpu" in suites.known()
    for name in suites.known():
        settings = suites.load(name)
        assert settings.name == name and settings.description
        assert settings.rounds is None or settings.rounds * settings.frames >= 200


def test_a_suite_of_the_users_own(tmp_path: Path) -> None:
    """Sizes may be numbers; what is left out keeps its default."""
    path = tmp_path / "mine.toml"
    path.write_text('models = ["mobile"]\nsizes = ["default", 448]\nframes = 5\nclip = "a.mp4"\n')
    settings = suites.load(path)
    assert settings == Settings(name="mine", sizes=("default", "448"), frames=5, clip="a.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frames = ", "no valid TOML"),
        ("\xff", "no valid TOML"),
        ("frmes = 3", "no setting 'frmes'; choose from"),
        ("frames = true", "frames = True is of the wrong type; write frames = 10"),
        ("frames = 2.5", "wrong type"),
        ('models = "mobile"', "models is not a list"),
        ('people = [1, "two"]', "people has 'two' in it"),
        ('sections = ["speed"]', "no section is called 'speed'"),
        ("rounds = 0", "rounds 0 is out of range"),
        ('name = "x"', "has a name inside"),
    ],
)
def test_bad_suites(tmp_path: Path, text: str, message: str) -> None:
    """One line with the file's name and what to do."""
    path = tmp_path / "bad.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(GcposeError, match=message) as error:
        suites.load(path)
    assert "bad.toml" in str(error.value) and "\n" not in str(error.value)


def test_unknown_suites_name_the_known_ones(tmp_path: Path) -> None:
    """By a name and by a path."""
    with pytest.raises(GcposeError, match=r"no suite is called 'fast'; choose from .*cpu"):
        suites.load("fast")
    with pytest.raises(GcposeError, match="check the path"):
        suites.load(tmp_path / "none.toml")


def test_options_win_over_the_suite() -> None:
    """What was not given (None) stays as the suite has it."""
    settings = Settings(frames=7)
    changed = suites.with_options(settings, {"models": ["r50"], "frames": None, "threads": 3})
    assert (changed.models, changed.frames, changed.threads) == (("r50",), 7, 3)
    with pytest.raises(GcposeError, match="no setting 'speed'"):
        suites.with_options(settings, {"speed": 1})
