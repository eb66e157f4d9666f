"""A comparison as text and as what JSON can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gcpose_trt import __version__
from gcpose_trt.compare.comparison import Comparison, Stage

if TYPE_CHECKING:
    from gcpose_trt.compare.layers import Layer

_JUDGED = {"relative_largest": "largest/peak", "p95": "p95"}


def format_comparison(comparison: Comparison) -> str:
    """Return the table for people to read."""
    lines = [
        f"A: {comparison.a}",
        f"B: {comparison.b}",
        f"{comparison.frames} frames; pixels are the network's input; largest/peak and median/rms are relative to A",
        "",
        f"{'stage':<20}{'fed with':<12}{'largest':>11}{'largest/peak':>13}{'median':>11}{'median/rms':>11}{'p95':>11}"
        "  limit",
    ]
    lines += [_row(stage) for stage in comparison.stages]
    lines += [f"{stage:<20}absent: {why}" for stage, why in sorted(comparison.absent.items())]
    return "\n".join([*lines, "", *_people(comparison), "", verdict(comparison)])


def _row(stage: Stage) -> str:
    if not stage.difference.count:
        return f"{stage.name:<20}{stage.feed:<12}{'nothing to compare':>18}"
    value = stage.difference
    unit = " px" if stage.unit else ""
    limit = f"{_JUDGED[stage.judged]} {stage.limit:g}{unit}" if stage.judged else f"-{unit}"
    numbers = (
        f"{value.largest:>11.3g}{value.relative_largest:>13.2g}{value.median:>11.3g}{value.relative_median:>11.2g}"
        f"{value.p95:>11.3g}"
    )
    return f"{stage.name:<20}{stage.feed:<12}{numbers}  {limit}{'' if stage.agrees else '  <- BEYOND'}"


def _people(comparison: Comparison) -> list[str]:
    people, limits = comparison.people, comparison.limits
    lines = [
        f"people: {people.matched} found by both, {len(people.gained)} gained, {len(people.lost)} lost "
        f"({people.changed:.1%}, limit {limits.people:.1%})" + _beyond(people.changed <= limits.people)
    ]
    for kind, rows in (("gained", people.gained), ("lost", people.lost)):
        lines += [f"  {kind}: frame {frame}, score {score:.3f}" for frame, score in rows[:10]]
        if len(rows) > 10:
            lines.append(f"  {kind}: {len(rows) - 10} more")
    if comparison.proposals_matched is not None:
        missing = 1 - comparison.proposals_matched
        lines.append(
            f"proposals: {comparison.proposals_matched:.1%} of A's are also B's (limit {1 - limits.proposals:.1%})"
            + _beyond(missing <= limits.proposals)
        )
    return lines


def _beyond(holds: bool) -> str:
    return "" if holds else "  <- BEYOND"


def verdict(comparison: Comparison) -> str:
    """Return one line that says whether all limits hold."""
    failures = comparison.failures
    return f"beyond the limits: {', '.join(failures)}" if failures else "within all limits"


def format_layers(layers: Sequence[Layer], most: int) -> str:
    """Return the layers in which the most error arises, as a table.

    Args:
        layers: of `gcpose_trt.compare.layers.layers_of`.
        most: rows of each graph.
    """
    lines = [
        f"layers in which the error grows most, of {len(layers)} with the same name in both",
        "(relative root mean square error; every graph is fed with A's inputs)",
        f"{'graph':<12}{'op':<20}{'before':>10}{'after':>10}{'growth':>10}  output",
    ]
    for graph in dict.fromkeys(layer.graph for layer in layers):
        grown = [layer for layer in layers if layer.graph == graph and layer.growth > 0]
        for layer in sorted(grown, key=lambda layer: layer.growth, reverse=True)[:most]:
            shape = "x".join(str(side) for side in layer.shape)
            lines.append(
                f"{layer.graph:<12}{layer.op:<20}{layer.before:>10.2g}{layer.after:>10.2g}{layer.growth:>10.2g}"
                f"  {layer.name} ({shape})"
            )
    return "\n".join(lines)


def record(comparison: Comparison, layers: Sequence[Layer], settings: dict[str, Any]) -> dict[str, Any]:
    """Return everything as JSON can hold it; numbers that are not finite become null."""
    people = comparison.people
    content = {
        "gcpose_trt": __version__,
        "a": comparison.a,
        "b": comparison.b,
        "frames": comparison.frames,
        "settings": settings,
        "limits": dataclasses.asdict(comparison.limits),
        "stages": [
            {
                "name": stage.name,
                "fed_with": stage.feed,
                "unit": stage.unit,
                **dataclasses.asdict(stage.difference),
                "judged": stage.judged or None,
                "limit": stage.limit,
                "agrees": stage.agrees,
            }
            for stage in comparison.stages
        ],
        "absent": comparison.absent,
        "people": {
            "matched": people.matched,
            "gained": [{"frame": frame, "score": score} for frame, score in people.gained],
            "lost": [{"frame": frame, "score": score} for frame, score in people.lost],
            "changed": people.changed,
        },
        "proposals_matched": comparison.proposals_matched,
        "worst_frame": {"index": comparison.worst.index, "largest_move_px": comparison.worst.moved},
        "layers": [{**dataclasses.asdict(layer), "growth": layer.growth} for layer in layers],
        "failures": comparison.failures,
    }
    finite: dict[str, Any] = _finite(content)
    return finite


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
