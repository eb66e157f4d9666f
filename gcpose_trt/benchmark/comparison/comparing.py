"""Two reports side by side: what became better, what became worse, and what nobody can tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcpose_trt.benchmark.comparison import context
from gcpose_trt.benchmark.comparison.defaults import AP_THRESHOLD, METRICS, THRESHOLD
from gcpose_trt.benchmark.comparison.pairs import Pair, check_comparable, pair_up
from gcpose_trt.benchmark.comparison.values import Value, values_of
from gcpose_trt.benchmark.comparison.verdicts import REGRESSION, Change, Rules, judge
from gcpose_trt.errors import GcposeError


@dataclass(frozen=True)
class Comparison:
    """Everything that two reports have in common, and what they have not.

    Attributes:
        changes: one a number, contender by contender in the order of A.
        lost: (contender, section or "all", reason): measured in A, failed in B. Counts as a regression.
        warnings: sentences to read before any number.
        differences: what else is different about the two runs, and may be why numbers changed.
        rules: what made the verdicts.
    """

    changes: tuple[Change, ...]
    lost: tuple[tuple[str, str, str], ...]
    warnings: tuple[str, ...]
    differences: tuple[str, ...]
    rules: Rules

    @property
    def tests(self) -> int:
        """How many numbers were tested for chance."""
        return sum(change.chance is not None for change in self.changes)

    @property
    def regressed(self) -> bool:
        """Whether B is worse in anything."""
        return bool(self.lost) or any(change.verdict == REGRESSION for change in self.changes)

    def count(self, verdict: str) -> int:
        """Return how many numbers have a verdict."""
        return sum(change.verdict == verdict for change in self.changes)


def compare_reports(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    *,
    threshold: float = THRESHOLD,
    ap_threshold: float = AP_THRESHOLD,
    metrics: Sequence[str] = METRICS,
    match: Sequence[str] = (),
    across_machines: bool = False,
) -> Comparison:
    """Compare two reports; `verdicts` tells how.

    Args:
        a: the earlier one, as `reading.read_report` gives it.
        b: the later one.
        threshold: share by which a number may change; 0.05 is 5 %.
        ap_threshold: by how much average precision (0..1) may change.
        metrics: some of `METRICS`.
        match: see `pairs.pair_up`.
        across_machines: compare times of different machines too, with a warning at the top.

    Raises:
        GcposeError: an unknown metric, nothing in common, or reports that must not be compared, see
            `pairs.check_comparable`.
    """
    unknown = [name for name in metrics if name not in METRICS]
    if unknown or not metrics:
        raise GcposeError(f"{unknown[0] if unknown else 'nothing'!r} is no metric; choose from {', '.join(METRICS)}")
    pairs = pair_up(a["contenders"], b["contenders"], match)
    check_comparable(a, b, pairs, metrics, across_machines=across_machines)
    numbers: list[tuple[str, Value, Value]] = []
    lost: list[tuple[str, str, str]] = []
    differences = [*context.differences(a, b), *context.alone(a, b, pairs)]
    for pair in pairs:
        terms = context.accuracy_terms(a, b, pair)
        if terms and "accuracy" in metrics:
            differences.append(terms)
        asked = tuple(name for name in metrics if not (terms and name == "accuracy"))
        first, second = _sides(a, b, pair, asked)
        numbers += [(pair.label, value, second[key]) for key, value in first.items() if key in second]
        lost += context.lost(pair, b, first)
        differences += context.of_pair(pair, a, b, first, second)
    if not numbers and not lost:
        raise GcposeError(_nothing(a, b))
    rules = Rules(threshold, ap_threshold, partial=not (a["complete"] and b["complete"]))
    changes = judge(numbers, rules)
    warnings = (*context.warnings(a, b), *context.moved_controls(pairs, changes))
    return Comparison(changes, tuple(lost), warnings, tuple(differences), rules)


def _sides(
    a: Mapping[str, Any], b: Mapping[str, Any], pair: Pair, metrics: tuple[str, ...]
) -> tuple[context.Values, context.Values]:
    same = context.same_frames(a, b, pair)
    return (
        values_of(a, pair.a, metrics, same_frames=same),
        values_of(b, pair.b, metrics, same_frames=same),
    )


def _nothing(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    names = [
        ", ".join(record["label"] for record in report["contenders"] if record["status"] == "measured")
        for report in (a, b)
    ]
    for side, measured in zip("AB", names, strict=True):
        if not measured:
            return f"{side} has measured nothing; finish its run with the command that began it, or give another report"
    return (
        f"the reports have no number in common (measured in A: {names[0]}; in B: {names[1]}); pair contenders up with "
        "--match free or --match 'LABEL OF A=LABEL OF B', or give other --metrics"
    )
