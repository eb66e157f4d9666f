"""A repository is there as a whole, or as it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.triton import placing
from gcpose_trt.triton.repository import ExportRequest, export
from tests.support.bundles import make_bundle

MODELS = {"gcpose", "gcpose_frame", "gcpose_detector", "gcpose_pose"}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "models" / "tiny")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_new_and_empty_folders(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "out" / "empty").mkdir(parents=True)
    for name in ("new", "empty", "deep/er"):
        export(ExportRequest(str(bundle), tmp_path / "out" / name))
        repository = tmp_path / "out" / name
        assert {path.name for path in repository.iterdir()} == {*MODELS, "README.md"}
        assert repository.stat().st_mode & 0o077 == 0o777 & ~_umask() & 0o077
    assert (
        files(tmp_path / "out" / "new")["gcpose/config.pbtxt"]
        == files(tmp_path / "out" / "empty")["gcpose/config.pbtxt"]
    )
    assert not list((tmp_path / "out").rglob(".*"))


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


def test_only_force_replaces_and_only_ours(tmp_path: Path, bundle: Path) -> None:
    repository = tmp_path / "repo"
    export(ExportRequest(str(bundle), repository))
    (repository / "other" / "1").mkdir(parents=True)
    (repository / "gcpose" / "2").mkdir()
    with pytest.raises(GcposeError, match=r"is not empty .*; give a new folder, or --force to replace the models"):
        export(ExportRequest(str(bundle), repository))
    export(ExportRequest(str(bundle), repository, min_score=0.75, force=True))
    assert '"0.75"' in (repository / "gcpose" / "config.pbtxt").read_text()
    assert (repository / "other" / "1").is_dir()
    assert not (repository / "gcpose" / "2").exists()
    export(ExportRequest(str(bundle), repository, name="second", force=True))
    assert {path.name for path in repository.iterdir()} >= {*MODELS, "other", "second", "second_pose"}
    assert "# second:" in (repository / "README.md").read_text()


def test_models_of_others_stay(tmp_path: Path, bundle: Path) -> None:
    repository = tmp_path / "repo"
    (repository / "gcpose_pose").mkdir(parents=True)
    (repository / "gcpose_pose" / "config.pbtxt").write_text('name: "gcpose_pose"\n')
    before = files(repository)
    with pytest.raises(GcposeError, match="was not made by gcpose-trt export-triton; choose another --name"):
        export(ExportRequest(str(bundle), repository, force=True))
    assert files(repository) == before
    (repository / "README.md").write_text("Mine.\n")
    export(ExportRequest(str(bundle), repository, name="mine", force=True))
    assert (repository / "README.md").read_text() == "Mine.\n"
    assert "# mine:" in (repository / "README-mine.md").read_text()


def test_a_failure_in_the_middle_leaves_all_as_it_was(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repo"
    export(ExportRequest(str(bundle), repository))
    before = files(repository)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.parent.name == "new" and self.name == "gcpose_frame":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(placing.Path, "rename", failing)
    with pytest.raises(GcposeError, match=r"cannot write .* \(No space left on device\); choose another folder"):
        export(ExportRequest(str(bundle), repository, min_score=0.9, force=True))
    assert files(repository) == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_full_disk_leaves_nothing(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gcpose_trt.triton.repository.shutil.copyfile", full)
    with pytest.raises(GcposeError, match=r"No space left on device\); choose another folder, or free some space"):
        export(ExportRequest(str(bundle), tmp_path / "repo"))
    assert {path.name for path in tmp_path.iterdir()} == {"models"}


def test_a_file_in_the_way(tmp_path: Path, bundle: Path) -> None:
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "repo"):
        with pytest.raises(GcposeError):
            export(ExportRequest(str(bundle), output))
