"""The kind of each error."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcpose_trt.evaluation import average_precision, load_annotations, load_results
from gcpose_trt.evaluation.annotations import parse_annotations
from gcpose_trt.evaluation.errors import JOINTS, PEOPLE, Diagnosis, diagnose, format_errors
from gcpose_trt.pose.skeleton import COCO17
from tests.evaluation.small_coco import make_results

Results = list[dict[str, Any]]


def look(document: dict[str, Any], results: Results) -> Diagnosis:
    return diagnose(parse_annotations(document, "test"), results, shown_from=0.5)


def people(diagnosis: Diagnosis) -> dict[str, int]:
    counts = diagnosis.to_dict()
    return {kind: count for kind, count in (counts["people"] | {"false": counts["false"]}).items() if count}


def move(result: dict[str, Any], pixels: float, joints: range = range(17)) -> None:
    """Put some joints to the right of where they were."""
    for joint in joints:
        result["keypoints"][3 * joint] += pixels


def exchange(result: dict[str, Any], pairs: Any = COCO17.flip_pairs) -> None:
    points = np.reshape(result["keypoints"], (17, 3))
    for left, right in pairs:
        points[[left, right]] = points[[right, left]]
    result["keypoints"] = points.ravel().tolist()


def test_the_truth_itself_has_no_errors(document: dict[str, Any], truth_as_results: Results) -> None:
    diagnosis = look(document, truth_as_results)
    assert people(diagnosis) == {"good": 3}
    assert diagnosis.joints == {**dict.fromkeys(JOINTS, 0), "good": 51}


def test_nobody_found(document: dict[str, Any]) -> None:
    diagnosis = look(document, [])
    assert people(diagnosis) == {"missed": 3}
    assert sum(diagnosis.joints.values()) == 0, "joints of people who were found at all"
    sizes = [finding.scene.people[finding.person or 0]["area"] for finding in diagnosis.worst("missed")]
    assert sizes == sorted(sizes, reverse=True), "missed alike: the largest first"


def test_nobody_annotated(document: dict[str, Any], truth_as_results: Results) -> None:
    diagnosis = look({**document, "annotations": []}, truth_as_results)
    assert people(diagnosis) == {"false": 3}
    assert [finding.similarity for finding in diagnosis.worst("false")] == [0, 0, 0]


def test_jitter_and_far_off(document: dict[str, Any], truth_as_results: Results) -> None:
    move(truth_as_results[0], 8)
    move(truth_as_results[1], 24)
    diagnosis = look(document, truth_as_results)
    assert people(diagnosis) == {"good": 1, "jitter": 1, "far off": 1}
    (jitter,), (far,) = diagnosis.worst("jitter"), diagnosis.worst("far off")
    assert 0.5 <= jitter.similarity < 0.85
    assert 0.1 <= far.similarity < 0.5


def test_sides_exchanged(document: dict[str, Any], truth_as_results: Results) -> None:
    exchange(truth_as_results[0])
    exchange(truth_as_results[1], [(7, 8), (9, 10)])
    diagnosis = look(document, truth_as_results)
    assert people(diagnosis) == {"good": 1, "swapped": 2}
    worst, least = diagnosis.worst("swapped")
    assert worst.similarity + worst.gain == pytest.approx(1)
    assert worst.gain > least.gain > 0.1
    assert diagnosis.joints["left/right"] >= 12
    assert diagnosis.joints["another's"] == diagnosis.joints["far off"] == 0


def test_wholly_exchanged_people_are_no_missed_and_false_ones(
    document: dict[str, Any], truth_as_results: Results
) -> None:
    for result in truth_as_results:
        exchange(result)
    (first, *_) = look(document, truth_as_results).findings
    assert first.similarity < 0.5
    assert people(look(document, truth_as_results)) == {"swapped": 3}


def test_joints_of_somebody_else(document: dict[str, Any], truth_as_results: Results) -> None:
    mine, theirs = truth_as_results[0]["keypoints"], truth_as_results[1]["keypoints"]
    mine[27:33] = theirs[27:33]
    diagnosis = look(document, truth_as_results)
    assert diagnosis.joints == {"good": 49, "jitter": 0, "left/right": 0, "another's": 2, "far off": 0}


def test_joints_far_off(document: dict[str, Any], truth_as_results: Results) -> None:
    move(truth_as_results[2], 150, range(9, 11))
    assert look(document, truth_as_results).joints["far off"] == 2


def test_joints_without_labels_are_not_judged(document: dict[str, Any], truth_as_results: Results) -> None:
    person = document["annotations"][0]
    person["keypoints"][15:] = [0] * 36
    person["num_keypoints"] = 5
    move(truth_as_results[0], 100, range(5, 17))
    diagnosis = look(document, truth_as_results)
    assert people(diagnosis) == {"good": 3}
    assert diagnosis.joints["good"] == 39


def test_false_people_by_score(document: dict[str, Any], truth_as_results: Results) -> None:
    second = {**copy.deepcopy(truth_as_results[0]), "score": 0.3, "box_score": 0.6}
    ghosts = [{**truth_as_results[0], "image_id": 3, "score": s, "box_score": s} for s in (0.2, 0.8)]
    diagnosis = look(document, [*truth_as_results, second, *ghosts])
    false = diagnosis.worst("false")
    assert [finding.score for finding in false] == [0.8, 0.3, 0.2]
    assert [finding.is_second for finding in false] == [False, True, False]
    counts = diagnosis.to_dict()
    assert (counts["false"], counts["false_shown"], counts["false_second"], counts["shown_from"]) == (3, 2, 1, 0.5)
    assert diagnosis.worst("false", 1) == false[:1]


def test_crowds_and_unlabelled_people_are_ignored(document: dict[str, Any], truth_as_results: Results) -> None:
    document["annotations"][0]["iscrowd"] = 1
    document["annotations"][1].update(keypoints=[0] * 51, num_keypoints=0)
    assert people(look(document, truth_as_results)) == {"good": 1}
    assert people(look(document, truth_as_results[2:])) == {"good": 1}


def test_everyone_is_counted_once(shared: Path) -> None:
    folder = shared / "data/evalref"
    annotations = load_annotations(folder / "person_keypoints_val250.json")
    results = load_results(folder / "lightweight_openpose_detections.json")
    diagnosis = diagnose(annotations, results, 0.3)
    annotated = [(f.scene.image["id"], f.person) for f in diagnosis.findings if f.person is not None]
    found = [(f.scene.image["id"], f.found) for f in diagnosis.findings if f.found is not None]
    assert len(set(annotated)) == len(annotated) == sum(person["num_keypoints"] > 0 for person in annotations.people)
    assert len(set(found)) == len(found)
    hits = sum(f.similarity >= 0.5 for f in diagnosis.findings if f.person is not None and f.found is not None)
    assert hits / len(annotated) == pytest.approx(average_precision(annotations, results)[0]["AR50"])
    assert json.loads(json.dumps(diagnosis.to_dict())) == diagnosis.to_dict()


def test_text(document: dict[str, Any]) -> None:
    lines = format_errors(look(document, make_results(document)[:2])).splitlines()
    assert [word for word in lines[0].split() if word != "off"] == ["people", "all", *PEOPLE[:3], "far", "missed"]
    assert lines[1].split() == ["3", "2", "0", "0", "0", "1"]
    assert lines[2].split()[:2] == ["66.7", "%"]
    assert lines[-3] == "false people: 0"
    assert "joints" in lines[4]


def test_text_of_nothing(document: dict[str, Any]) -> None:
    lines = format_errors(look({**document, "annotations": []}, [])).splitlines()
    assert lines[1].split() == ["0"] * 6
    assert lines[2].split() == ["-"] * 5
