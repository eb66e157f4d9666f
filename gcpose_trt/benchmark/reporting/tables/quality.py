"""How well, and at what cost in energy: average precision, parity, joules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gcpose_trt.benchmark.reporting.table import Column, Row, Table
from gcpose_trt.benchmark.reporting.view import View
from gcpose_trt.benchmark.reporting.words import DASH, clean, figure, fixed, look, number, text, whole

_KEYPOINTS = ("AP", "AP50", "AP75", "APm", "APl", "AR")
_BOXES = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def accuracy(view: View) -> Table | None:
    """COCO's metrics of joints and boxes."""
    found = view.of("accuracy")
    if not found:
        return None
    columns = [
        *(Column(name, "keypoints") for name in _KEYPOINTS),
        *(Column(name, "boxes") for name in _BOXES),
        *map(Column, ("images", "people", "found", "least score")),
        Column("ordered by", words=True),
    ]
    rows = [
        Row(
            entry.name,
            [
                *(fixed(look(record, "keypoints", name), 3) for name in _KEYPOINTS),
                *(fixed(look(record, "boxes", name), 3) for name in _BOXES),
                *(whole(record.get(name)) for name in ("images", "people", "found")),
                figure(record.get("min_score")),
                text(record.get("rank")),
            ],
            entry,
        )
        for entry, record in found
    ]
    notes = ["COCO's average precision, 0 to 1, by pycocotools' rules; only people count."]
    named = {
        (clean(look(record, "dataset", "name") or ""), str(look(record, "dataset", "sha256") or "")[:12]): None
        for _, record in found
    }
    notes += [f"Annotations: {name}{f' (sha256 {digest})' if digest else ''}." for name, digest in named if name]
    return Table("Accuracy", "contender", columns, rows, notes).without_empty()


def parity(view: View) -> Table | None:
    """How far backends and precisions of the same weights differ."""
    found = view.of("parity")
    if not found:
        return None
    columns = [
        Column("against", words=True),
        *map(Column, ("frames", "people", "missing", "extra", "score, largest")),
        *(Column(name, "joint, pixels") for name in ("median", "p99", "largest")),
    ]
    rows = [
        Row(
            entry.name,
            [
                text(view.name_of(record.get("reference"))),
                *(whole(record.get(name)) for name in ("frames", "people", "missing", "extra")),
                figure(record.get("score_difference")),
                *(figure(look(record, "joint_pixels", name)) for name in ("median", "p99", "max")),
            ],
            entry,
        )
        for entry, record in found
    ]
    notes = [
        "The same weights on the same frames: people of the reference that were found (or missing, or found beside "
        "them), how far scores differ at most, and how far joints moved in pixels of the frame."
    ]
    return Table("Parity with the first contender of the same weights", "contender", columns, rows, notes)


def energy(view: View) -> Table | None:
    """Joules a frame and watts, by sensor."""
    rows = []
    covers = view.get("environment", "energy_covers")
    for entry, record in view.of("latency"):
        sensors = record.get("energy")
        for sensor, read in sensors.items() if isinstance(sensors, Mapping) else ():
            cells = [
                clean(sensor),
                text(look(covers, sensor)),
                figure(look(read, "joules_per_frame")),
                figure(look(read, "watts")),
            ]
            if cells[2:] != [DASH, DASH]:
                rows.append(Row(entry.name, cells, entry))
    if not rows:
        return None
    columns = [Column("sensor", words=True), Column("of what", words=True), Column("joules a frame"), Column("watts")]
    notes = [
        "Watts over all turns of a contender, and what they come to in the time of a frame; a sensor counts everything "
        "that its part of the machine does meanwhile, rest included."
    ]
    return Table("Energy", "contender", columns, rows, notes).without_empty()


def average_precision(record: Any) -> float | None:
    """Return keypoint AP of a record of accuracy."""
    return number(look(record, "keypoints", "AP"))
