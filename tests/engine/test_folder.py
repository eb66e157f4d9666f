"""Engine folders appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gcpose_trt.engine import folder
from gcpose_trt.errors import GcposeError

root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def fill(work: Path, text: str, names: tuple[str, ...] = ("detector.engine", "engine.json")) -> None:
    for name in names:
        (work / name).write_text(text)


def contents(path: Path) -> dict[str, str]:
    return {item.name: item.read_text() for item in path.iterdir()}


def test_new_folder_with_parents(tmp_path: Path) -> None:
    with folder.staging(tmp_path / "a" / "b") as work:
        fill(work, "new")
        assert not (tmp_path / "a" / "b").exists()
    assert contents(tmp_path / "a" / "b") == {"detector.engine": "new", "engine.json": "new"}
    assert list((tmp_path / "a").iterdir()) == [tmp_path / "a" / "b"]
    umask = os.umask(0)
    os.umask(umask)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o777 & ~umask


@pytest.mark.parametrize("way", ["exchange", "file by file", "inside"])
def test_an_earlier_engine_is_replaced(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "file by file":
        monkeypatch.setattr(folder, "_exchange", lambda work, target: False)
    if way == "inside":  # as for a mount point
        monkeypatch.setattr(folder.os.path, "ismount", lambda path: True)
    output = tmp_path / "engine"
    output.mkdir()
    fill(output, "old", ("detector.engine", "engine.json", "backbone.engine"))
    with folder.staging(output) as work:
        fill(work, "new")
        assert contents(output)["engine.json"] == "old" if way != "inside" else True
    assert contents(output) == {"detector.engine": "new", "engine.json": "new"}
    assert list(tmp_path.iterdir()) == [output]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with folder.staging(tmp_path / "link") as work:
        fill(work, "new")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real")["engine.json"] == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GcposeError])
def test_nothing_is_left_of_a_failure(error: type[BaseException], tmp_path: Path) -> None:
    output = tmp_path / "engine"
    with pytest.raises(error), folder.staging(output) as work:
        fill(work, "half", ("detector.engine",))
        raise error
    assert list(tmp_path.iterdir()) == []
    output.mkdir()
    fill(output, "old")
    with pytest.raises(error), folder.staging(output) as work:
        fill(work, "half", ("detector.engine",))
        raise error
    assert contents(output) == {"detector.engine": "old", "engine.json": "old"}
    assert list(tmp_path.iterdir()) == [output]


def test_other_files_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_text("mine")
    with pytest.raises(GcposeError, match=r"holds other files \(photo\.jpg\)"), folder.staging(tmp_path):
        pytest.fail("should not have begun")
    assert contents(tmp_path) == {"photo.jpg": "mine"}


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "engine").write_text("")
    with pytest.raises(GcposeError, match="is a file"), folder.staging(tmp_path / "engine"):
        pytest.fail("should not have begun")
    with pytest.raises(GcposeError, match="cannot write"), folder.staging(tmp_path / "engine" / "below"):
        pytest.fail("should not have begun")


def test_a_place_that_cannot_be_written() -> None:
    with pytest.raises(GcposeError, match="cannot write /proc/engine"), folder.staging(Path("/proc/engine")):
        pytest.fail("should not have begun")


@root
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(GcposeError, match="Permission denied"), folder.staging(tmp_path / "engine"):
        pytest.fail("should not have begun")


def test_the_record_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    replace = os.replace
    monkeypatch.setattr(folder, "_exchange", lambda work, target: False)
    monkeypatch.setattr(folder.os, "replace", lambda a, b: (order.append(Path(b).name), replace(a, b)))
    output = tmp_path / "engine"
    output.mkdir()
    fill(output, "old")
    with folder.staging(output) as work:
        fill(work, "new", ("zoo.engine", "engine.json", "a.engine"))
    assert order[-1] == "engine.json"
