"""An estimator over a folder of images; the estimator is a stand-in, pycocotools is real."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.evaluation import CocoAnnotations, evaluate
from gcpose_trt.evaluation.annotations import parse_annotations
from tests.evaluation.small_coco import HEIGHT, WIDTH, Oracle


@pytest.fixture
def annotations(document: dict[str, Any]) -> CocoAnnotations:
    return parse_annotations(document, "a.json")


def test_an_oracle_is_perfect(document: dict[str, Any], images: Path, annotations: CocoAnnotations) -> None:
    result = evaluate(Oracle(document), images, annotations)
    assert result.keypoints["AP"] == result.boxes["AP"] == pytest.approx(1)
    assert (result.images, result.people, result.found, result.rank) == (3, 3, 3, "box")
    assert result.milliseconds.shape == (3,)
    assert (result.milliseconds > 0).all()


def test_numbers_as_json(document: dict[str, Any], images: Path, annotations: CocoAnnotations) -> None:
    numbers = json.loads(json.dumps(evaluate(Oracle(document), images, annotations).to_dict()))
    assert numbers["keypoints"]["AP"] == pytest.approx(1)
    assert numbers["boxes"]["APs"] is None
    assert numbers["milliseconds"]["median"] <= numbers["milliseconds"]["p90"]
    assert "results" not in numbers


def test_annotations_from_a_file(document: dict[str, Any], images: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert evaluate(Oracle(document), images, tmp_path / "a.json").keypoints["AP"] == pytest.approx(1)


def test_images_without_people_are_run_too(
    document: dict[str, Any], images: Path, annotations: CocoAnnotations
) -> None:
    oracle = Oracle(document)
    evaluate(oracle, images, annotations)
    assert oracle.seen == [1, 2, 3]


def test_chosen_images(document: dict[str, Any], images: Path, annotations: CocoAnnotations) -> None:
    oracle = Oracle(document)
    result = evaluate(oracle, images, annotations, image_ids=[2])
    assert oracle.seen == [2]
    assert (result.images, result.people) == (1, 1)


def test_rank(document: dict[str, Any], images: Path, annotations: CocoAnnotations) -> None:
    assert evaluate(Oracle(document), images, annotations, rank="box*keypoints").rank == "box*keypoints"
    with pytest.raises(GcposeError, match="cannot be ranked by 'age'"):
        evaluate(Oracle(document), images, annotations, rank="age")


def test_without_pycocotools(
    document: dict[str, Any], images: Path, annotations: CocoAnnotations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    oracle = Oracle(document)
    with pytest.raises(MissingDependencyError, match=r"pip install 'gcpose-trt\[eval\]'"):
        evaluate(oracle, images, annotations)
    assert oracle.seen == [], "said before the work is done"


def test_rank_changes_precision(document: dict[str, Any], images: Path, annotations: CocoAnnotations) -> None:
    # A ghost with the best box but doubtful joints: only the joint scores can put it last.
    oracle = Oracle(document, ghost=True)
    by_box = evaluate(oracle, images, annotations, rank="box").keypoints["AP"]
    by_both = evaluate(oracle, images, annotations, rank="box*keypoints").keypoints["AP"]
    assert by_box is not None and by_both is not None
    assert by_box < by_both == pytest.approx(1)


def test_grey_and_deep_images(document: dict[str, Any], images: Path, annotations: CocoAnnotations) -> None:
    cv2.imwrite(str(images / "0001.png"), np.full((HEIGHT, WIDTH), 1, np.uint8))
    cv2.imwrite(str(images / "0002.png"), np.full((HEIGHT, WIDTH, 4), 2 * 257, np.uint16))
    oracle = Oracle(document)
    evaluate(oracle, images, annotations)
    assert oracle.seen == [1, 2, 3]


def test_pixels_are_not_rotated(document: dict[str, Any], images: Path) -> None:
    # COCO's annotations refer to the stored pixels, whatever the EXIF orientation says.
    jpeg = bytearray(cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 1, np.uint8))[1].tobytes())
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    jpeg[2:2] = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (images / "0001.jpg").write_bytes(jpeg)
    assert cv2.imread(str(images / "0001.jpg")).shape == (WIDTH, HEIGHT, 3), "the test's file is not rotated"
    document["images"][0]["file_name"] = "0001.jpg"
    evaluate(Oracle(document), images, parse_annotations(document, "a.json"))


def test_unreadable_image(document: dict[str, Any], images: Path, annotations: CocoAnnotations) -> None:
    (images / "0002.png").write_bytes(b"not an image")
    with pytest.raises(GcposeError, match=r"0002\.png is not an image"):
        evaluate(Oracle(document), images, annotations)


def test_image_of_another_size(document: dict[str, Any], images: Path, annotations: CocoAnnotations) -> None:
    cv2.imwrite(str(images / "0002.png"), np.zeros((HEIGHT // 2, WIDTH, 3), np.uint8))
    with pytest.raises(GcposeError, match=r"0002\.png has 320x120 pixels but its annotations say 320x240"):
        evaluate(Oracle(document), images, annotations)
