"""The evaluator against numbers that pycocotools gave for real detections, and at its edges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import BOX_METRICS, KEYPOINT_METRICS, average_precision, load_annotations, load_results
from gcpose_trt.evaluation.annotations import parse_annotations
from tests.evaluation.small_coco import make_document, make_results

CASES = {
    "images with detections": "lightweight_openpose dets vs person_keypoints_val250, imgs with dets",
    "all images": "lightweight_openpose dets vs person_keypoints_val250, all imgs",
}


@pytest.mark.parametrize("case", CASES)
def test_reference_numbers(shared: Path, case: str) -> None:
    folder = shared / "data/evalref"
    expected = json.loads((folder / "reference_numbers.json").read_text())["results"][CASES[case]]
    annotations = load_annotations(folder / "person_keypoints_val250.json")
    results = load_results(folder / "lightweight_openpose_detections.json")
    chosen = {result["image_id"] for result in results} if case == "images with detections" else None

    keypoints, boxes = average_precision(annotations, results, chosen)

    assert len(chosen or annotations.images) == expected["n_img"]
    assert len(results) == expected["n_det"]
    assert list(keypoints) == list(KEYPOINT_METRICS)
    assert list(keypoints.values()) == pytest.approx(expected["stats"], abs=1e-5)
    assert set(boxes.values()) == {None}, "these detections have no boxes to judge"


def test_nothing_is_printed(shared: Path, capfd: pytest.CaptureFixture[str], document: dict) -> None:
    average_precision(parse_annotations(document, "test"), [])
    assert capfd.readouterr() == ("", "")


def test_the_truth_itself_is_perfect(document: dict, truth_as_results: list[dict]) -> None:
    keypoints, boxes = average_precision(parse_annotations(document, "test"), truth_as_results)
    assert list(boxes) == list(BOX_METRICS)
    assert keypoints["AP"] == keypoints["AR"] == boxes["AP"] == boxes["AR100"] == pytest.approx(1)


def test_nobody_found_is_zero(document: dict) -> None:
    keypoints, boxes = average_precision(parse_annotations(document, "test"), [])
    assert keypoints["AP"] == boxes["AP"] == 0


def test_images_without_people_have_no_precision(document: dict) -> None:
    keypoints, boxes = average_precision(parse_annotations({**document, "annotations": []}, "test"), [])
    assert set(keypoints.values()) == set(boxes.values()) == {None}


def test_a_person_found_where_nobody_is_costs_precision(document: dict, truth_as_results: list[dict]) -> None:
    annotations = parse_annotations(document, "test")
    ghost = {**truth_as_results[0], "image_id": 3, "score": 1.0, "box_score": 1.0}
    keypoints, boxes = average_precision(annotations, [*truth_as_results, ghost])
    assert keypoints["AP"] is not None and keypoints["AP"] < 1
    assert boxes["AP"] is not None and boxes["AP"] < 1


def test_chosen_images_only(document: dict, truth_as_results: list[dict]) -> None:
    annotations = parse_annotations(document, "test")
    on_first = [result for result in truth_as_results if result["image_id"] == 1]
    assert average_precision(annotations, on_first)[0]["AR"] < 1  # type: ignore[operator]
    assert average_precision(annotations, truth_as_results, [1])[0]["AP"] == pytest.approx(1)


@pytest.mark.parametrize("first_id", [0, 7])
def test_annotation_ids_do_not_matter(document: dict, truth_as_results: list[dict], first_id: int) -> None:
    # pycocotools alone takes a match with annotation 0 for a miss.
    for number, person in enumerate(document["annotations"], start=first_id):
        person["id"] = number
    assert average_precision(parse_annotations(document, "test"), truth_as_results)[0]["AP"] == pytest.approx(1)


def test_person_need_not_be_category_one(document: dict, truth_as_results: list[dict]) -> None:
    document["categories"] = [{"id": 1, "name": "bicycle"}, {"id": 44, "name": "person"}]
    document["annotations"] = [{**person, "category_id": 44} for person in document["annotations"]]
    document["annotations"].append({"id": 99, "image_id": 3, "category_id": 1, "bbox": [0, 0, 9, 9]})
    assert average_precision(parse_annotations(document, "test"), truth_as_results)[1]["AP"] == pytest.approx(1)


def test_boxes_alone(document: dict, truth_as_results: list[dict]) -> None:
    boxes_only = [
        {"image_id": result["image_id"], "category_id": 1, "bbox": result["box"], "score": 0.5}
        for result in truth_as_results
    ]
    keypoints, boxes = average_precision(parse_annotations(document, "test"), boxes_only)
    assert set(keypoints.values()) == {None}
    assert boxes["AP"] == pytest.approx(1)


def test_detections_of_other_images_are_refused(document: dict, truth_as_results: list[dict]) -> None:
    strangers = [{**result, "image_id": 1000} for result in truth_as_results]
    with pytest.raises(GcposeError, match=r"detections on 1 images .* first is 1000; give"):
        average_precision(parse_annotations(document, "test"), strangers)


@settings(max_examples=20, deadline=None)
@given(
    shift=st.floats(-40, 40),
    scores=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    dropped=st.integers(0, 3),
)
def test_metrics_stay_within_bounds(shift: float, scores: list[float], dropped: int) -> None:
    document = make_document()
    results = make_results(document)[dropped:]
    for result, score in zip(results, scores, strict=False):
        result["keypoints"] = [value + shift * (index % 3 < 2) for index, value in enumerate(result["keypoints"])]
        result["score"] = score
    keypoints, boxes = average_precision(parse_annotations(document, "test"), results)
    values = [value for value in (*keypoints.values(), *boxes.values()) if value is not None]
    assert values
    assert all(0 <= value <= 1 + 1e-9 for value in values)
    assert keypoints["AP"] <= keypoints["AP50"] + 1e-9  # type: ignore[operator]
