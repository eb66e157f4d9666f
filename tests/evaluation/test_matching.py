"""Matching, against what pycocotools makes of the same people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.evaluation import average_precision, load_annotations, load_results
from gcpose_trt.evaluation.annotations import CocoAnnotations, parse_annotations
from gcpose_trt.evaluation.matching import MOST_FOUND, make_scenes, match_people
from tests.evaluation.small_coco import make_document, make_person, make_results

Document = dict[str, Any]


def coco_matches(annotations: CocoAnnotations, results: list[dict[str, Any]]) -> tuple[np.ndarray, list[set[int]]]:
    """Return pycocotools' similarities of the first image (found, people), and each image's rows of people matched."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": annotations.images,
        "annotations": [dict(person) for person in annotations.people],
        "categories": [{"id": annotations.category_id, "name": "person"}],
    }
    truth.createIndex()
    keys = ("image_id", "category_id", "keypoints", "score")
    found = truth.loadRes([{key: result[key] for key in keys} for result in results])
    evaluation = COCOeval(truth, found, "keypoints")
    evaluation.evaluate()
    images = [each for each in evaluation.evalImgs if each is not None and each["aRng"] == [0, 10**10]]
    matched = []
    for image in annotations.images:
        ids = [person["id"] for person in annotations.people if person["image_id"] == image["id"]]
        entries = [each for each in images if each["image_id"] == image["id"]]
        hit = {int(value) for each in entries for value in each["dtMatches"][0] if value}
        matched.append({row for row, number in enumerate(ids) if number in hit})
    similarity = evaluation.ious[annotations.images[0]["id"], annotations.category_id]
    return np.array(similarity), matched


def own_matches(annotations: CocoAnnotations, results: list[dict[str, Any]]) -> list[set[int]]:
    matches = [match_people(scene, scene.oks, 0.5) for scene in make_scenes(annotations, results)]
    return [{row for row in rows if row is not None} for rows in matches]


def test_recall_of_real_detections_is_cocos(shared: Path) -> None:
    folder = shared / "data/evalref"
    annotations = load_annotations(folder / "person_keypoints_val250.json")
    results = load_results(folder / "lightweight_openpose_detections.json")
    scenes = make_scenes(annotations, results)
    people = sum(int((~scene.ignored).sum()) for scene in scenes)
    hits = 0
    for scene in scenes:
        matches = match_people(scene, scene.oks, 0.5)
        hits += sum(row is not None and not scene.ignored[row] for row in matches)
    assert hits / people == pytest.approx(average_precision(annotations, results)[0]["AR50"], abs=1e-12)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    shifts=st.lists(st.tuples(st.floats(-60, 60), st.floats(-60, 60)), min_size=1, max_size=6),
    scores=st.lists(st.sampled_from([0.2, 0.5, 0.5, 0.9]), min_size=6, max_size=6),
    kinds=st.lists(st.sampled_from(["labelled", "crowd", "unlabelled", "partly"]), min_size=3, max_size=3),
)
def test_every_match_is_pycocotools(shifts: list[tuple[float, float]], scores: list[float], kinds: list[str]) -> None:
    document = make_document()
    people = [make_person(1, x, 20, 80, 150) for x in (20, 60, 110)]
    for person, kind in zip(people, kinds, strict=True):
        person["iscrowd"] = int(kind == "crowd")
        kept = {"labelled": 17, "partly": 5}.get(kind, 0)
        person["keypoints"][3 * kept :] = [0.0] * (51 - 3 * kept)
        person["num_keypoints"] = kept
    document["annotations"] = people
    annotations = parse_annotations(document, "test")
    whole = make_person(1, 60, 20, 80, 150)["keypoints"]
    results = [
        {
            "image_id": 1,
            "category_id": 1,
            "score": score,
            "keypoints": [v + (x, y, 0)[n % 3] for n, v in enumerate(whole)],
        }
        for (x, y), score in zip(shifts, scores, strict=False)
    ]
    similarity, matched = coco_matches(annotations, results)
    np.testing.assert_allclose(make_scenes(annotations, results)[0].oks, similarity.T, atol=1e-12)
    assert own_matches(annotations, results) == matched


def test_crowd_takes_any_number_and_a_person_one() -> None:
    document = make_document()
    crowd = make_person(3, 100, 40, 100, 150)
    document["annotations"].append({**crowd, "iscrowd": 1, "keypoints": [0] * 51, "num_keypoints": 0})
    annotations = parse_annotations(document, "test")
    results = make_results({"annotations": [crowd, crowd, document["annotations"][0], document["annotations"][0]]})
    scenes = make_scenes(annotations, results)
    assert match_people(scenes[2], scenes[2].oks, 0.5) == [0, 0]
    assert match_people(scenes[0], scenes[0].oks, 0.5) == [0, None]


def test_best_twenty_of_an_image_count_best_first() -> None:
    document = make_document()
    results = [{**make_results(document)[0], "score": number / 100} for number in range(MOST_FOUND + 5)]
    (scene, *_) = make_scenes(parse_annotations(document, "test"), results)
    assert [round(100 * result["score"]) for result in scene.found] == list(range(MOST_FOUND + 4, 4, -1))


def test_results_without_keypoints_are_left_alone() -> None:
    annotations = parse_annotations(make_document(), "test")
    scenes = make_scenes(annotations, [{"image_id": 1, "score": 0.5, "bbox": [0, 0, 9, 9]}])
    assert [len(scene.found) for scene in scenes] == [0, 0, 0]
    assert scenes[0].oks.shape == (2, 0)
