"""Is a number of report B better or worse than in report A, or is it chance?

Each number that two contenders have in common is compared by its ratio B / A. A number that was measured in rounds has
an error (see `statistics`), and the ratio's logarithm over its error is held against Student's t (Welch 1947, with
Satterthwaite's degrees of freedom). Frames are the same in both reports, so that what they show cancels; where they are
not, they are resampled too. A report holds a hundred such numbers, of which five would be "significant" by chance
alone, so the p-values are corrected together (Benjamini & Hochberg 1995): if nothing has changed, the chance that
anything at all is called a regression is below 5 % by that alone, whatever the threshold.

    regression    worse by more than the threshold, and no chance
    improvement   better by more than the threshold, and no chance
    same          within the threshold, or a part that changed by less than 1 % of the whole frame
    unsure        beyond the threshold, but it may be chance, or the numbers cannot be relied on: spread over 10 %, a
                  partial report, nothing that tells how certain it is

Average precision and the size of a model come out the same every time and need no test.

A report knows how its rounds differ, but not how one run differs from the next on the same machine (temperature, memory
laid out otherwise, a neighbour). Two runs cannot tell that from a change of the program. It is taken to be `RUN_ERROR`
in each run, which is an assumption, and part of every interval here; a machine that is worse than that needs a larger
threshold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gcpose_trt.benchmark.comparison.defaults import AP_THRESHOLD, THRESHOLD
from gcpose_trt.benchmark.comparison.values import LEAST_SHARE, Value
from gcpose_trt.benchmark.schema import UNSTEADY_SPREAD
from gcpose_trt.benchmark.significance import adjusted, t_p_value, t_quantile

RUN_ERROR = 0.01  # relative standard error between runs, see above
CHANCE = 0.05  # share of regressions and improvements that may be chance
REGRESSION, IMPROVEMENT, SAME, UNSURE = "regression", "improvement", "same", "unsure"

_MOST = 1000.0  # degrees of freedom: as good as infinitely many
_ROUNDING = 1e-9  # 0.3825 - 0.3805 is a little more than 0.002


@dataclass(frozen=True)
class Change:
    """One number in both reports.

    Attributes:
        contender: its label, of both if they differ.
        metric, name, unit: see `values.Value`.
        a: in report A.
        b: in report B.
        higher_is_better: or lower.
        interval: 95 % interval of B / A; None where it is not known or nothing is uncertain.
        chance: corrected p-value of "there is no difference"; None without a test.
        verdict: "regression", "improvement", "same" or "unsure".
        why: what makes it unsure, or the same nonetheless; else "".
    """

    contender: str
    metric: str
    name: str
    unit: str
    a: float
    b: float
    higher_is_better: bool
    interval: tuple[float, float] | None
    chance: float | None
    verdict: str
    why: str

    @property
    def difference(self) -> float:
        """B - A."""
        return self.b - self.a

    @property
    def ratio(self) -> float | None:
        """B / A; None where one of them is not above 0, and for average precision."""
        return self.b / self.a if self.unit != "AP" and min(self.a, self.b) > 0 else None


@dataclass(frozen=True)
class Rules:
    """What makes a verdict.

    Attributes:
        threshold: share by which a number may change; 0.05 is 5 %.
        ap_threshold: by how much average precision (0..1) may change.
        partial: whether one of the reports is partial.
    """

    threshold: float = THRESHOLD
    ap_threshold: float = AP_THRESHOLD
    partial: bool = False


def judge(numbers: Sequence[tuple[str, Value, Value]], rules: Rules) -> tuple[Change, ...]:
    """Judge all numbers of two reports together, because each test makes the others' chance findings likelier.

    Args:
        numbers: (contender, value in A, value in B) of the same metric and name.
        rules: what makes a verdict.

    Returns:
        One change for each, in the same order.
    """
    tests = [_test(a, b) for _, a, b in numbers]
    corrected = iter(adjusted([test[0] for test in tests if test is not None]))
    changes = []
    for (contender, a, b), test in zip(numbers, tests, strict=True):
        chance = None if test is None else next(corrected)
        verdict, why = _verdict(a, b, chance, rules)
        what = (contender, a.metric, a.name, a.unit, a.value, b.value, a.higher_is_better)
        changes.append(Change(*what, None if test is None else test[1], chance, verdict, why))
    return tuple(changes)


def _test(a: Value, b: Value) -> tuple[float, tuple[float, float]] | None:
    """Return the p-value of "no difference" and the interval of B / A; None if it cannot be tested."""
    if a.error is None or b.error is None or not a.blocks or not b.blocks or min(a.value, b.value) <= 0:
        return None
    ratio, within, between = b.value / a.value, math.hypot(a.error, b.error), math.sqrt(2) * RUN_ERROR
    error = math.hypot(within, between)
    # What differs between runs is not estimated from the few rounds, so it takes nothing from the degrees of freedom.
    weak = a.error**4 / (a.blocks - 1) + b.error**4 / (b.blocks - 1)
    degrees = min(error**4 / weak, _MOST) if weak > 0 else _MOST
    degrees = math.floor(degrees * 10) / 10  # on the safe side, and not a new quantile for each number
    reach = math.exp(min(t_quantile(degrees) * error, 100.0))
    return t_p_value(math.log(ratio) / error, degrees), (ratio / reach, ratio * reach)


def _verdict(a: Value, b: Value, chance: float | None, rules: Rules) -> tuple[str, str]:
    worse = _worse(a, b, rules)
    if worse == 0:
        return SAME, ""
    if abs(b.value - a.value) < a.least:
        return SAME, f"under {LEAST_SHARE:.0%} of the frame"
    if worse is None:
        return UNSURE, "not above 0, so that there is no ratio"
    why = "" if a.exact else _doubt(a, b, chance, rules)
    if why:
        return UNSURE, why
    return (REGRESSION if worse > 0 else IMPROVEMENT), ""


def _worse(a: Value, b: Value, rules: Rules) -> int | None:
    """Return 1 if B is worse by more than the threshold, -1 if it is better, 0 if neither; None if nobody can tell."""
    sign = -1 if a.higher_is_better else 1
    if a.unit == "AP":
        change, limit = b.value - a.value, rules.ap_threshold
    elif a.value > 0 and b.value > 0:
        change, limit = b.value / a.value - 1, rules.threshold
    else:
        return 0 if a.value == b.value else None
    if abs(change) <= limit + _ROUNDING:
        return 0
    return sign if change > 0 else -sign


def _doubt(a: Value, b: Value, chance: float | None, rules: Rules) -> str:
    """Return why a number cannot be relied on, or ""."""
    if rules.partial:
        return "a report is partial"
    spread = max(value.spread or 0.0 for value in (a, b))
    if spread > UNSTEADY_SPREAD:
        return f"spread {spread:.0%}"
    if chance is None:
        return "nothing tells how certain it is"
    return "may be chance" if chance > CHANCE else ""
