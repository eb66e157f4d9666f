"""The examination as a whole: it survives every check, and its JSON is as documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gcpose_trt.doctor import Check, Report, Status, examine
from gcpose_trt.doctor import checks as registry
from gcpose_trt.doctor import report as report_module
from gcpose_trt.doctor.check import green, yellow
from gcpose_trt.doctor.machine import Situation
from gcpose_trt.doctor.probe import Inspection, Output
from tests.doctor import recorded
from tests.doctor.recorded import RecordedProbe


class Hostile(RecordedProbe):
    """A machine whose answers have no form that any check expects."""

    def read(self, path: str) -> str | None:
        return "\0 : = 12 \x1b[31m\n# R99 (release), REVISION: 1.0\n"

    def run(self, *command: str, timeout: float = 2.0) -> Output:
        return Output(0, ",,,,,,\nNV Power Mode\n", "")

    def inspect(self, subject: str, *arguments: str, timeout: float = 20.0) -> Inspection:
        return Inspection({"found": True, "exists": True, "devices": [{}], "path": "x"})


def test_a_check_that_raises_is_one_red_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(situation: Situation) -> Iterator[Check]:
        yield green("Half", "was found before")
        raise RuntimeError("sensor on fire\nsecond line")

    topic = registry.Topic("topic", "Topic", (("Sensor", broken), ("Well", lambda situation: [green("Well", "fine")])))
    monkeypatch.setattr("gcpose_trt.doctor.examination.TOPICS", (topic,))
    report = examine(recorded.cpu_laptop())
    half, sensor, well = report.sections[0].checks
    assert (half.status, sensor.status, well.status) == (Status.GREEN, Status.RED, Status.GREEN)
    assert "RuntimeError: sensor on fire" in sensor.detail
    assert "second line" not in sensor.detail
    assert report.exit_code() == 1


def test_a_machine_that_cannot_be_told_is_one_red_line() -> None:
    probe = recorded.cpu_laptop()
    probe.inspections["cuda_driver"] = Inspection({"devices": 3})
    report = examine(probe)
    assert report.sections[0].checks[0].name == "Machine"
    assert report.sections[0].checks[0].status is Status.RED
    assert len(report.sections) == len(registry.TOPICS) + 1


def test_nonsense_never_raises() -> None:
    report = examine(Hostile())
    assert report.exit_code() == 1
    json.dumps(report.to_dict())


def test_a_fault_must_name_its_remedy() -> None:
    with pytest.raises(ValueError, match="no remedy"):
        yellow("Disk", "small", "")


@pytest.mark.parametrize(
    "make", [recorded.cpu_laptop, recorded.desktop, recorded.orin, recorded.container_without_driver]
)
def test_json_is_as_documented(make: Any) -> None:
    report: Report = examine(make())
    record = json.loads(json.dumps(report.to_dict(strict=True)))
    assert record["format"] == 1
    assert record["kind"] == "gcpose-trt doctor"
    for key in record:
        assert f"    {key} " in (report_module.__doc__ or ""), key
    identifiers = [check["id"] for check in record["checks"]]
    assert len(set(identifiers)) == len(identifiers)
    for check in record["checks"]:
        assert set(check) == {"id", "topic", "name", "status", "detail", "fix", "facts"}
        assert len(check["name"]) <= 15
        assert "\n" not in check["detail"]
        assert check["status"] in ("green", "absent") or check["fix"]
    assert sum(record["counts"].values()) == len(identifiers)
    assert record["exit_code"] == report.exit_code(strict=True)
    for ability in record["abilities"]:
        assert ability["ready"] is (ability["missing"] == [])
        assert set(ability["missing"]) <= set(identifiers)
