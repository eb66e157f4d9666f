"""What people read: the table, the pictures, the page."""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from gcpose_trt.benchmark.roofline import page, plots, text

NAMESPACE = "http://www.w3.org/2000/svg"


@pytest.fixture(scope="module")
def charts(record: dict[str, Any]) -> dict[str, str]:
    return plots.draw(record)


def test_the_table_has_every_stage_and_the_longest_layers(record: dict[str, Any]) -> None:
    lines = text.format_text(record, top=3).splitlines()
    assert lines[0] == "mobile fp32, input 96x128, 2 people, 1 thread, 2 runs"
    for stage in record["stages"]:
        (row,) = [line for line in lines if re.match(rf"{re.escape(stage['name'])} +\d", line)]
        assert row.split()[-1] == stage["bound"]
        assert text.number(stage["floor_ms"]) in row.split()
    start = next(place for place, line in enumerate(lines) if line.startswith("layer "))
    assert lines[start + 1].startswith(text.layer_name(record["layers"][0]))
    assert lines[start + 4] == ""
    assert any(line.startswith("network: ") and "times its floor" in line for line in lines)
    assert any("against the run without a profile" in line for line in lines)


def test_what_was_not_measured_is_a_dash(record: dict[str, Any]) -> None:
    changed = copy.deepcopy(record)
    for line in changed["stages"]:
        line.update(milliseconds=None, over_floor=None, intensity=None)
    first = changed["stages"][0]["name"]
    row = next(line for line in text.format_text(changed).splitlines() if line.startswith(first))
    assert row.split().count("-") == 3
    assert plots.draw(changed) == {}
    assert page.render(changed, {}, 5).count("<td>-</td>") >= 3 * len(changed["stages"])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (0.0, "0.00"),
        (0.01234, "0.0123"),
        (9.999, "10.0"),
        (12.34, "12.3"),
        (123.4, "123"),
        (98765.4, "98765"),
    ],
)
def test_numbers_have_three_digits_that_count(value: float | None, expected: str) -> None:
    assert text.number(value) == expected


def test_the_pictures_are_sound_and_name_the_stages(record: dict[str, Any], charts: dict[str, str]) -> None:
    assert set(charts) == {"roof", "floors"}
    words = {key: " ".join(ElementTree.fromstring(svg).itertext()) for key, svg in charts.items()}
    assert all(line["name"] in words["floors"] for line in record["stages"] if line["over_floor"])
    assert "FP32" in words["roof"] and "memory" in words["roof"]
    assert "mathdefault" not in words["roof"] + words["floors"]  # formulas that no browser reads


def test_the_picture_file_stands_alone(charts: dict[str, str]) -> None:
    svg = plots.standalone(charts)
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{{{NAMESPACE}}}svg"
    assert len(root.findall(f"{{{NAMESPACE}}}svg")) == 2
    assert re.findall(r"https?://[^\"]+", svg) == [NAMESPACE]
    used = set(re.findall(r"var\((--\w+)\)", svg))
    assert used <= set(re.findall(r"(--\w+):", svg))


def test_the_page_needs_nothing_else(record: dict[str, Any], charts: dict[str, str]) -> None:
    html = page.render(record, charts, 4)
    assert "http:" not in html and "https:" not in html and "<script" not in html
    assert "default-src 'none'" in html
    assert "Recorded CPU &lt;4&gt;" in html
    assert "The 4 longest layers" in html
    for line in record["stages"]:
        assert line["name"] in html
    for note in record["notes"]:
        assert page.escape(note) in html
