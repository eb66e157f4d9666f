"""The pictures: what is drawn of a report, and that a page can hold it."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.reporting.view import COLOURS, View
from tests.benchmark.reporting.conftest import fresh_report
from tests.benchmark.samples import MEASURED, MOBILE, MOBILE_INT8, MOVENET, contender_of

pytest.importorskip("matplotlib", reason="plots need matplotlib: pip install 'gcpose-trt[benchmark]'")

from gcpose_trt.benchmark.reporting.plots import all_charts, cost, latency, lines, trade
from gcpose_trt.benchmark.reporting.plots.canvas import Chart, colour, dashes, drawing, marker, to_svg
from gcpose_trt.benchmark.reporting.plots.scales import spread
from gcpose_trt.benchmark.reporting.view import Entry


@pytest.fixture(scope="module")
def charts() -> dict[str, list[Chart]]:
    return all_charts(View(fresh_report()))


def described(chart: Chart) -> str:
    return ElementTree.fromstring(chart.svg).findtext("desc") or ""


def test_every_section_has_its_pictures(charts: dict[str, list[Chart]]) -> None:
    assert {section: [chart.key for chart in found] for section, found in charts.items()} == {
        "latency": ["times-end-to-end", "times-network", "cumulative", "rounds"],
        "parts": ["shares"],
        "stages": ["stages-0", "stages-1", "stages-2"],
        "accuracy": ["pareto"],
        "people": ["people-total", "people-pose"],
        "sizes": [],
        "throughput": ["batches", "streams"],
        "start": ["start", "memory"],
        "energy": ["energy-0"],
    }


def test_a_picture_takes_colours_and_letters_from_the_page(charts: dict[str, list[Chart]]) -> None:
    for chart in (chart for found in charts.values() for chart in found):
        assert not re.search(r"#[0-9a-f]{6}", chart.svg)
        assert "currentColor" in chart.svg or "var(--muted)" in chart.svg
        assert "<text" in chart.svg
        assert "font-family" not in chart.svg
        assert not {"style", "script", "metadata", "image"} & {e.tag for e in ElementTree.fromstring(chart.svg).iter()}
        assert " style=" not in chart.svg


def test_a_contender_has_one_colour_in_all_pictures(charts: dict[str, list[Chart]]) -> None:
    for chart in charts["stages"]:
        assert set(re.findall(r"var\(--c(\d)\)", chart.svg)) == {str(chart.entries[0].colour)}
    for key in ("latency", "accuracy", "throughput"):
        assert set(re.findall(r"var\(--c(\d)\)", charts[key][0].svg)) == {"0", "1", "2"}


def test_contenders_of_the_same_colour_differ_in_marker_and_dashes() -> None:
    entries = [Entry(index, str(index), str(index)) for index in range(2 * COLOURS)]
    assert len({(colour(entry), marker(entry)) for entry in entries}) == len(entries)
    assert len({(colour(entry), str(dashes(entry))) for entry in entries}) == len(entries)


def test_pictures_say_what_was_measured(charts: dict[str, list[Chart]]) -> None:
    report = fresh_report()
    of = report["latency"][MOBILE.id]["end_to_end"]
    assert f"mobile fp32: median {of['median']:.1f}, p99 {of['p99']:.0f} ms" in described(charts["latency"][0])
    assert f"{MOVENET.label}: " in described(charts["throughput"][0])
    slowest = report["people"][MOBILE.id]["total"][-1]["median"]
    assert f"10: {slowest:.0f}" in described(charts["people"][0])


def test_only_contenders_with_both_are_on_the_plot_of_speed_and_accuracy() -> None:
    report = fresh_report()
    del report["accuracy"][MOVENET.id]
    report["latency"][MOBILE_INT8.id]["fps"] = None
    chart = trade.pareto(View(report))
    assert chart
    assert [entry.id for entry in chart.entries] == [MOBILE.id]
    assert trade.pareto(View(fresh_report(accuracy={}))) is None


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12))
def test_the_frontier_holds_those_whom_nobody_beats(points: list[tuple[float, float]]) -> None:
    found = trade.frontier(points)
    beaten = {(x, y) for x, y in points if any((a >= x and b > y) or (a > x and b >= y) for a, b in points)}
    assert set(found) == set(points) - beaten
    assert found == sorted(found)
    assert [y for _, y in found] == sorted((y for _, y in found), reverse=True)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.lists(st.floats(0, 100), max_size=12).map(sorted), st.floats(0.5, 10))
def test_numbers_at_the_ends_of_lines_do_not_touch(places: list[float], least: float) -> None:
    moved = spread(places, least)
    assert len(moved) == len(places)
    assert all(b - a >= least - 1e-6 for a, b in itertools.pairwise(moved))
    if all(b - a >= least for a, b in itertools.pairwise(places)):
        assert moved == pytest.approx(places)


def test_sizes_of_the_same_model_are_one_line() -> None:
    report = fresh_report()
    contender_of(report, MOBILE_INT8)["spec"]["precision"] = "fp32"
    found = lines.sizes(View(report))
    assert [chart.key for chart in found] == ["sizes", "sizes-precision"]
    # MOBILE says no size; what it told when it was open is 640.
    assert "448: " in described(found[0])
    assert "640: " in described(found[0])
    assert "448: 0.341, 640: 0.383" in described(found[1])


def test_times_far_apart_have_a_logarithmic_axis() -> None:
    report = fresh_report()
    assert not [chart for chart in lines.people(View(report)) if "logarithmic" in chart.note]
    for key in ("total", "pose"):
        for summary in report["people"][MOBILE.id][key]:
            summary |= {"median": 100 * summary["median"], "ci95": [100 * value for value in summary["ci95"]]}
    assert all("logarithmic" in chart.note for chart in lines.people(View(report)))


def test_one_measurement_makes_no_line_and_a_few_make_no_shape() -> None:
    report = fresh_report()
    for spec in MEASURED:
        report["throughput"][spec.id]["batches"] = report["throughput"][spec.id]["batches"][:1]
        for key in report["latency"][spec.id]["samples"]:
            report["latency"][spec.id]["samples"][key] = report["latency"][spec.id]["samples"][key][:4]
    view = View(report)
    assert [chart.key for chart in lines.throughput(view)] == ["streams"]
    assert latency.distributions(view) == []
    assert latency.cumulative(view) is None


def test_memory_that_was_not_measured_is_not_drawn() -> None:
    chart = cost.memory(View(fresh_report()))
    assert chart
    assert chart.shades == ("host, peak", "", "model files")
    assert "GPU" not in described(chart)


def test_the_same_time_over_and_over_has_a_shape_too() -> None:
    report = fresh_report()
    for spec in MEASURED:
        samples = report["latency"][spec.id]["samples"]
        samples["end_to_end"] = [5.0] * len(samples["end_to_end"])
    found = latency.distributions(View(report))
    assert len(found) == 2
    assert "nan" not in found[0].svg.lower()


def test_the_users_own_settings_of_matplotlib_change_nothing() -> None:
    import matplotlib

    def draw() -> str:
        with drawing(2.0) as (figure, axes):
            axes.plot([1, 2], [1, 2])
            axes.set_title("$x_1$ < y & \\frac")
            return to_svg(figure, "a", "title", "words")

    plain = draw()
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "svg.fonttype": "path", "text.parse_math": True}):
        assert draw() == plain
    title = [element.text for element in ElementTree.fromstring(plain).iter("text")][-1]
    assert title == "$x_1$ < y & \\frac"


def test_violins_end_where_the_picture_does() -> None:
    report: dict[str, Any] = fresh_report()
    times = np.array(report["latency"][MOBILE.id]["samples"]["end_to_end"])
    times[7] = 40 * times.max()
    report["latency"][MOBILE.id]["samples"]["end_to_end"] = times.tolist()
    chart = latency.distributions(View(report))[0]
    assert re.search(r"\d of 600 frames lie to the right of the picture", chart.note)
