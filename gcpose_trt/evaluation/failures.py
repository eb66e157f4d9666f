"""A folder of an evaluation's worst errors, as pictures and as one page that shows them all."""

from __future__ import annotations

import base64
import html
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from gcpose_trt.benchmark.reporting.markup import escape, head
from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation.errors import ERRORS, Diagnosis, Finding, format_errors
from gcpose_trt.evaluation.evaluator import read_image
from gcpose_trt.evaluation.failure_pictures import caption, draw_finding
from gcpose_trt.files import atomic_write

if TYPE_CHECKING:
    from gcpose_trt.evaluation.annotations import CocoAnnotations

PAGE = "index.html"
_QUALITY = 88
_WORDS = {
    "missed": "Annotated people whom nobody that was found is like, those least like anybody first.",
    "false": "People found where none is annotated, those of the highest score first.",
    "swapped": "People whose joints fit better with left and right exchanged, those with most to gain first.",
    "far off": "People who were found, but so badly that they do not count (OKS below 0.5).",
    "jitter": "People who count, but whose joints are not where they should be (OKS below 0.85).",
}


def check_folder(folder: Path) -> None:
    """Refuse, before long work, a folder that the pictures cannot go to.

    Raises:
        GcposeError: it is a file, cannot be written to, or holds files that are not an earlier evaluation's pictures.
    """
    if folder.exists() and not folder.is_dir():
        raise GcposeError(f"{folder} is a file; give a folder for the pictures")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".gcpose-"):
            pass
        foreign = sorted(path.name for path in folder.iterdir() if not _is_ours(path.name))
    except OSError as error:
        raise GcposeError(f"cannot write to {folder} ({error.strerror}); choose another folder") from error
    if foreign:
        raise GcposeError(
            f"{folder} holds other files ({', '.join(foreign[:3])}); give a new folder, or an earlier evaluation's"
        )


def write_failures(
    diagnosis: Diagnosis,
    annotations: CocoAnnotations,
    images_dir: str | os.PathLike[str],
    folder: Path,
    most: int,
    title: str,
) -> int:
    """Draw the worst errors of each kind; pictures of an earlier evaluation in the folder go.

    Args:
        diagnosis: of the evaluation.
        annotations: what it was made with.
        images_dir: the folder of the images.
        folder: for the pictures, `missed-001.jpg` and so on, and `index.html`, which needs nothing else.
        most: pictures of each kind.
        title: of the page.

    Returns:
        How many pictures there are.

    Raises:
        GcposeError: see `check_folder`; an image cannot be read.
    """
    check_folder(folder)
    paths = dict(zip(annotations.image_ids, annotations.image_paths(images_dir), strict=True))
    # The page goes first and comes last: it never shows other pictures than those beside it.
    (folder / PAGE).unlink(missing_ok=True)
    sections, written = [], {PAGE}
    for kind in ERRORS:
        figures = []
        for name, finding, picture in _pictures(diagnosis, kind, most, paths):
            with atomic_write(folder / name) as stream:
                stream.write(picture)
            written.add(name)
            figures.append(_figure(name, finding, picture))
        sections.append(_section(kind, figures, len(diagnosis.worst(kind))))
    for path in folder.iterdir():
        if path.name not in written and _is_ours(path.name):
            path.unlink()
    with atomic_write(folder / PAGE, "w") as stream:
        stream.write(_page(title, diagnosis, sections))
    return len(written) - 1


def _is_ours(name: str) -> bool:
    kinds = "|".join(kind.replace(" ", "-") for kind in ERRORS)
    return name == PAGE or re.fullmatch(rf"({kinds})-\d{{3,}}\.jpg", name) is not None


def _pictures(
    diagnosis: Diagnosis, kind: str, most: int, paths: dict[int, Path]
) -> Iterator[tuple[str, Finding, bytes]]:
    """Yield the worst of a kind, each with its file's name and content."""
    for number, finding in enumerate(diagnosis.worst(kind, most), start=1):
        image = finding.scene.image
        drawn = draw_finding(finding, read_image(image, paths[image["id"]]))
        content = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
        yield f"{kind.replace(' ', '-')}-{number:03d}.jpg", finding, content


def _figure(name: str, finding: Finding, picture: bytes) -> str:
    file_name, facts = caption(finding)
    words = f"{file_name}, {facts}"
    data = base64.b64encode(picture).decode()
    return (
        f'<figure><img loading="lazy" src="data:image/jpeg;base64,{data}" alt="{escape(words)}">'
        f"<figcaption><b>{escape(file_name)}</b> {escape(facts)} ({escape(name)})</figcaption></figure>"
    )


def _section(kind: str, figures: list[str], count: int) -> str:
    shown = f"{len(figures)} of {count}" if count else "none"
    key = kind.replace(" ", "-")
    return (
        f'<section id="{key}" aria-labelledby="{key}-head"><h2 id="{key}-head">{escape(kind.capitalize())} '
        f"({shown})</h2><p>{escape(_WORDS[kind])}</p>"
        + (f'<div class="pictures"><div class="grid pairs">{"".join(figures)}</div></div>' if figures else "")
        + "</section>"
    )


def _page(title: str, diagnosis: Diagnosis, sections: list[str]) -> str:
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head(title)}</head>\n<body>\n<header><h1>{escape(title)}</h1>'
        "<p>Left of each picture the people annotated, right those found; the person's left is light, the right dark. "
        "White lines lead from joints that lie far off to where they belong.</p></header>\n<main>"
        f'<section><div class="wide"><pre>{html.escape(format_errors(diagnosis))}</pre></div></section>'
        f"{''.join(sections)}</main>\n</body>\n</html>\n"
    )
