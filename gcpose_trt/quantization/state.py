"""What an interrupted calibration needs to go on."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gcpose_trt.files import atomic_write
from gcpose_trt.quantization.histogram import Histogram

Histograms = Mapping[tuple[str, str], Histogram]


@dataclass
class Progress:
    """How far a calibration is.

    Attributes:
        done: images looked at, those left out among them.
        people: in all images so far.
        empty: images without people.
        skipped: why each image that was left out was.
    """

    done: int = 0
    people: int = 0
    empty: int = 0
    skipped: list[str] = field(default_factory=list)


def key_of(inputs: Mapping[str, Any]) -> str:
    """Return a digest of all that the result depends on."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def path_of(output: Path) -> Path:
    """Return the file beside `output` in which the state is kept until the calibration is written."""
    return output.with_name(f"{output.name}.partial")


def save(path: Path, key: str, progress: Progress, histograms: Histograms) -> None:
    """Write the state, whole or not at all."""
    values = list(histograms.values())
    head = {"key": key, "progress": asdict(progress), "names": [list(name) for name in histograms]}
    numbers = [[h.zeros, h.total, 0 if h.exponent is None else h.exponent, h.exponent is not None] for h in values]
    with atomic_write(path) as stream:
        np.savez(
            stream,
            head=np.frombuffer(json.dumps(head).encode(), np.uint8),
            counts=np.array([h.counts for h in values], np.int64),
            numbers=np.array(numbers, np.int64),
            extremes=np.array([[h.min, h.max] for h in values], np.float64),
        )


def load(path: Path, key: str, histograms: Histograms) -> Progress | str:
    """Fill `histograms` from a state.

    Returns:
        How far it was, or why it cannot be used; the histograms are untouched then.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            head = json.loads(stored["head"].tobytes())
            counts, numbers, extremes = (stored[name] for name in ("counts", "numbers", "extremes"))
        progress = Progress(**head["progress"])
        same = head["key"] == key and head["names"] == [list(name) for name in histograms]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        return f"it cannot be read ({error})"
    if not same:
        return "it belongs to other images, another model or other options"
    for index, histogram in enumerate(histograms.values()):
        zeros, total, exponent, known = (int(number) for number in numbers[index])
        histogram.counts = counts[index].copy()
        histogram.zeros, histogram.total = zeros, total
        histogram.exponent = exponent if known else None
        histogram.min, histogram.max = (float(value) for value in extremes[index])
    return progress
