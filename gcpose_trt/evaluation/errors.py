"""What kinds of errors an evaluation consists of: who is missed, who is made up, and what is wrong with the others.

In the spirit of Ronchi and Perona, "Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation" (ICCV 2017):
joints within a similarity of 0.85 are good, from 0.5 they jitter, and those farther off lie on the other side's joint,
on somebody else's, or nowhere; who is found is told down to an OKS of 0.1. People are judged by the same limits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gcpose_trt.evaluation.annotations import CocoAnnotations
from gcpose_trt.evaluation.matching import FLIP, Floats, Scene, make_scenes, match_people

GOOD, CLOSE, FOUND = 0.85, 0.5, 0.1  # similarity from which joints and people are good, counted, told at all
SWAP_GAIN = 0.1  # of OKS, by exchanging left and right
ERRORS = ("missed", "false", "swapped", "far off", "jitter")  # of people
PEOPLE = ("good", "jitter", "swapped", "far off", "missed")  # each annotated person is one of them
JOINTS = ("good", "jitter", "left/right", "another's", "far off")


@dataclass(frozen=True)
class Finding:
    """One person, annotated or found or both.

    Attributes:
        kind: one of `PEOPLE`, or "false" for a person found where COCO knows none.
        scene: the image.
        person: row in `scene.people`; None for a false person.
        found: row in `scene.found`; None for a missed one.
        similarity: OKS of the two, or of the one to the most similar of the others; 0 where there are none.
        gain: by how much OKS would rise if joints of the wrong side were exchanged.
    """

    kind: str
    scene: Scene
    person: int | None
    found: int | None
    similarity: float
    gain: float = 0.0

    @property
    def score(self) -> float | None:
        """The score of the found; None for a missed person."""
        return None if self.found is None else float(self.scene.found[self.found]["score"])

    @property
    def is_second(self) -> bool:
        """Whether this is a false person who lies on somebody that another of the found fits, too."""
        return self.kind == "false" and self.similarity >= CLOSE

    @property
    def order(self) -> tuple[float, ...]:
        """What sorts findings of one kind, the worst first, in an order that never changes."""
        area = self.scene.people[self.person]["area"] if self.person is not None else 0.0
        worst = {"false": -(self.score or 0.0), "swapped": -self.gain}.get(self.kind, self.similarity)
        # Of people missed alike, the largest: they were the easiest to find.
        return worst, -area, self.scene.image["id"], self.person or 0, self.found or 0


@dataclass(frozen=True)
class Diagnosis:
    """The errors of an evaluation.

    Attributes:
        findings: everyone who counts, in the order of the images.
        joints: how many labelled joints, of the people found at all, are of each of `JOINTS`.
        shown_from: box score from which a person is shown in a picture.
    """

    findings: list[Finding]
    joints: dict[str, int]
    shown_from: float

    def worst(self, kind: str, most: int | None = None) -> list[Finding]:
        """Return the findings of a kind, the worst first, `most` at most."""
        return sorted((finding for finding in self.findings if finding.kind == kind), key=lambda f: f.order)[:most]

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as what JSON can hold."""
        kinds = Counter(finding.kind for finding in self.findings)
        false = self.worst("false")
        return {
            "people": {kind: kinds[kind] for kind in PEOPLE},
            "joints": dict(self.joints),
            "false": kinds["false"],
            "false_second": sum(finding.is_second for finding in false),
            "false_shown": sum(map(self._is_shown, false)),
            "shown_from": self.shown_from,
        }

    def _is_shown(self, finding: Finding) -> bool:
        assert finding.found is not None
        result = finding.scene.found[finding.found]
        return bool(result.get("box_score", result["score"]) >= self.shown_from)


def diagnose(annotations: CocoAnnotations, results: list[dict[str, Any]], shown_from: float) -> Diagnosis:
    """Tell what is wrong with each person.

    People are matched as COCO does at an OKS of 0.5; then those left over, at 0.1 and with left and right exchanged
    where that brings joints nearer, so that whoever was found badly is no missed and a false person.

    Args:
        annotations: the people that are there.
        results: COCO results with keypoints.
        shown_from: box score from which a person is shown in a picture, 0..1.
    """
    findings: list[Finding] = []
    joints: Counter[str] = Counter()
    for scene in make_scenes(annotations, results):
        for finding in _scene_findings(scene):
            findings.append(finding)
            if finding.person is not None and finding.found is not None:
                joints.update(_joint_kinds(scene, finding.person, finding.found))
    return Diagnosis(findings, {kind: joints[kind] for kind in JOINTS}, shown_from)


def exchanged(scene: Scene) -> Floats:
    """Return OKS (N, M) with every pair of joints that lies nearer the other way round exchanged."""
    judged = scene.labelled[:, None].astype(float)
    plain, mirrored = scene.joints * judged, scene.mirrored * judged
    gain = mirrored - plain
    chosen = np.where(gain + gain[..., FLIP] > 0, mirrored, plain)
    labels = scene.labelled.sum(axis=1, keepdims=True)
    return np.where(labels > 0, chosen.sum(axis=2) / np.maximum(labels, 1), scene.oks)


def _scene_findings(scene: Scene) -> Iterator[Finding]:
    """Yield the people annotated, then the false ones."""
    other_way = exchanged(scene)
    matches = match_people(scene, scene.oks, CLOSE)
    loose = other_way.copy()
    # A second round for whoever is left over.
    for column, row in enumerate(matches):
        if row is not None:
            loose[row] = 0
            loose[:, column] = 0
    loose[scene.ignored] = 0
    matches = [
        first if first is not None else second
        for first, second in zip(matches, match_people(scene, loose, FOUND), strict=True)
    ]
    columns = {row: column for column, row in enumerate(matches) if row is not None}
    for row in np.flatnonzero(~scene.ignored).tolist():
        if row not in columns:
            yield Finding("missed", scene, row, None, float(scene.oks[row].max(initial=0)))
            continue
        column = columns[row]
        similarity, gain = float(scene.oks[row, column]), float(other_way[row, column] - scene.oks[row, column])
        yield Finding(_pair_kind(similarity, gain), scene, row, column, similarity, gain)
    for column, match in enumerate(matches):
        if match is None:
            nearest = scene.oks[~scene.ignored, column].max(initial=0)
            yield Finding("false", scene, None, column, float(nearest))


def _pair_kind(similarity: float, gain: float) -> str:
    if gain > SWAP_GAIN:
        return "swapped"
    return "good" if similarity >= GOOD else "jitter" if similarity >= CLOSE else "far off"


def _joint_kinds(scene: Scene, person: int, found: int) -> Iterator[str]:
    others = np.flatnonzero(~scene.ignored & (np.arange(len(scene.people)) != person))
    for joint in np.flatnonzero(scene.labelled[person]).tolist():
        similarity = scene.joints[person, found, joint]
        mirror = FLIP[joint]
        if similarity >= CLOSE:
            yield "good" if similarity >= GOOD else "jitter"
        elif scene.labelled[person, mirror] and scene.mirrored[person, found, mirror] >= CLOSE:
            yield "left/right"
        elif (scene.joints[others, found, joint] * scene.labelled[others, joint]).max(initial=0) >= CLOSE:
            yield "another's"
        else:
            yield "far off"


def format_errors(diagnosis: Diagnosis) -> str:
    """Return the counts as lines of text, without a line break at the end."""
    counts = diagnosis.to_dict()
    return "\n".join(
        (
            *_rows("people", PEOPLE, counts["people"]),
            "",
            *_rows("joints", JOINTS, counts["joints"]),
            "",
            f"false people: {counts['false']}",
            f"  {counts['false_shown']} of them are shown (box score of {diagnosis.shown_from:.2f} or more)",
            f"  {counts['false_second']} are somebody found already (OKS of {CLOSE:.2f} or more)",
        )
    )


def _rows(name: str, columns: tuple[str, ...], counts: dict[str, int]) -> tuple[str, str, str]:
    total = sum(counts.values())
    shares = (f"{100 * counts[column] / total:.1f} %" if total else "-" for column in columns)
    return (
        f"{name:<10}{'all':>8}" + "".join(f"{column:>12}" for column in columns),
        f"{'':<10}{total:>8}" + "".join(f"{counts[column]:>12}" for column in columns),
        f"{'':<10}{'':>8}" + "".join(f"{share:>12}" for share in shares),
    )
