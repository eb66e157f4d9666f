"""The pictures of a report, as SVG for a page. Only what was measured is drawn."""

from __future__ import annotations

from gcpose_trt.benchmark.reporting.plots import cost, latency, lines, trade
from gcpose_trt.benchmark.reporting.plots.canvas import Chart
from gcpose_trt.benchmark.reporting.view import View


def all_charts(view: View) -> dict[str, list[Chart]]:
    """Return the pictures by the section of the page that they belong to.

    Raises:
        MissingDependencyError: there is no matplotlib, and something to draw.
    """
    found: dict[str, list[Chart | None]] = {
        "latency": [*latency.distributions(view), latency.cumulative(view), latency.rounds(view)],
        "parts": [latency.shares_of_time(view)],
        "stages": [*latency.waterfalls(view)],
        "accuracy": [trade.pareto(view)],
        "people": [*lines.people(view)],
        "sizes": [*lines.sizes(view)],
        "throughput": [*lines.throughput(view)],
        "start": [cost.start(view), cost.memory(view)],
        "energy": [*cost.energy(view)],
    }
    return {section: [chart for chart in charts if chart is not None] for section, charts in found.items()}
