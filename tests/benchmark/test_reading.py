from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.benchmark.reading import read_report
from gcpose_trt.benchmark.schema import SCHEMA, SECTIONS
from gcpose_trt.errors import GcposeError
from tests.benchmark.samples import MOBILE, sample_report


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return sample_report()


def write(folder: Path, content: Any) -> Path:
    path = folder / "report.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def refused(path: Path) -> str:
    with pytest.raises(GcposeError) as caught:
        read_report(path)
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message
    return message


def test_a_file_and_its_folder_give_the_same_report(tmp_path: Path, report: dict[str, Any]) -> None:
    path = write(tmp_path, report)

    assert read_report(path) == report
    assert read_report(tmp_path) == report
    assert read_report(str(tmp_path)) == report


def test_a_partial_report_with_few_sections_is_read(tmp_path: Path, report: dict[str, Any]) -> None:
    partial = {key: value for key, value in report.items() if key not in SECTIONS} | {"complete": False}
    partial["latency"] = {MOBILE.id: {"failed": "the process was killed"}}

    assert read_report(write(tmp_path, partial)) == partial


def test_keys_of_later_times_are_left_alone(tmp_path: Path, report: dict[str, Any]) -> None:
    later = report | {"weather": "fine"}

    assert read_report(write(tmp_path, later))["weather"] == "fine"


def test_a_missing_file_and_an_empty_folder(tmp_path: Path) -> None:
    assert "no benchmark report at" in refused(tmp_path / "nothing.json")
    assert "report.json" in refused(tmp_path)


def test_every_cut_of_a_report_is_refused(tmp_path: Path, report: dict[str, Any]) -> None:
    whole = json.dumps(report)

    for length in range(1, len(whole), len(whole) // 60):
        refused(write(tmp_path, whole[:length]))


def test_a_report_cut_off_is_said_to_end_too_early(tmp_path: Path, report: dict[str, Any]) -> None:
    whole = json.dumps(report)

    assert "ends too early" in refused(write(tmp_path, whole[: whole.index("sample.mp4") + 4]))
    assert "ends too early" in refused(write(tmp_path, whole[: whole.index('"clip"') - 1]))


@pytest.mark.parametrize("content", ["", "a,b,c", "{'schema': 1}", "[" * 100_000, '{"a": NaN}', "1" * 5000])
def test_what_is_not_json_is_refused(tmp_path: Path, content: str) -> None:
    refused(write(tmp_path, content))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_bytes(b"\x89PNG\xff\xfe")

    assert "not a text file" in refused(tmp_path)


@pytest.mark.parametrize("content", [[], 3, {"people": []}, {"schema": 1, "kind": "other"}])
def test_json_of_other_programs_is_refused(tmp_path: Path, content: Any) -> None:
    assert "not a benchmark report" in refused(write(tmp_path, content))


def test_a_newer_version_is_told_apart_from_damage(tmp_path: Path, report: dict[str, Any]) -> None:
    assert "update gcpose-trt" in refused(write(tmp_path, report | {"schema": SCHEMA + 1, "contenders": "new form"}))


@pytest.mark.parametrize("version", [None, "1", True, 0, 1.5])
def test_a_version_that_is_none_is_refused(tmp_path: Path, report: dict[str, Any], version: Any) -> None:
    assert "schema" in refused(write(tmp_path, report | {"schema": version}))


ID = MOBILE.id


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("complete",), "yes", "complete is not true or false"),
        (("contenders",), {}, "contenders is not a list"),
        (("contenders", 0, "spec", "threads"), "two", "contenders[0].spec.threads is not a number"),
        (("contenders", 1, "id"), ID, "contenders has the same id twice"),
        (("environment",), None, "environment is not an object"),
        (("latency",), [], "latency is not an object"),
        (("latency", "stranger"), {}, "latency.stranger is not among the contenders"),
        (("latency", ID, "end_to_end", "median"), None, f"latency.{ID}.end_to_end.median is not a number"),
        (("latency", ID, "end_to_end", "median"), 10**400, f"latency.{ID}.end_to_end.median is not a number"),
        (("latency", ID, "end_to_end", "ci95"), [2, 1], "ci95 is not a low and a high number"),
        (("latency", ID, "stages", "pose"), 7, "stages.pose is not an object"),
        (("latency", ID, "samples", "round"), [0, 1], "has lists of different lengths"),
        (("people", ID, "counts"), [1], "has lists of different lengths"),
        (("throughput", ID, "batches", 0, "batch"), None, "batches[0].batch is not a number"),
        (("start", ID, "load"), "fast", "load is not an object"),
        (("accuracy", ID, "keypoints", "AP"), "0.38", "keypoints.AP is not a number"),
        (("sessions",), "one", "sessions is not a list"),
    ],
)
def test_a_wrong_part_is_named(tmp_path: Path, report: dict[str, Any], place: tuple, value: Any, said: str) -> None:
    broken = copy.deepcopy(report)
    part = broken
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value

    message = refused(write(tmp_path, broken))

    assert said in message
    assert "is damaged" in message


@pytest.mark.parametrize("key", ["complete", "contenders", "environment"])
def test_a_missing_part_is_named(tmp_path: Path, report: dict[str, Any], key: str) -> None:
    broken = {name: value for name, value in report.items() if name != key}

    assert f"{key} is missing" in refused(write(tmp_path, broken))
