"""The report as Markdown: what stands in it, and that no label can break it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.reporting.markdown import escape, render_markdown
from gcpose_trt.benchmark.reporting.view import View
from gcpose_trt.benchmark.reporting.words import DASH, clean, figure, interval
from tests.benchmark.reporting.conftest import fresh_report
from tests.benchmark.samples import MOBILE, MOBILE_INT8, MOVENET, R50, RTMLIB, contender_of


def rendered(report: dict[str, Any]) -> str:
    return render_markdown(View(report))


def row(text: str, section: str, name: str) -> dict[str, str]:
    """Return a row of the table below a heading, by column."""
    lines = text.split(f"## {section}\n\n")[1].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    found = next(line for line in cells if line[0] == name)
    return dict(zip(cells[0], found, strict=True))


def test_the_head_says_where_when_and_what() -> None:
    text = rendered(fresh_report())
    for line in (
        *("# gcpose-trt benchmark: cpu", "- machine: Example CPU @ 2.40GHz, 2 cores, 4 usable at once"),
        *("- date: 2026-11-20 09:00 to 10:19 UTC", "- commit: 0123456789ab", "- run: complete"),
        "- frames: 40 of sample.mp4, 640 × 360 pixels",
    ):
        assert line in text.splitlines()


def test_end_to_end_and_network_stand_side_by_side() -> None:
    report = fresh_report()
    of = report["latency"][MOBILE.id]
    found = row(rendered(report), "Time a frame, end to end and network only", MOBILE.label)
    for kind, key in (("end to end", "end_to_end"), ("network only", "network")):
        for name in ("median", "p90", "p99"):
            assert found[f"{kind}: {name}"] == figure(of[key][name])
        assert found[f"{kind}: 95 % interval"] == interval(of[key]["ci95"])
        assert found[f"{kind}: spread"] == f"{100 * of[key]['spread']:.1f} %"
    assert found["frames a second: poses"] == figure(of["fps"])
    assert (found["people"], found["frames"]) == (f"{of['people']:.1f}", "200")


def test_other_sections_say_what_was_measured() -> None:
    report = fresh_report()
    text = rendered(report)
    assert row(text, "Stages of a frame", MOVENET.label)["detector"] == DASH
    assert row(text, "Accuracy", MOBILE.label)["keypoints: AP"] == "0.383"
    assert (
        row(text, "Parity with the first contender of the same weights", MOBILE_INT8.label)["against"] == MOBILE.label
    )
    people = row(text, "Time against people", MOBILE.label)
    assert people["people in view: 10"] == figure(report["people"][MOBILE.id]["total"][-1]["median"])
    assert row(text, "Energy", MOBILE.label)["watts"] == "21.5"
    assert row(text, "Start and memory", MOBILE.label)["MiB: model files"] == "36.7"
    assert row(text, "The machine", "GPU")["value"] == "absent: no NVIDIA GPU that programs can use"
    assert "GPU, peak" not in text  # nobody has any


def test_who_was_left_out_stands_with_the_reason() -> None:
    report = fresh_report()
    report["people"][MOVENET.id] = {"left_out": "it cannot be made to look at so many people"}
    report["throughput"][MOVENET.id]["left_out_cases"] = {"batch 8": "out of memory"}
    text = rendered(report)
    assert (
        f"| {escape(RTMLIB.label)} | skipped | no weights at rtmo-s.onnx; give them with --weights rtmlib=PATH |"
        in text
    )
    assert f"| {R50.label} | failed | the process was killed (signal 9), most likely out of memory |" in text
    assert f"| {escape(MOVENET.label)} | people: left out | it cannot be made to look at so many people |" in text
    assert f"| {escape(MOVENET.label)} | throughput, batch 8: left out | out of memory |" in text


def test_a_partial_run_says_so_in_bold() -> None:
    text = rendered(fresh_report(complete=False))
    assert "- run: **PARTIAL**" in text.splitlines()
    assert "> **Partial:** This run did not come to its end." in text
    assert "PARTIAL" not in rendered(fresh_report())


def test_unsteady_times_are_marked() -> None:
    report = fresh_report(unsteady=True)
    spread = f"{100 * report['latency'][MOVENET.id]['end_to_end']['spread']:.1f} %"
    text = rendered(report)
    assert (
        row(text, "Time a frame, end to end and network only", escape(MOVENET.label))["end to end: spread"]
        == f"**{spread}**"
    )
    assert (
        f"> **Unsteady:** The same frames took times that differ by more than 10 % with {MOVENET.label} ({spread})."
        in text
    )
    assert "Unsteady" not in rendered(fresh_report())


def test_what_happened_to_the_machine_stands_above_the_numbers() -> None:
    report = fresh_report(commit="0123456789ab-dirty", notes=["the clip has 40 frames, 60 were asked for"])
    report["sessions"][0]["before"]["load"] = 1.6
    report["sessions"][1]["after"]["throttled"] = {"GPU 0": "power cap"}
    report["latency"][MOBILE.id]["end_to_end"]["count"] = 120
    head = rendered(report).split("\n## ")[0]
    assert (
        "The machine was not idle before the run: load 1.6. GPU 0 was slowed at the end of the run: power cap." in head
    )
    assert "> **Few frames:** Fewer than 200 timed frames: mobile fp32 (120)." in head
    assert "> Changed code: " in head
    assert "> Note: the clip has 40 frames, 60 were asked for" in head


def test_what_was_not_measured_has_no_section() -> None:
    report = fresh_report(people={}, throughput={}, start={}, accuracy={}, parity={}, samples=[])
    titles = re.findall(r"^## (.+)$", rendered(report), re.MULTILINE)
    assert titles == [
        *("Time a frame, end to end and network only", "Stages of a frame", "Energy", "Contenders", "The machine"),
        *("The machine before and after", "Skipped and failed", "What the figures include"),
    ]


def test_the_same_model_at_several_sizes_has_a_table() -> None:
    report = fresh_report()
    for spec in (MOBILE, MOBILE_INT8):
        contender_of(report, spec)["spec"]["precision"] = "fp32"
    text = rendered(report)
    found = row(text, "Time against input size", "mobile int8")
    assert found["longer side"] == "448"
    assert found["keypoint AP"] == "0.341"
    assert "Time against input size" not in rendered(fresh_report())


@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.text(st.characters() | st.sampled_from("<>|*_`[]()~$&;:/.w\\#!-+ \n"), max_size=40))
def test_markdown_makes_of_a_label_what_it_says(label: str) -> None:
    markdown = pytest.importorskip("markdown_it", reason="needs markdown-it-py: pip install markdown-it-py")
    parser = markdown.MarkdownIt("commonmark").enable("table").enable("strikethrough")
    tokens = parser.parse(f"| what |\n| :--- |\n| {escape(clean(label))} |\n")
    assert [token.type for token in tokens if token.type.startswith(("td", "tr"))].count("td_open") == 1
    inline = next(token for token in reversed(tokens) if token.type == "inline")
    assert {child.type for child in inline.children} <= {"text", "text_special"}
    assert "".join(child.content for child in inline.children) == clean(label)
