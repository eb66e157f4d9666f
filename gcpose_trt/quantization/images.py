"""The images that a calibration looks at: which, and what tells another set from them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

from gcpose_trt.errors import GcposeError
from gcpose_trt.video.images import list_images, natural_order

FEWEST = 200  # below, the tails of the ranges depend on which images they were
MOST = 500  # more hardly move any range, and take longer
UNREADABLE = 0.05  # share of images that may be left out


@dataclass(frozen=True)
class ImageList:
    """Images chosen.

    Attributes:
        files: in the order in which they are looked at.
        sha256: digest of their names and contents.
    """

    files: tuple[Path, ...]
    sha256: str


def choose_images(folder: Path, most: int | None = None, seed: int = 0) -> ImageList:
    """Choose images of a folder.

    Args:
        folder: of image files; folders in it are not looked into.
        most: how many; None takes `MOST` and insists on `FEWEST`. A smaller number accepts so few.
        seed: of the choice among more than `most`.

    Raises:
        GcposeError: no folder, no images, or too few.
    """
    if not folder.is_dir():
        raise GcposeError(f"{folder} is not a folder; give a folder of at least {FEWEST} images with people")
    files = list_images(folder)
    needed = FEWEST if most is None else min(most, FEWEST)
    if len(files) < needed:
        raise GcposeError(
            f"{folder} has {len(files)} images, a calibration wants at least {needed}; add images with people, or "
            f"accept fewer with --max-images {len(files)}"
        )
    wanted = MOST if most is None else most
    if len(files) > wanted:
        files = sorted(random.Random(seed).sample(files, wanted), key=natural_order)
    return ImageList(tuple(files), _digest(files))


def _digest(files: list[Path]) -> str:
    """Return a digest of names and contents, in the order of names, whatever folder they lie in."""
    lines = []
    for file in files:
        try:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError:
            content = "unreadable"  # counted and named when its turn comes
        lines.append(f"{file.name} {content}")
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def too_many_unreadable(skipped: int, total: int) -> bool:
    """Say whether more images were left out than may be."""
    return skipped > UNREADABLE * total
