"""A report for people: Markdown and one HTML page, from the report's JSON alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gcpose_trt.files import atomic_write

MARKDOWN, HTML, SAMPLES = "report.md", "report.html", "samples"

__all__ = ["HTML", "MARKDOWN", "SAMPLES", "render"]


def render(report: Mapping[str, Any], folder: Path, clip: Path | None = None) -> list[Path]:
    """Write report.md, samples/*.jpg and report.html, each whole or not at all.

    Args:
        report: as `gcpose_trt.benchmark.schema` describes it; may be partial.
        folder: where to; made if missing.
        clip: what was measured, for the sample frames. None takes the clip that comes with the package if it is that
            one; else skeletons are drawn without the frame.

    Returns:
        The files, report.md first.

    Raises:
        MissingDependencyError: there is no matplotlib for the page; everything else is written.
        GcposeError: a file cannot be written, or `clip` is not the clip that was measured.
    """
    from gcpose_trt.benchmark.reporting.markdown import render_markdown
    from gcpose_trt.benchmark.reporting.page import render_html
    from gcpose_trt.benchmark.reporting.plots import all_charts
    from gcpose_trt.benchmark.reporting.samples import draw_samples
    from gcpose_trt.benchmark.reporting.view import View

    view = View(report)
    written = [_write(folder / MARKDOWN, render_markdown(view).encode())]
    samples = draw_samples(view, clip)
    written += [_write(folder / SAMPLES / sample.name, sample.jpeg) for sample in samples]
    # Those of an earlier report in the same folder would seem to belong to this one.
    for old in (folder / SAMPLES).glob("frame-*-contender-*.jpg"):
        if old not in written:
            old.unlink(missing_ok=True)
    written.append(_write(folder / HTML, render_html(view, all_charts(view), samples).encode()))
    return written


def _write(path: Path, content: bytes) -> Path:
    with atomic_write(path) as stream:
        stream.write(content)
    return path
