"""The folder of pictures: its files, its page, and what it does not touch."""

from __future__ import annotations

import html.parser
import re
from pathlib import Path
from typing import Any

import cv2
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation.annotations import CocoAnnotations, parse_annotations
from gcpose_trt.evaluation.errors import Diagnosis, diagnose
from gcpose_trt.evaluation.failures import check_folder, write_failures
from tests.evaluation.test_errors import exchange, move

Results = list[dict[str, Any]]


@pytest.fixture
def annotations(document: dict[str, Any]) -> CocoAnnotations:
    return parse_annotations(document, "test")


@pytest.fixture
def diagnosis(annotations: CocoAnnotations, truth_as_results: Results) -> Diagnosis:
    """One swapped, one jittering, one missed and two false people."""
    first, second, third = truth_as_results
    exchange(first)
    move(second, 12)
    ghosts = [{**third, "image_id": 3, "score": score} for score in (0.4, 0.6)]
    return diagnose(annotations, [first, second, *ghosts], shown_from=0.3)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files(diagnosis: Diagnosis, annotations: CocoAnnotations, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "deep/failures"
    assert write_failures(diagnosis, annotations, images, folder, 9, "Errors") == 5
    pictures = ["false-001.jpg", "false-002.jpg", "jitter-001.jpg", "missed-001.jpg", "swapped-001.jpg"]
    assert names(folder) == sorted(["index.html", *pictures])
    for name in pictures:
        picture = cv2.imread(str(folder / name))
        assert picture.shape[1] == 774


class Page(html.parser.HTMLParser):
    """Collects tags, and the text of captions."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_page_needs_nothing_else(diagnosis: Diagnosis, document: dict[str, Any], images: Path, tmp_path: Path) -> None:
    hostile = '"><script>alert(1)</script>.png'.replace("/", "")
    (images / "0003.png").rename(images / hostile)
    document["images"][2]["file_name"] = hostile
    annotations = parse_annotations(document, "test")
    for finding in diagnosis.findings:
        if finding.scene.image["id"] == 3:
            finding.scene.image["file_name"] = hostile
    write_failures(diagnosis, annotations, images, tmp_path / "out", 9, "Errors of <me>")
    text = (tmp_path / "out/index.html").read_text()
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.tags}
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 5
    assert all((picture["src"] or "").startswith("data:image/jpeg;base64,") for picture in pictures)
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    words = "".join(page.words)
    assert "Errors of <me>" in words
    assert f"{hostile} false: best OKS 0.00, score 0.60 (false-001.jpg)" in words
    assert "Missed (1 of 1)" in words and "Far off (none)" in words
    assert "0002.png missed: best OKS 0.00" in words


def test_twice_the_same(diagnosis: Diagnosis, annotations: CocoAnnotations, images: Path, tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        write_failures(diagnosis, annotations, images, tmp_path / name, 9, "Errors")
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]


def test_earlier_pictures_go(diagnosis: Diagnosis, annotations: CocoAnnotations, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_failures(diagnosis, annotations, images, folder, 9, "Errors")
    assert write_failures(diagnosis, annotations, images, folder, 1, "Errors") == 4
    assert names(folder) == ["false-001.jpg", "index.html", "jitter-001.jpg", "missed-001.jpg", "swapped-001.jpg"]
    assert "False (1 of 2)" in (folder / "index.html").read_text()


def test_other_files_are_not_touched(
    diagnosis: Diagnosis, annotations: CocoAnnotations, images: Path, tmp_path: Path
) -> None:
    with pytest.raises(GcposeError, match=r"holds other files \(0001\.png, 0002\.png, 0003\.png\); give a new folder"):
        write_failures(diagnosis, annotations, images, images, 9, "Errors")
    assert names(images) == ["0001.png", "0002.png", "0003.png"]
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(GcposeError, match="is a file; give a folder"):
        check_folder(file)
    with pytest.raises(GcposeError, match="cannot write to"):
        check_folder(file / "below")


def test_lost_image_leaves_no_page(
    diagnosis: Diagnosis, annotations: CocoAnnotations, images: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    write_failures(diagnosis, annotations, images, folder, 9, "Errors")
    (images / "0001.png").write_bytes(b"")
    with pytest.raises(GcposeError, match=r"0001\.png is not an image"):
        write_failures(diagnosis, annotations, images, folder, 9, "Errors")
    assert not (folder / "index.html").exists()
    assert all(cv2.imread(str(path)) is not None for path in folder.iterdir())


def test_nothing_wrong(annotations: CocoAnnotations, truth_as_results: Results, images: Path, tmp_path: Path) -> None:
    assert (
        write_failures(diagnose(annotations, truth_as_results, 0.3), annotations, images, tmp_path / "o", 3, "E") == 0
    )
    assert names(tmp_path / "o") == ["index.html"]
