"""Which files and addresses a run writes to, from what a user names and where the frames come from.

====================  ==================================================================================
name                  becomes
====================  ==================================================================================
``NAME.mp4``          an annotated clip of a video, camera or stream
``NAME.jpg``, ...     the annotated picture of an image
``FOLDER/*.jpg``      a folder of annotated pictures, one a frame (in quotes, for the shell's sake)
``FOLDER/``           what suits the source, in that folder: NAME_poses.mp4, NAME_poses.jpg, or the images
``NAME.jsonl``        poses as JSON lines
``NAME.csv``          poses as a table
``NAME.json``         poses as COCO's results
``mqtt://...``        poses as messages to a broker
====================  ==================================================================================

With several sources each gets a file of its own: out.mp4 becomes out_door.mp4 and out_yard.mp4.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.live_types import Capture
from gcpose_trt.video.sinks.broker import is_broker, parse_broker
from gcpose_trt.video.sinks.images import WRITABLE

FOLDER = Path("output")
POSES = {".jsonl": "jsonl", ".csv": "csv", ".json": "coco"}
PICTURES = frozenset({"mp4", "image", "images"})
_STILLS = frozenset({"image", "images"})


@dataclass(frozen=True)
class Planned:
    """One output.

    Attributes:
        kind: "mp4", "image", "images" (a folder of them), "jsonl", "csv", "coco" or "mqtt".
        path: of the file or folder; None of a broker.
        stream: the source whose frames it gets; None gets all.
        address: of a broker, with its password.
        suffix: of the images in a folder; None: that of the source's images, or .jpg.
    """

    kind: str
    path: Path | None
    stream: int | None
    address: str = field(default="", repr=False)
    suffix: str | None = None

    def __str__(self) -> str:
        """What to tell people: without password."""
        return str(parse_broker(self.address)) if self.path is None else str(self.path)


def stream_names(captures: Sequence[Capture]) -> tuple[str, ...]:
    """Return a name for each source that no other has, usable in file names."""
    names: list[str] = []
    for capture in captures:
        wanted = _name(capture)
        name, copy = wanted, 2
        while name in names:
            name, copy = f"{wanted}_{copy}", copy + 1
        names.append(name)
    return tuple(names)


def plan_outputs(
    captures: Sequence[Capture], outputs: Sequence[str] = (), jsonl: str | None = None, folder: Path = FOLDER
) -> list[Planned]:
    """Say what a run writes; nothing is opened.

    Args:
        captures: the sources, in the order of their `Frame.stream`.
        outputs: as in the table above. Empty: pictures in `folder` of files, nothing of live sources.
        jsonl: where JSON lines go, whatever the name ends in. None: beside the first pictures of each file, unless an
            output is a .jsonl; of live sources, which may run for days, none.
        folder: of what has no name.

    Raises:
        GcposeError: an output does not suit a source, would take the place of a source, or of another output.
    """
    planned = [Planned("mqtt", None, None, address) for address in outputs if _checked_broker(address)]
    names = stream_names(captures)
    for stream, capture in enumerate(captures):
        name = names[stream] if len(captures) > 1 else ""
        targets = [text for text in outputs if not is_broker(text)]
        plans = [_plan(text, capture, stream, name) for text in targets]
        if not outputs and not capture.live:
            kind = "mp4" if capture.kind not in _STILLS else capture.kind
            plans = [Planned(kind, folder / _poses(capture, name), stream)]
        planned += [*plans, *_lines(plans, capture, stream, name, jsonl)]
    _check(planned, captures)
    return planned


def _checked_broker(text: str) -> bool:
    """Say whether `text` is a broker's address; a wrong one is refused now, and not after models are loaded."""
    return is_broker(text) and bool(parse_broker(text))


def _name(capture: Capture) -> str:
    path = capture.path
    if path is None:
        return capture.name
    if capture.kind == "images":  # a pattern is named after the folder that it looks in
        return (path if path.is_dir() else path.parent).resolve().name or "images"
    return path.stem


def _poses(capture: Capture, name: str) -> str:
    """Return the name of a source's pictures in a folder."""
    stem = f"{name or _name(capture)}_poses"
    if capture.kind == "images":
        return stem
    if capture.kind == "image":
        suffix = capture.path.suffix if capture.path else ""
        return stem + (suffix if suffix.lower() in WRITABLE else ".png")
    return f"{stem}.mp4"


def _plan(text: str, capture: Capture, stream: int, name: str) -> Planned:
    """Plan one file or folder of one source; `name` tells sources apart where there are several."""
    path = Path(text)
    suffix = path.suffix.lower()
    kind = capture.kind
    if path.name == f"*{path.suffix}" and suffix in WRITABLE:
        if kind == "image":
            return Planned("image", path.with_name(f"{name or _name(capture)}_poses{suffix}"), stream)
        return Planned("images", path.parent / name, stream, suffix=suffix)
    if suffix in POSES and not (path.is_dir() or text.endswith(os.sep)):
        return Planned(POSES[suffix], _apart(path, name), stream)
    if kind == "images":
        if path.is_file() or suffix == ".mp4":
            raise GcposeError(f"--output {path} is one file, but several images become a folder; name a folder")
        return Planned("images", path / f"{name}_poses" if name else path, stream)
    if path.is_dir() or text.endswith(os.sep):
        path, name = path / _poses(capture, name), ""
    if kind == "image":
        if path.suffix.lower() == ".mp4":
            raise GcposeError(f"--output {path} is a video, but the source is an image; choose a name like out.jpg")
        return Planned("image", _apart(path, name), stream)
    if path.suffix.lower() != ".mp4":
        raise GcposeError(
            f"--output {path} does not end in .mp4, which a video becomes; "
            "choose such a name, or 'folder/*.jpg' for an image a frame"
        )
    return Planned("mp4", _apart(path, name), stream)


def _apart(path: Path, name: str) -> Path:
    return path.with_name(f"{path.stem}_{name}{path.suffix}") if name else path


def _lines(plans: Sequence[Planned], capture: Capture, stream: int, name: str, jsonl: str | None) -> Iterator[Planned]:
    """Plan the JSON lines of one source, given its other outputs."""
    if jsonl is not None:
        yield Planned("jsonl", _apart(Path(jsonl), name), stream)
        return
    pictures = next((plan for plan in plans if plan.kind in PICTURES), None)
    if capture.live or pictures is None or pictures.path is None or any(plan.kind == "jsonl" for plan in plans):
        return
    path = pictures.path
    if path.name in ("", ".."):  # "." has no name of its own
        path = path.resolve()
    stem = path.name if pictures.kind == "images" else path.stem
    yield Planned("jsonl", path.with_name(f"{stem}.jsonl") if path.name else path / "poses.jsonl", stream)


def _check(planned: Sequence[Planned], captures: Sequence[Capture]) -> None:
    originals = set()
    for capture in captures:
        if (path := capture.path) is not None:
            pattern = capture.kind == "images" and not path.is_dir()
            originals.add((path.parent if pattern else path).resolve())
    taken = set()
    for plan in planned:
        if plan.path is None:
            continue
        path = plan.path.resolve()
        if path in originals:
            raise GcposeError(f"{plan.path} is the source itself; choose another --output")
        if path in taken:
            raise GcposeError(f"two outputs are {plan.path}; choose two names")
        taken.add(path)
