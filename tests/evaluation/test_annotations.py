"""Annotations that are read, and those that are refused with one line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import load_annotations
from gcpose_trt.evaluation.annotations import parse_annotations


def refused(document: Any, message: str) -> None:
    with pytest.raises(GcposeError, match=message) as caught:
        parse_annotations(document, "a.json")
    assert "\n" not in str(caught.value)
    assert "a.json" in str(caught.value)
    assert "; " in str(caught.value), "every message ends with what to do next"


def test_optional_fields_are_filled_in(document: dict[str, Any]) -> None:
    person = document["annotations"][0]
    for key in ("area", "iscrowd", "num_keypoints", "id"):
        del person[key]
    person["keypoints"][2] = 0
    parsed = parse_annotations(document, "a.json").people[0]
    assert (parsed["area"], parsed["iscrowd"], parsed["num_keypoints"], parsed["id"]) == (100 * 200, 0, 16, 1)


def test_images_without_people_are_kept(document: dict[str, Any]) -> None:
    assert parse_annotations(document, "a.json").image_ids == [1, 2, 3]


def test_subset(document: dict[str, Any]) -> None:
    subset = parse_annotations(document, "a.json").subset([2, 3])
    assert subset.image_ids == [2, 3]
    assert [person["image_id"] for person in subset.people] == [2]


def test_subset_of_unknown_or_no_images(document: dict[str, Any]) -> None:
    annotations = parse_annotations(document, "a.json")
    with pytest.raises(GcposeError, match=r"2 of the chosen images .* first is 8"):
        annotations.subset([1, 8, 9])
    with pytest.raises(GcposeError, match="no images were chosen"):
        annotations.subset([])


@pytest.mark.parametrize(
    "document", [[], {}, None, {"images": [], "annotations": []}, {"images": {}, "annotations": 1}]
)
def test_not_coco(document: Any) -> None:
    refused(document, "not COCO annotations: it lacks the lists")


def test_no_images(document: dict[str, Any]) -> None:
    refused({**document, "images": []}, "lists no images")


def test_no_person_category(document: dict[str, Any]) -> None:
    refused({**document, "categories": [{"id": 1, "name": "cat"}]}, "no category named person")


def test_no_keypoints(document: dict[str, Any]) -> None:
    people = [{key: value for key, value in p.items() if key != "keypoints"} for p in document["annotations"]]
    refused({**document, "annotations": people}, "no keypoints")


def test_wrong_number_of_keypoints(document: dict[str, Any]) -> None:
    document["annotations"][1]["keypoints"] = [1.0] * 12
    refused(document, "12 keypoint numbers instead of 51")


def test_person_on_an_unlisted_image(document: dict[str, Any]) -> None:
    document["annotations"][0]["image_id"] = 77
    refused(document, "person on image 77")


def test_image_listed_twice(document: dict[str, Any]) -> None:
    refused({**document, "images": [*document["images"], document["images"][0]]}, "an image id twice")


@pytest.mark.parametrize(
    ("where", "key", "value"),
    [
        ("images", "id", "one"),
        ("images", "file_name", None),
        ("annotations", "bbox", [1, 2, 3]),
        ("annotations", "bbox", None),
        ("annotations", "keypoints", "none"),
        ("annotations", "area", "large"),
        ("categories", "id", None),
    ],
)
def test_malformed_entries(document: dict[str, Any], where: str, key: str, value: Any) -> None:
    document[where][0][key] = value
    refused(document, "not COCO's format|keypoint numbers")


@pytest.mark.parametrize("key", ["id", "file_name"])
def test_missing_image_keys(document: dict[str, Any], key: str) -> None:
    del document["images"][0][key]
    refused(document, f"not COCO's format .*{key}")


def test_truncated_file(document: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document)[:-20])
    with pytest.raises(GcposeError, match=re.escape(f"{file} is not complete JSON")):
        load_annotations(file)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\x89PNG\r\n", b"[" * 100_000])
def test_files_that_are_not_json(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(content)
    with pytest.raises(GcposeError, match="not complete JSON") as caught:
        load_annotations(file)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(GcposeError, match="no file of annotations at"):
            load_annotations(path)


def test_image_paths(document: dict[str, Any], images: Path) -> None:
    annotations = parse_annotations(document, "a.json")
    assert [path.name for path in annotations.image_paths(images)] == ["0001.png", "0002.png", "0003.png"]


def test_missing_images_are_counted(document: dict[str, Any], images: Path) -> None:
    annotations = parse_annotations(document, "a.json")
    for name in ("0002.png", "0003.png"):
        (images / name).unlink()
    with pytest.raises(GcposeError, match=r"2 of the 3 images of a\.json are not in .*, the first is 0002\.png; give"):
        annotations.image_paths(images)
    with pytest.raises(GcposeError, match="is not a folder"):
        annotations.image_paths(images / "0001.png")
