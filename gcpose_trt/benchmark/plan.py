"""From a suite and the command line to what is measured: the settings of a run, its contenders, its frames."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from gcpose_trt.benchmark import peers
from gcpose_trt.benchmark.clip import Clip, look_at
from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.benchmark.obstacles import has_gpu, obstacle
from gcpose_trt.benchmark.schema import SECTIONS, TIMED_FRAMES
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.backends.opening import BACKENDS, PRECISIONS

DEFAULT = "default"  # of a precision or a size: the model's own
_PATHS = ("models", "clip", "images", "annotations")


@dataclass(frozen=True)
class Settings:
    """What a run was asked to do; every field can stand in a suite under its own name.

    Attributes:
        name: of the suite.
        description: one line for people.
        models: of ours, as `PoseEstimator` takes them.
        backends, precisions, sizes: every model is measured in all combinations that exist; "default" is the model's
            own precision or size.
        peers: "NAME=WEIGHTS" or "FILE.py=WEIGHTS", see `peers.parse`.
        threads: CPU threads of every contender; None: one a physical core.
        device: for ours; None: the backend's own.
        sections: names of `schema.SECTIONS`.
        clip: video, image or folder of images that frames are taken from; None: the sample clip.
        frames: how many of it, spread evenly.
        rounds: how often each contender runs them all; None: until there are `TIMED_FRAMES`.
        turn: frames that one contender runs before the next has its turn.
        people: numbers of people for section people.
        batches, streams: sizes and numbers for section throughput.
        starts: fresh processes for section start.
        images, annotations, max_images: for section accuracy, as `gcpose-trt eval` takes them.
    """

    name: str = "custom"
    description: str = ""
    models: tuple[str, ...] = ("mobile",)
    backends: tuple[str, ...] = ("auto",)
    precisions: tuple[str, ...] = (DEFAULT,)
    sizes: tuple[str, ...] = (DEFAULT,)
    peers: tuple[str, ...] = ()
    threads: int | None = None
    device: str | None = None
    sections: tuple[str, ...] = ("latency", "start", "parity", "samples")
    clip: str | None = None
    frames: int = 40
    rounds: int | None = None
    turn: int = 10
    people: tuple[int, ...] = (0, 1, 2, 5, 10, 20)
    batches: tuple[int, ...] = (1, 2, 4, 8)
    streams: tuple[int, ...] = (1, 2, 4)
    starts: int = 5
    images: str | None = None
    annotations: str | None = None
    max_images: int | None = None

    def __post_init__(self) -> None:
        for name in ("frames", "turn", "starts", "rounds", "threads", "max_images"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise GcposeError(f"{name} {value} is out of range; choose a whole number of at least 1")
        for name, least in (("people", 0), ("batches", 1), ("streams", 1)):
            if any(value < least for value in getattr(self, name)):
                raise GcposeError(f"{name} has {min(getattr(self, name))}; choose whole numbers of at least {least}")
        for name, known in (("sections", SECTIONS), ("backends", BACKENDS), ("precisions", (DEFAULT, *PRECISIONS))):
            unknown = [word for word in getattr(self, name) if word not in known]
            if unknown:
                raise GcposeError(f"no {name[:-1]} is called {unknown[0]!r}; choose from {', '.join(known)}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without folders of this machine, so that two machines' settings can be compared."""
        record = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        for name in _PATHS:
            value = record[name]
            record[name] = [_bare(item) for item in value] if isinstance(value, list) else value and _bare(value)
        record["peers"] = [peers.bare(text) for text in self.peers]
        return record


@dataclass(frozen=True)
class Case:
    """A contender of a run, and why it is left out (ending with what to do), or None."""

    spec: ContenderSpec
    skipped: str | None = None


@dataclass(frozen=True)
class Plan:
    """A run as it will be.

    Attributes:
        settings: as asked for, with `rounds` filled in and `frames` as many as the clip has.
        clip: the frames.
        cases: every contender, the skipped ones too, in the order of the report.
        notes: what the reader of the report should know, one line each.
    """

    settings: Settings
    clip: Clip
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()

    @property
    def contenders(self) -> list[ContenderSpec]:
        """Those that are measured."""
        return [case.spec for case in self.cases if case.skipped is None]

    @property
    def rounds(self) -> int:
        """How often each contender runs all frames."""
        assert self.settings.rounds is not None  # `make_plan` fills it in
        return self.settings.rounds

    def wants(self, section: str) -> bool:
        """Say whether a section is asked for and can be measured."""
        if section == "accuracy" and not (self.settings.images and self.settings.annotations):
            return False
        return section in self.settings.sections


def make_plan(settings: Settings, gpu: Callable[[], bool] = has_gpu) -> Plan:
    """Look at the clip and at what there is on this machine.

    Args:
        settings: what is asked for.
        gpu: says whether there is a GPU that TensorRT could use.

    Raises:
        GcposeError: no such clip, no such peer, or nothing to measure.
    """
    cases = tuple(Case(spec, obstacle(spec, gpu)) for spec in contenders(settings))
    if not cases:
        raise GcposeError("there is nothing to measure; give models with --models or peers with --peers")
    clip = look_at(settings.clip, settings.frames)
    count = len(clip.indices)
    resolved = replace(settings, frames=count, rounds=settings.rounds or math.ceil(TIMED_FRAMES / count))
    return Plan(resolved, clip, cases, tuple(_notes(settings, resolved)))


def contenders(settings: Settings) -> list[ContenderSpec]:
    """Return every combination that is asked for, ours first, without repetitions."""
    grid = itertools.product(settings.models, settings.sizes, settings.backends, settings.precisions)
    ours = [
        ContenderSpec(
            model=model,
            backend=backend,
            precision=_own(precision),
            size=_own(size),
            threads=settings.threads,
            device=settings.device,
        )
        for model, size, backend, precision in grid
    ]
    theirs = [peers.parse(text, settings.threads) for text in settings.peers]
    return list({spec.id: spec for spec in (*ours, *theirs)}.values())


def _notes(asked: Settings, resolved: Settings) -> list[str]:
    notes = []
    timed = resolved.frames * (resolved.rounds or 0)
    if "latency" in resolved.sections and timed < TIMED_FRAMES:
        notes.append(f"{timed} timed frames a contender: fewer than the {TIMED_FRAMES} that a trustworthy median needs")
    if resolved.frames < asked.frames:
        notes.append(f"the clip has {resolved.frames} frames, {asked.frames} were asked for")
    if "accuracy" in asked.sections and not (asked.images and asked.annotations):
        notes.append("accuracy was not measured: no images with annotations were given (--images, --annotations)")
    return notes


def _own(word: str) -> str | None:
    return None if word == DEFAULT else word


def _bare(name: str) -> str:
    return Path(name).name if "/" in name else name
