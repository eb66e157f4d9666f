"""Whole runs with real children: interrupted, resumed, refused, with contenders that fail."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.benchmark import fleet, sections
from gcpose_trt.benchmark.plan import Settings
from gcpose_trt.benchmark.reading import read_report
from gcpose_trt.benchmark.records import without_folders
from gcpose_trt.benchmark.runner import run_benchmark
from gcpose_trt.benchmark.surroundings import Surroundings, command_line, commit
from gcpose_trt.errors import GcposeError


@pytest.fixture(autouse=True)
def _latency_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other sections have tests of their own."""
    monkeypatch.setattr(sections, "_MODULES", ("latency",))


def _around(energy: Callable[[], dict[str, float]] = dict, **changes: Any) -> Surroundings:
    known: dict[str, Any] = {
        "facts": lambda: {"machine_id": "m1", "cpu": "a processor"},
        "snapshot": lambda: {"load": 0.5},
        "energy": energy,
        "covers": {},
        "commit": "abc",
    }
    return Surroundings(**{**known, **changes})


def _interrupting(reading: int) -> Callable[[], dict[str, float]]:
    """Return a sensor at whose n-th reading the user presses Ctrl-C."""
    readings = 0

    def energy() -> dict[str, float]:
        nonlocal readings
        readings += 1
        if readings == reading:
            raise KeyboardInterrupt
        return {}

    return energy


@pytest.fixture
def settings(pictures: Path, fake: str) -> Settings:
    """One contender, three rounds of six frames in one turn each: two readings of the sensors a round."""
    return Settings(
        name="mine", models=(), peers=(fake,), clip=str(pictures), rounds=3, turn=6, threads=1, sections=("latency",)
    )


def _refused(settings: Settings, folder: Path, message: str, around: Surroundings | None = None) -> None:
    before = (folder / "report.json").read_bytes()
    with pytest.raises(GcposeError, match=message) as error:
        run_benchmark(settings, folder, surroundings=around or _around())
    assert "--fresh" in str(error.value) and "\n" not in str(error.value)
    assert (folder / "report.json").read_bytes() == before


def test_a_run_of_ours(tmp_path: Path) -> None:
    """The shipped model, one that is not there and one that cannot be: a whole report all the same."""
    settings = Settings(
        models=("mobile", "nobody"),
        backends=("onnxruntime", "tensorrt"),
        sizes=("128",),
        sections=("latency",),
        clip=str(SAMPLE),
        frames=3,
        rounds=2,
        turn=2,
        threads=1,
    )
    said: list[str] = []
    words = ["benchmark", "cpu", "--clip", str(SAMPLE)]
    report = run_benchmark(settings, tmp_path / "new" / "folder", arguments=words, say=said.append)
    assert report["complete"] and report["command"] == "gcpose-trt benchmark cpu --clip sample.mp4"
    assert report == read_report(tmp_path / "new" / "folder")
    ours, skipped, absent, _ = report["contenders"]  # backends vary faster than models
    assert (ours["status"], ours["reason"], ours["threads"]) == ("measured", "", 1)
    assert ours["backend"] == "onnxruntime" and ours["bytes"] > 1e6 and ours["label"] == "mobile @128"
    assert (skipped["status"], skipped["label"]) == ("skipped", "mobile tensorrt @128")
    assert (absent["status"], absent["label"]) == ("failed", "nobody @128")
    assert any("no model 'nobody'" in line for line in said) and any("no NVIDIA GPU" in line for line in said)
    entry = report["latency"][ours["id"]]
    assert entry["end_to_end"]["count"] == 6 and entry["network"]["median"] < entry["end_to_end"]["median"]
    assert report["environment"]["machine_id"] and report["sessions"][0]["after"]["time"]
    assert "6 timed frames" in report["notes"][0]


def test_an_interrupted_run_goes_on_where_it_was(settings: Settings, tmp_path: Path) -> None:
    """What was measured stays as it was; the partial report says that it is one."""
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(settings, tmp_path, surroundings=_around(_interrupting(4)))
    partial = read_report(tmp_path)
    assert not partial["complete"] and list(partial["units"]) == ["latency/0"]
    identity = partial["contenders"][0]["id"]
    assert partial["latency"][identity]["end_to_end"]["count"] == 6
    assert "the run was interrupted" in partial["notes"]
    said: list[str] = []
    report = run_benchmark(settings, tmp_path, say=said.append, surroundings=_around())
    assert any("going on" in line for line in said)
    assert report["complete"] and report["units"]["latency/0"] == partial["units"]["latency/0"]
    assert report["latency"][identity]["samples"]["round"] == [0] * 6 + [1] * 6 + [2] * 6
    assert [session["ended"] is not None for session in report["sessions"]] == [True, True]
    assert report == read_report(tmp_path)


def test_interrupted_before_anything_was_measured(settings: Settings, tmp_path: Path) -> None:
    """The contender is in the report, with the reason why it has no numbers."""
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(settings, tmp_path, surroundings=_around(_interrupting(1)))
    partial = read_report(tmp_path)
    assert partial["units"] == {} and partial["latency"] == {}
    assert partial["contenders"][0]["status"] == "skipped" and "interrupted" in partial["contenders"][0]["reason"]


def test_a_complete_run_is_not_measured_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But with --fresh it is; and all that is different is refused before anything is touched."""
    report = run_benchmark(settings, tmp_path, surroundings=_around())
    said: list[str] = []
    again = run_benchmark(settings, tmp_path, say=said.append, surroundings=_around())
    assert again == report and "--fresh" in said[0]

    _refused(replace(settings, rounds=2), tmp_path, r"with other settings \(rounds 3, now 2\)")
    _refused(replace(settings, name="quick"), tmp_path, "with suite mine, not quick")
    _refused(settings, tmp_path, "at commit abc, this is def", _around(commit="def"))
    libraries = _around(facts=lambda: {"machine_id": "m1", "versions": {"numpy": "3.0"}})
    _refused(settings, tmp_path, r"with other libraries \(numpy None, now 3.0\)", libraries)
    other = _around(facts=lambda: {"machine_id": "m2"})
    _refused(settings, tmp_path, r"on another machine \(m1, this one is m2\)", other)

    # Settings from the second run on: no child is needed to see that a clip of the same name is another one.
    monkeypatch.setattr(fleet, "Child", None)
    clip = tmp_path / "clip"
    clip.mkdir()
    assert settings.clip is not None
    (clip / "0.png").write_bytes(Path(settings.clip, "0.png").read_bytes())
    changed = json.loads((tmp_path / "report.json").read_text())
    changed["clip"]["sha256"] = "0"
    (tmp_path / "report.json").write_text(json.dumps(changed))
    _refused(settings, tmp_path, "with another clip of that name")


@pytest.mark.parametrize("content", ['{"schema": 1, "kin', "[]", '{"kind": "gcpose-trt benchmark", "schema": 99}', ""])
def test_a_corrupt_report_in_the_folder(settings: Settings, tmp_path: Path, content: str) -> None:
    """It is not overwritten unless --fresh says so."""
    (tmp_path / "report.json").write_text(content)
    _refused(settings, tmp_path, "report.json")
    if not content:
        assert run_benchmark(settings, tmp_path, fresh=True, surroundings=_around())["complete"]


def test_a_contender_that_fails_does_not_stop_the_others(settings: Settings, fake: str, tmp_path: Path) -> None:
    """It has no numbers but a reason; a peer whose weights are missing has one too."""
    peers = (fake, f"{fake},die=8", f"{fake},raise=3", f"{fake},missing=no weights; get some", f"{fake},refuse=yes")
    report = run_benchmark(replace(settings, peers=peers), tmp_path, surroundings=_around())
    found = [(record["status"], record["reason"]) for record in report["contenders"]]
    assert found[0] == ("measured", "")
    assert found[1][0] == "failed" and found[1][1].startswith("its process was killed")
    assert found[2] == ("failed", "ValueError: the network is not in the mood")
    assert found[3] == ("skipped", "no weights; get some")
    assert found[4] == ("failed", "it does not want to be opened; ask nicely")
    assert len({record["label"] for record in report["contenders"]}) == 5
    assert [name for name, entry in report["latency"].items() if "end_to_end" in entry] == [
        report["contenders"][0]["id"]
    ]


@pytest.mark.parametrize("option", ["refuse=yes", "missing=no weights; get some", "raise=1"])
def test_all_contenders_fail(settings: Settings, fake: str, tmp_path: Path, option: str) -> None:
    """An error that has every reason."""
    reason = {"refuse": "ask nicely", "missing": "no weights", "raise": "not in the mood"}[option.split("=")[0]]
    with pytest.raises(GcposeError, match=f"nothing .* measured: fake_peer.*{reason}"):
        run_benchmark(replace(settings, rounds=1, peers=(f"{fake},{option}",)), tmp_path, surroundings=_around())


def test_reports_hold_no_folders() -> None:
    """Addresses and fractions stay as they are."""
    result = {"a": {"failed": "no file /home/me/my.onnx; see https://x.org/a/b", "frame": [1, 2]}, "b": ["and/or 1/2"]}
    assert without_folders(result) == {
        "a": {"failed": "no file my.onnx; see https://x.org/a/b", "frame": [1, 2]},
        "b": ["and/or 1/2"],
    }


def test_a_folder_that_cannot_be_written(settings: Settings, tmp_path: Path) -> None:
    """Before anything is measured."""
    (tmp_path / "file").touch()
    with pytest.raises(GcposeError, match="is a file; give a folder with --output"):
        run_benchmark(settings, tmp_path / "file", surroundings=_around())


def test_command_lines_without_folders() -> None:
    """Wherever in a word a path stands; quoted so that it could be given again."""
    words = ["benchmark", "--peers", "movenet=/a/b c/m.onnx,size=3", "/d/own.py=../w.pt", "--output", "./out", "it's"]
    assert command_line(words) == (
        "gcpose-trt benchmark --peers movenet=m.onnx,size=3 own.py=w.pt --output out 'it'\"'\"'s'"
    )


def test_the_commit_is_that_of_the_clone(tmp_path: Path) -> None:
    """A wheel has none."""
    assert commit(tmp_path) is None
    (tmp_path / ".git").mkdir()
    assert commit(tmp_path) is None
