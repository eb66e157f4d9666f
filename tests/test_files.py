"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("mode", "content"), [("w", "größe\n"), ("wb", b"\x00\xff")])
def test_content(tmp_path: Path, mode: str, content: str | bytes) -> None:
    target = tmp_path / "new/folder/file"
    with atomic_write(target, mode) as stream:
        stream.write(content)
    assert target.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert names(target.parent) == ["file"]


def test_nothing_is_there_before_the_end(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with atomic_write(target) as stream:
        stream.write(b"half")
        stream.flush()
        assert not target.exists()


@pytest.mark.parametrize("error", [ValueError("a bug"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(type(error)), atomic_write(target) as stream:
        stream.write(b"new")
        raise error
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_full_disk(tmp_path: Path) -> None:
    target = tmp_path / "file"
    with (
        pytest.raises(GcposeError, match=r"cannot write .*file \(No space left on device\); free"),
        atomic_write(target),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "file"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_check_makes_folders_and_no_file(tmp_path: Path) -> None:
    assert check_writable(tmp_path / "a/b/file") == tmp_path / "a/b/file"
    assert names(tmp_path / "a/b") == []


def test_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="is a folder; give the path of a file"):
        check_writable(tmp_path)
    with pytest.raises(GcposeError, match="is a folder"), atomic_write(tmp_path):
        pass


def test_file_in_the_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(GcposeError, match=r"cannot write .*; choose another folder"):
        check_writable(tmp_path / "file/inside")


def test_name_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(GcposeError, match="File name too long"), atomic_write(tmp_path / ("x" * 300)) as stream:
        stream.write(b"")
    assert names(tmp_path) == []


@pytest.mark.parametrize("length", [250, 255])
def test_longest_names(tmp_path: Path, length: int) -> None:
    with atomic_write(tmp_path / ("x" * length)) as stream:
        stream.write(b"1")
    assert names(tmp_path) == ["x" * length]


def test_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_write(tmp_path / "link") as stream:
        stream.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(GcposeError, match="cannot write"):
        check_writable(tmp_path / "a/file")


def test_devices_and_pipes_are_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(GcposeError, match="is not an ordinary file"), atomic_write(tmp_path / "pipe"):
        pass
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_errors_of_other_files_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), atomic_write(tmp_path / "file"):
        (tmp_path / "elsewhere").read_bytes()
    assert names(tmp_path) == []
