"""A comparison of two reports for the terminal, for Markdown and for programs."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from gcpose_trt import __version__
from gcpose_trt.benchmark.comparison.comparing import Comparison
from gcpose_trt.benchmark.comparison.verdicts import CHANCE, IMPROVEMENT, REGRESSION, SAME, UNSURE, Change
from gcpose_trt.benchmark.reporting.words import DASH, clean, figure, mebibytes, plural

KIND = "gcpose-trt benchmark comparison"
SCHEMA = 1

_HEADS = ("", "A", "B", "change", "95 % interval", "verdict")
_WIDTHS = (28, 9, 9, 11, 20)
# Shown even if they are the same: what people look for first.
_ALWAYS = ("latency", "accuracy")


def format_comparison(comparison: Comparison, a: str, b: str, everything: bool = False) -> str:
    """Return the table for the terminal.

    Args:
        comparison: what `compare_reports` found.
        a: where report A is.
        b: where report B is.
        everything: list what stayed the same, too.
    """
    lines = [f"A: {clean(a)}", f"B: {clean(b)}", *(f"! {clean(text)}" for text in comparison.warnings), ""]
    lines += [_line(_HEADS)]
    for contender, changes in _by_contender(_shown(comparison, everything)):
        lines += [clean(contender), *(_line((f"  {_name(change)}", *_cells(change))) for change in changes)]
    lines += ["", *(f"FAILED IN B: {text}" for text in _lost(comparison))]
    if comparison.differences:
        lines += ["What else differs:", *(f"  {clean(text)}" for text in comparison.differences)]
    return "\n".join([*lines, *verdict_lines(comparison, everything)])


def format_markdown(comparison: Comparison, a: str, b: str, everything: bool = False) -> str:
    """Return the same as Markdown; see `format_comparison`."""
    lines = ["# Two benchmark reports", "", f"- A: {_escaped(a)}", f"- B: {_escaped(b)}", ""]
    lines += [line for text in comparison.warnings for line in (f"> **{_escaped(text)}**", "")]
    lines += [*(f"**{_escaped(line)}**" for line in verdict_lines(comparison, everything)[:1]), ""]
    for contender, changes in _by_contender(_shown(comparison, everything)):
        lines += [f"## {_escaped(contender)}", "", "| | A | B | change | 95 % interval | verdict |"]
        lines += ["|---|--:|--:|--:|--:|---|"]
        lines += ["| " + " | ".join(map(_escaped, (_name(change), *_cells(change)))) + " |" for change in changes]
        lines += [""]
    for title, items in (("Failed in B", _lost(comparison)), ("What else differs", comparison.differences)):
        if items:
            lines += [f"## {title}", "", *(f"- {_escaped(text)}" for text in items), ""]
    return "\n".join([*lines, *map(_escaped, verdict_lines(comparison, everything)[1:])]).rstrip() + "\n"


def verdict_lines(comparison: Comparison, everything: bool = True) -> list[str]:
    """Return what it comes to, first the verdict, then how it was made."""
    rules = comparison.rules
    counts = {name: comparison.count(name) for name in (REGRESSION, IMPROVEMENT, UNSURE, SAME)}
    worse = plural(counts[REGRESSION], "regression") + (
        f", {plural(len(comparison.lost), 'failure')} in B" if comparison.lost else ""
    )
    first = f"{worse}, {plural(counts[IMPROVEMENT], 'improvement')}, {counts[UNSURE]} unsure, {counts[SAME]} the same"
    hidden = sum(1 for change in comparison.changes if not _visible(change, everything))
    lines = [
        first + (f" ({hidden} of them not shown, --all shows them)" if hidden else ""),
        f"{plural(len(comparison.changes), 'number')} compared, {comparison.tests} tested for chance; of the changes "
        f"found, at most {CHANCE:.0%} are expected to be chance. Threshold {rules.threshold:.3g} of the value in A, "
        f"{rules.ap_threshold:.3g} for AP.",
    ]
    if counts[UNSURE]:
        lines.append("Unsure numbers moved by more than the threshold; measure again, with more --rounds, to decide.")
    loose = sum(_loose(change, rules.threshold) for change in comparison.changes)
    if loose:
        lines.append(
            f"Of those the same, {loose} cannot rule a change beyond the threshold out, because their intervals reach "
            "further; more --rounds on a quieter machine would."
        )
    return lines


def _loose(change: Change, threshold: float) -> bool:
    """Say whether a number that is the same might be worse by more than the threshold nonetheless."""
    if change.verdict != SAME or change.interval is None or change.why:
        return False
    return change.interval[0] < 1 - threshold if change.higher_is_better else change.interval[1] > 1 + threshold


def to_dict(comparison: Comparison) -> dict[str, Any]:
    """Return everything as what JSON can hold."""
    return {
        "kind": KIND,
        "schema": SCHEMA,
        "version": __version__,
        "regressed": comparison.regressed,
        "counts": {name: comparison.count(name) for name in (REGRESSION, IMPROVEMENT, UNSURE, SAME)},
        "tests": comparison.tests,
        "rules": dataclasses.asdict(comparison.rules) | {"false_discovery_rate": CHANCE},
        "warnings": list(comparison.warnings),
        "differences": list(comparison.differences),
        "lost": [
            {"contender": contender, "section": section, "reason": reason}
            for contender, section, reason in comparison.lost
        ],
        "changes": [
            dataclasses.asdict(change)
            | {
                "ratio": change.ratio,
                "difference": change.difference,
                "interval": None if change.interval is None else list(change.interval),
            }
            for change in comparison.changes
        ],
    }


def _visible(change: Change, everything: bool) -> bool:
    return everything or change.verdict != SAME or change.metric in _ALWAYS


def _shown(comparison: Comparison, everything: bool) -> list[Change]:
    return [change for change in comparison.changes if _visible(change, everything)]


def _by_contender(changes: Sequence[Change]) -> Iterator[tuple[str, list[Change]]]:
    for contender, group in itertools.groupby(changes, key=lambda change: change.contender):
        yield contender, list(group)


def _lost(comparison: Comparison) -> list[str]:
    return [
        clean(f"{contender}{'' if section == 'all' else f', {section}'}: {reason}")
        for contender, section, reason in comparison.lost
    ]


def _name(change: Change) -> str:
    units = {"bytes": "MiB", "AP": ""}
    unit = units.get(change.unit, change.unit)
    return clean(f"{change.name}, {unit}" if unit else change.name)


def _cells(change: Change) -> tuple[str, ...]:
    numbers = (_figure(change.unit, change.a), _figure(change.unit, change.b))
    if change.unit == "AP":
        moved = f"{change.difference:+.4f}"
    else:
        moved = DASH if change.ratio is None else _percent(change.ratio)
    reach = DASH if change.interval is None else " to ".join(map(_percent, change.interval))
    verdict = change.verdict.upper() if change.verdict == REGRESSION else change.verdict
    return (*numbers, moved, reach, f"{verdict}: {change.why}" if change.why else verdict)


def _figure(unit: str, value: float) -> str:
    if unit == "AP":
        return f"{value:.4f}"
    return mebibytes(value) if unit == "bytes" else figure(value)


def _percent(ratio: float) -> str:
    """Return a ratio as a change in per cent, without a sign where it rounds to nothing."""
    change = 100 * (ratio - 1)
    if change >= 999.5:
        return f"{ratio:.3g} times"
    return f"{change:+.1f} %" if abs(change) >= 0.05 else "0.0 %"


def _line(cells: Sequence[str]) -> str:
    first, *rest = cells
    columns = [f" {text:>{width}}" for text, width in zip(rest, _WIDTHS[1:], strict=False)]
    return f"{first:<{_WIDTHS[0]}}{''.join(columns)}  {rest[-1]}".rstrip()


def _escaped(text: str) -> str:
    """Return text that is no mark-up: a label may hold anything."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in clean(text))
