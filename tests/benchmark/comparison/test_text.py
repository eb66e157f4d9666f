from __future__ import annotations

import json

import pytest

from gcpose_trt.benchmark.comparison.comparing import Comparison, compare_reports
from gcpose_trt.benchmark.comparison.text import format_comparison, format_markdown, to_dict, verdict_lines
from tests.benchmark.samples import MOBILE, contender_of, sample_report


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    later = sample_report(seed=1, slower=1.2, commit="deadbeef0123")
    later["accuracy"][MOBILE.id]["keypoints"]["AP"] -= 0.01
    later["environment"]["machine_id"] = "other"
    later["people"][MOBILE.id] = {"failed": "it | crashed"}
    return compare_reports(sample_report(), later, across_machines=True)


def test_the_table_has_what_matters_and_says_what_it_hides(comparison: Comparison) -> None:
    text = format_comparison(comparison, "a.json", "b.json")
    lines = text.splitlines()

    assert lines[:2] == ["A: a.json", "B: b.json"]
    assert lines[2].startswith("! TIMES ARE OF DIFFERENT MACHINES")
    assert next(line for line in lines if "keypoints AP" in line).split()[2:] == [
        "0.3825",
        "0.3725",
        "-0.0100",
        "–",
        "REGRESSION",
    ]
    assert "stage draw" not in text
    assert "FAILED IN B: mobile fp32, people: it | crashed" in lines
    assert "not shown" in text


def test_everything_is_everything(comparison: Comparison) -> None:
    lines = format_comparison(comparison, "a.json", "b.json", everything=True).splitlines()

    assert sum(line.startswith("  ") and line.endswith("same") for line in lines) > 30
    assert not any("not shown" in line for line in lines)


def test_columns_stand_below_each_other(comparison: Comparison) -> None:
    lines = format_comparison(comparison, "a", "b", everything=True).splitlines()
    head = next(line for line in lines if line.strip().startswith("A "))

    rows = [line for line in lines if line.startswith("  ") and ", ms" in line]
    assert all(line[: head.index("verdict") - 1].endswith(" ") for line in rows)
    assert all(line[head.index("verdict")].isalpha() for line in rows)


def test_markdown_is_one_table_a_contender_and_mark_up_in_names_is_none(comparison: Comparison) -> None:
    text = format_markdown(comparison, "a_b.json", "b.json")

    assert text.count("|---|--:|--:|--:|--:|---|") == 3
    assert all(line.count(" | ") == 5 for line in text.splitlines() if line.startswith("| ") and "A | B" not in line)
    assert "- A: a\\_b.json" in text
    assert "it \\| crashed" in text
    assert text.endswith("\n")


def test_control_characters_of_a_report_do_not_reach_the_terminal() -> None:
    sides = [sample_report(), sample_report()]
    for side in sides:
        contender_of(side, MOBILE)["label"] = "mobile\x1b[2J\nfp32"

    text = format_comparison(compare_reports(*sides), "a\x1b.json", "b.json")

    assert "\x1b" not in text


def test_what_is_the_same_only_because_nobody_looked_closely_is_counted() -> None:
    def loose() -> int:
        lines = [line for line in verdict_lines(compare_reports(report, report)) if "cannot rule a change" in line]
        return int(lines[0].split(",")[1].split()[0]) if lines else 0

    report = sample_report()
    before = loose()
    fps = report["throughput"][MOBILE.id]["batches"][0]["fps"]
    fps["ci95"] = [0.5 * fps["median"], 1.5 * fps["median"]]

    assert loose() == before + 1


def test_the_record_is_what_json_can_hold_and_has_every_change(comparison: Comparison) -> None:
    record = to_dict(comparison)

    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert record["regressed"] is True
    assert len(record["changes"]) == len(comparison.changes) == sum(record["counts"].values())
    whole = record["changes"][0]
    assert whole["ratio"] == pytest.approx(whole["b"] / whole["a"])
    assert record["lost"] == [{"contender": "mobile fp32", "section": "people", "reason": "it | crashed"}]


def test_the_verdict_counts_and_tells_how_many_tests_there_were(comparison: Comparison) -> None:
    first, second, *_ = verdict_lines(comparison)

    assert f"{comparison.count('regression')} regressions, 1 failure in B" in first
    assert f"{len(comparison.changes)} numbers compared, {comparison.tests} tested" in second
