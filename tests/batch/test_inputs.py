"""What inputs stand for."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from gcpose_trt.batch.inputs import expand, source_id
from gcpose_trt.batch.types import SourceSpec


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def names(sources: list[SourceSpec], folder: Path) -> list[str]:
    return [os.path.relpath(source.uri, folder) for source in sources]


def find(*inputs: object, recursive: bool = True) -> list[SourceSpec]:
    sources, failures = expand([str(name) for name in inputs], recursive)
    assert failures == []
    return sources


def test_folder(tmp_path: Path) -> None:
    touch(tmp_path, "v10.mp4", "v2.MP4", "readme.txt", "poses.csv", "noext", ".hidden.mp4", ".cache/x.mp4")
    touch(tmp_path, "day 1/p10.jpg", "day 1/p2.JPG", "day 1/.p3.jpg", "day 1/clip.webm", "p.png")
    sources = find(tmp_path)
    assert names(sources, tmp_path) == ["day 1/clip.webm", "day 1", ".", "v2.MP4", "v10.mp4"]
    assert [source.kind for source in sources] == ["video", "images", "images", "video", "video"]
    assert [Path(file).name for file in sources[1].files] == ["p2.JPG", "p10.jpg"]
    assert names(find(tmp_path, recursive=False), tmp_path) == [".", "v2.MP4", "v10.mp4"]


def test_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a.jpg", "b.mp4", "odd name", "a[1].mp4")
    monkeypatch.chdir(tmp_path)
    sources = find("a.jpg", "./b.mp4", "odd name", "a[1].mp4", f"file://{tmp_path}/b.mp4")
    assert [(source.uri, source.kind) for source in sources] == [
        (str(tmp_path / "a.jpg"), "images"),
        (str(tmp_path / "b.mp4"), "video"),
        (str(tmp_path / "odd name"), "video"),
        (str(tmp_path / "a[1].mp4"), "video"),
    ]
    assert sources[0].files == (str(tmp_path / "a.jpg"),)


def test_pictures_of_a_folder_are_one_however_they_are_named(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg", "2.jpg", "10.jpg", "other/3.jpg")
    (source,) = find(tmp_path / "10.jpg", tmp_path / "2.jpg", tmp_path / "2.jpg")
    assert source.uri == str(tmp_path)
    assert [Path(file).name for file in source.files] == ["2.jpg", "10.jpg"]
    both = find(tmp_path / "1*.jpg", tmp_path)
    assert [source.uri for source in both] == [str(tmp_path), str(tmp_path / "other")]
    assert len(both[0].files) == 3
    (lone,) = find(tmp_path / "other")
    assert lone.uri == str(tmp_path / "other")


def test_pattern(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.mp4", "a/b/y.mp4", "a/b/.z.mp4", "a/b/notes.txt", "c.mp4")
    assert names(find(tmp_path / "**" / "*.mp4"), tmp_path) == ["a/b/y.mp4", "a/x.mp4", "c.mp4"]
    assert names(find(tmp_path / "a" / "*"), tmp_path) == ["a/x.mp4"]


def test_same_source_counts_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a/x.mp4", "a/y.mp4")
    monkeypatch.chdir(tmp_path)
    sources = find("a/y.mp4", "a", "a/../a/x.mp4", tmp_path / "a" / "*.mp4")
    assert names(sources, tmp_path) == ["a/y.mp4", "a/x.mp4"]


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "data/x.mp4", "in/y.mp4")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "data")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    assert names(find(tmp_path / "in"), tmp_path) == ["in/more/x.mp4", "in/y.mp4"]


def test_manifests(tmp_path: Path) -> None:
    touch(tmp_path, "lists/v.mp4", "lists/w.mp4", "lists/p q.mp4", "lists/comma, a.mp4", "lists/sub/u.mp4")
    lists = tmp_path / "lists"
    (lists / "a.txt").write_text(f"\ufeff# of today\n\nv.mp4\r\n  p q.mp4  \n{lists}/w.mp4\nsub/*.mp4\n", "utf-8")
    (lists / "b.csv").write_text('id,source\n1,v.mp4\n# no\n2,"comma, a.mp4"\n3,\n')
    (lists / "c.jsonl").write_text(json.dumps({"source": "v.mp4"}) + "\n\n" + json.dumps({"source": "w.mp4"}) + "\n")
    (lists / "d.list").write_text("a.txt\nd.list\nb.csv\n")
    assert names(find(lists / "a.txt"), lists) == ["v.mp4", "p q.mp4", "w.mp4", "sub/u.mp4"]
    assert names(find(lists / "b.csv"), lists) == ["v.mp4", "comma, a.mp4"]
    assert names(find(lists / "c.jsonl"), lists) == ["v.mp4", "w.mp4"]
    assert len(find(lists / "d.list")) == 5


@pytest.mark.parametrize(
    ("name", "content", "wrong"),
    [
        ("a.txt", b"# nothing\n", "names nothing"),
        ("a.txt", b"\xff\xfe\x00", "UTF-8"),
        ("a.csv", b"path\nx.mp4\n", "column `source`"),
        ("a.csv", b"", "column `source`"),
        ("a.csv", b'source\n"x\n', "not CSV"),
        ("a.jsonl", b'{"source": "x.mp4"}\n{"path": 1}\n', "line 2"),
        ("a.jsonl", b"[1]\n", "line 1"),
        ("a.jsonl", b'{"source": 3}\n', "line 1"),
    ],
)
def test_bad_manifests(tmp_path: Path, name: str, content: bytes, wrong: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    sources, (failure,) = expand([str(path)])
    assert sources == []
    assert wrong in failure.reason and str(path) in failure.reason
    assert "\n" not in failure.reason and "; " in failure.reason


def test_what_names_nothing_does_not_stop_the_rest(tmp_path: Path) -> None:
    touch(tmp_path, "x.mp4")
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.txt").write_text("gone.mp4\nx.mp4\n")
    inputs = [str(tmp_path / name) for name in ("empty", "*.mkv", "no.mp4", "list.txt", "no.txt")] + ["", "odd://x.mp4"]
    sources, failures = expand(inputs)
    assert names(sources, tmp_path) == ["x.mp4"]
    assert [failure.uri for failure in failures] == [*inputs[:3], "gone.mp4", *inputs[4:]]
    assert all(failure.id is None and "; " in failure.reason and "\n" not in failure.reason for failure in failures)


def test_passwords_are_refused_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("https://me:secret@host/x.mp4\n")
    sources, failures = expand(["sftp://me:secret@host/y.mp4", str(tmp_path / "list.txt")])
    assert sources == []
    assert [failure.uri for failure in failures] == ["sftp://host/y.mp4", "https://host/x.mp4"]
    assert not any("secret" in failure.reason for failure in failures)
    assert all("netrc" in failure.reason for failure in failures)


def test_id(tmp_path: Path) -> None:
    touch(tmp_path, "Ein Schöner Clip (1).MP4", "".join("x" * 60) + ".mp4", "你好.mp4")
    for source in find(tmp_path):
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?-[0-9a-f]{12}", source.id)
    assert source_id("s3://bucket/Ein Schöner Clip (1).MP4").startswith("ein-sch-ner-clip-1-")
    assert source_id("s3://a/x.mp4") != source_id("s3://b/x.mp4")
    assert source_id("/data/x.mp4") == source_id("/data/x.mp4")


def test_fingerprint_follows_size_and_time(tmp_path: Path) -> None:
    touch(tmp_path, "x.mp4", "p/1.jpg", "p/2.jpg")
    before = find(tmp_path)
    assert find(tmp_path) == before
    os.utime(tmp_path / "x.mp4", ns=(1, 1))
    os.utime(tmp_path / "p/2.jpg", ns=(1, 1))
    after = find(tmp_path)
    assert [source.id for source in after] == [source.id for source in before]
    assert all(one.fingerprint != other.fingerprint for one, other in zip(before, after, strict=True))
    (tmp_path / "p/2.jpg").unlink()
    assert find(tmp_path)[0].fingerprint != after[0].fingerprint
