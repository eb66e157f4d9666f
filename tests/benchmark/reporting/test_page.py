"""The HTML page: one file that needs nothing, the same every time, and safe whatever a report says."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.reporting import markup
from gcpose_trt.benchmark.reporting.page import render_html
from gcpose_trt.benchmark.reporting.plots import all_charts
from gcpose_trt.benchmark.reporting.view import COLOURS, View
from gcpose_trt.benchmark.reporting.words import clean
from gcpose_trt.benchmark.schema import KIND, SCHEMA
from tests.benchmark.reporting.conftest import fresh_report, whole_report
from tests.benchmark.samples import MOBILE, contender_of


class Outline(html.parser.HTMLParser):
    """Tags with their attributes' names, ids, references, and the text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.ids: Counter[str] = Counter()
        self.links: list[str] = []
        self.attributes: dict[str, list[str]] = {}
        self.words = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self._open.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, []).append(value or "")
            if name == "id":
                self.ids[value or ""] += 1
            if name in ("href", "src"):
                self.links.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words += data


@pytest.fixture(scope="module")
def text(rendered: Path) -> str:
    return (rendered / "report.html").read_text()


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def without_charts(report: dict[str, Any]) -> str:
    return render_html(View(report), {}, [])


def test_the_page_refers_to_nothing_outside(text: str, outline: Outline) -> None:
    assert outline.links
    assert all(link.startswith(("#", "data:image/jpeg;base64,")) for link in outline.links)
    assert {tag for tag, _ in outline.tags}.isdisjoint({"script", "link", "iframe", "object", "embed", "form", "base"})
    without_pictures = re.sub(r"data:image/jpeg;base64,[^\"]+", "", text)
    assert "http:" not in without_pictures
    assert "https:" not in without_pictures
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)


def test_its_policy_allows_its_own_style_and_no_other(text: str, outline: Outline) -> None:
    policy = next(value for value in outline.attributes["content"] if "default-src" in value)
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:;" in policy
    assert "style" not in outline.attributes
    assert not [name for name in outline.attributes if name.startswith("on")]


def test_ids_are_unique_and_every_reference_has_one(text: str, outline: Outline) -> None:
    assert [name for name, count in outline.ids.items() if count > 1] == []
    wanted = {link[1:] for link in outline.links if link.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", text))
    wanted |= {name for value in outline.attributes["aria-labelledby"] for name in value.split()}
    assert wanted <= set(outline.ids)


def test_pictures_and_tables_say_what_they_show(text: str, outline: Outline) -> None:
    pictures = [attributes for tag, attributes in outline.tags if tag == "img"]
    assert pictures
    assert all("alt" in attributes for attributes in pictures)
    assert all("scope" in attributes for tag, attributes in outline.tags if tag == "th")
    counts = Counter(tag for tag, _ in outline.tags)
    assert counts["table"] == counts["caption"] > 8
    # Marks of contenders are hidden from readers, plots have a title and the data in words.
    plots = len([1 for tag, attributes in outline.tags if tag == "svg" and "role" in attributes])
    assert plots == counts["title"] - 1 == counts["desc"] >= 14
    assert counts["h1"] == 1
    assert "mobile fp32: 13.0 frames a second, AP 0.383" in outline.words


def test_the_same_report_gives_the_same_bytes(text: str, outline: Outline) -> None:
    view = View(whole_report())
    charts = [chart.svg for charts in all_charts(view).values() for chart in charts]
    assert charts
    assert all(svg in text for svg in charts)
    assert without_charts(whole_report()) == without_charts(whole_report())


def test_sections_that_were_not_measured_do_not_appear() -> None:
    report = fresh_report(people={}, throughput={}, start={}, accuracy={}, parity={}, samples=[])
    ids = Outline(without_charts(report)).ids
    assert {name for name in ids if not name.endswith("-head")} == {
        *("time", "stages", "energy", "contenders", "machine", "methods"),
    }


@pytest.mark.parametrize(
    "report",
    [
        {"kind": KIND, "schema": SCHEMA, "complete": False, "environment": {}, "contenders": []},
        {},
        fresh_report(latency={}, people={}, throughput={}, start={}, accuracy={}, parity={}, samples=[]),
    ],
)
def test_a_report_with_hardly_anything_is_a_page(report: dict[str, Any]) -> None:
    view = View(report)
    assert not any(all_charts(view).values())
    text = render_html(view, {}, [])
    assert "<h1>gcpose-trt benchmark" in text
    if not report.get("complete"):
        assert "PARTIAL</span>" in text
        assert "did not come to its end" in text


HOSTILE = st.text(st.characters() | st.sampled_from("<>\"'&;=/!-`{}$\\ \n"), max_size=30)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.lists(HOSTILE, min_size=6, max_size=6))
def test_no_text_of_a_report_becomes_markup(words: list[str]) -> None:
    plain = ["abc"] * 6
    tags = [Outline(without_charts(report_that_says(six))).tags for six in (words, plain)]
    assert tags[0] == tags[1]


def report_that_says(words: list[str]) -> dict[str, Any]:
    """Return a report with these texts, after a letter so that none is empty, where people or machines write some."""
    label, reason, command, cpu, what, sensor = ("x" + word for word in words)
    report = fresh_report(command=command)
    contender_of(report, MOBILE)["label"] = label
    report["contenders"][-1]["reason"] = reason
    report["environment"] |= {"cpu": cpu, "absent": {"gpus": what}}
    report["sessions"][0]["before"]["temperatures"] = {sensor: 50.0}
    report["latency"][MOBILE.id]["energy"] = {sensor: {"joules_per_frame": 1.0, "watts": 2.0}}
    return report


def test_text_with_markup_is_shown_as_it_is() -> None:
    label = "</title><script>alert('1')</script> \"onload=\" $\\alpha_{1}$ &amp;"
    report = fresh_report()
    contender_of(report, MOBILE)["label"] = label
    view = View(report)
    outline = Outline(render_html(view, all_charts(view), []))
    assert clean(label) in outline.words
    tags = {tag for tag, _ in outline.tags}
    assert "script" not in tags
    assert not [name for name in outline.attributes if name.startswith("on")]


def contrast(first: str, second: str) -> float:
    """Return WCAG's contrast of two colours as #rgb or #rrggbb."""
    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    values = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_and_drawn_can_be_told_from_its_ground(scheme: str) -> None:
    light, dark = markup._css().split("@media (prefers-color-scheme: dark)")
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#\w+)", dark.split("}\n}")[0]))
    for ink in ("text", "muted", "blue", "good", "warn"):
        assert contrast(colours[ink], colours["panel"]) >= 4.5
    assert contrast(colours["bad"], colours["bad-ground"]) >= 4.5
    assert contrast(colours["warn"], colours["warn-ground"]) >= 4.5
    # Lines and marks; WCAG asks 3 of what is not text.
    assert min(contrast(colours[f"c{number}"], colours["panel"]) for number in range(COLOURS)) >= 3


def test_every_rule_of_the_style_stands_where_it_should() -> None:
    """Conditions stand at the margin and hold plain rules: a browser drops what it cannot read without a word."""
    css = markup._css()
    assert css.count("{") == css.count("}")
    for line in css.splitlines():
        if "@media" in line:
            assert line.startswith("@media "), line
    depth = 0
    for sign in re.findall("[{}]", css):
        depth += 1 if sign == "{" else -1
        assert 0 <= depth <= 2
