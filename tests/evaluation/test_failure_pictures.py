"""What a picture of an error shows, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gcpose_trt.evaluation.annotations import parse_annotations
from gcpose_trt.evaluation.errors import Finding, diagnose
from gcpose_trt.evaluation.failure_pictures import FOUND, GAP, HEIGHT, TRUTH, WIDTH, caption, draw_finding
from gcpose_trt.pose.drawing.strokes import Image
from tests.evaluation.small_coco import HEIGHT as ROWS
from tests.evaluation.small_coco import WIDTH as COLUMNS
from tests.evaluation.test_errors import exchange, move

Results = list[dict[str, Any]]
GROUND: Image = np.full((ROWS, COLUMNS, 3), 90, np.uint8)


def finding(document: dict[str, Any], results: Results, kind: str) -> Finding:
    return diagnose(parse_annotations(document, "test"), results, 0.3).worst(kind)[0]


def halves(picture: Image) -> tuple[Image, Image]:
    """Return both halves without titles and captions."""
    title = (picture.shape[0] - HEIGHT) // 3
    body = picture[title : title + HEIGHT]
    return body[:, :WIDTH], body[:, WIDTH + GAP :]


def has(image: Image, colour: tuple[int, ...]) -> bool:
    return bool((np.abs(image.astype(int) - colour).max(axis=2) < 3).any())


def test_each_half_has_its_colours(document: dict[str, Any], truth_as_results: Results) -> None:
    move(truth_as_results[0], 8)
    truth, found = halves(draw_finding(finding(document, truth_as_results, "jitter"), GROUND))
    assert truth.shape == found.shape == (HEIGHT, WIDTH, 3)
    for side in ("left", "right"):
        assert has(truth, TRUTH.colours[side]) and not has(truth, FOUND.colours[side])
        assert has(found, FOUND.colours[side]) and not has(found, TRUTH.colours[side])


def test_lines_lead_to_where_joints_belong(document: dict[str, Any], truth_as_results: Results) -> None:
    exchange(truth_as_results[0])
    white = (255, 255, 255)
    truth, found = halves(draw_finding(finding(document, truth_as_results, "swapped"), GROUND))
    assert has(found, white) and not has(truth, white)


def test_missed_people_are_on_the_left_only(document: dict[str, Any], truth_as_results: Results) -> None:
    truth, found = halves(draw_finding(finding(document, truth_as_results[:2], "missed"), GROUND))
    assert has(truth, TRUTH.colours["left"])
    assert (found == 90).all(), "nobody was found on that image"


def test_false_people_are_on_the_right_only(document: dict[str, Any], truth_as_results: Results) -> None:
    ghost = {**truth_as_results[0], "image_id": 3}
    truth, found = halves(draw_finding(finding(document, [ghost], "false"), GROUND))
    assert (truth == 90).all()
    assert has(found, FOUND.colours["left"])


def test_truth_lies_on_the_pixels_that_were_annotated(document: dict[str, Any]) -> None:
    """A white pixel under a joint is the middle of that joint's disc, enlarged."""
    person = document["annotations"][2]
    person["keypoints"][3:] = [0] * 48
    person["num_keypoints"] = 1
    x, y = (int(value) for value in person["keypoints"][:2])
    image = GROUND.copy()
    image[y, x] = 255
    missed = finding(document, [], "missed")
    while missed.scene.image["id"] != 2:
        document["annotations"] = document["annotations"][1:]
        missed = finding(document, [], "missed")
    truth, found = halves(draw_finding(missed, image))
    rows, columns = np.nonzero(found.min(axis=2) > 180)
    disc = np.abs(truth.astype(int) - TRUTH.colours["centre"]).max(axis=2) < 3
    centre = [float(np.mean(axis)) for axis in np.nonzero(disc)]
    assert centre == pytest.approx([rows.mean(), columns.mean()], abs=1.5)


@pytest.mark.parametrize("shape", [(240, 320), (20, 320), (240, 20), (1, 1)])
def test_people_beyond_the_image(document: dict[str, Any], shape: tuple[int, int]) -> None:
    picture = draw_finding(finding(document, [], "missed"), np.full((*shape, 3), 90, np.uint8))
    assert picture.shape == draw_finding(finding(document, [], "missed"), GROUND).shape


def test_results_without_a_box(document: dict[str, Any], truth_as_results: Results) -> None:
    ghost = {**truth_as_results[0], "image_id": 3}
    del ghost["box"]
    _, found = halves(draw_finding(finding(document, [ghost], "false"), GROUND))
    assert has(found, FOUND.colours["left"])


def test_captions(document: dict[str, Any], truth_as_results: Results) -> None:
    exchange(truth_as_results[0])
    second = {**truth_as_results[1], "score": 0.25}
    name, facts = caption(finding(document, truth_as_results[:1], "swapped"))
    assert name == "0001.png"
    assert facts.startswith("swapped: OKS 0.") and facts.endswith("1.00 with sides exchanged, score 0.90")
    false = finding(document, [*truth_as_results, second], "false")
    assert caption(false)[1] == "false: best OKS 1.00, somebody found already, score 0.25"
    assert caption(finding(document, [], "missed"))[1] == "missed: best OKS 0.00"
