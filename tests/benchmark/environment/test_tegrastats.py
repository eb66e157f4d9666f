"""Lines of tegrastats, and the program while it runs, as a script in its place."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.environment import open_sensors
from gcpose_trt.benchmark.environment.power import LONGEST_GAP
from gcpose_trt.benchmark.environment.rails import named
from gcpose_trt.benchmark.environment.tegrastats import Tegrastats, parse
from tests.benchmark.environment import machines

# Of boards, as users published them; readings shortened.
_LINES = {
    "Orin Nano, JetPack 6": (
        "06-18-2025 11:25:24 RAM 3452/7620MB (lfb 25x4MB) SWAP 1518/16384MB (cached 174MB) CPU [1%@1420,2%@1420] "
        "GR3D_FREQ 0% cpu@50.031C gpu@49.031C tj@50.25C VDD_IN 4824mW/4790mW VDD_CPU_GPU_CV 518mW/518mW "
        "VDD_SOC 1475mW/1475mW",
        {"VDD_IN": 4.824, "VDD_CPU_GPU_CV": 0.518, "VDD_SOC": 1.475},
        ["Jetson VDD_IN", "Jetson VDD_CPU_GPU_CV", "Jetson VDD_SOC"],
    ),
    "AGX Orin, JetPack 5": (
        "04-24-2023 00:01:24 RAM 1282/62795MB (lfb 15152x4MB) CPU [0%@729,off] EMC_FREQ 0%@2133 GR3D2_FREQ 0%@0 "
        "APE 174 CV0@-256C Tboard@32C VDD_GPU_SOC 2399mW/2399mW VDD_CPU_CV 400mW/400mW VIN_SYS_5V0 4032mW/4032mW "
        "NC 0mW/0mW VDDQ_VDD2_1V8AO 301mW/301mW NC 0mW/0mW",
        {"VDD_GPU_SOC": 2.399, "VDD_CPU_CV": 0.4, "VIN_SYS_5V0": 4.032, "NC": 0.0, "VDDQ_VDD2_1V8AO": 0.301},
        [
            "Jetson total",
            "Jetson VDD_GPU_SOC",
            "Jetson VDD_CPU_CV",
            "Jetson VIN_SYS_5V0",
            "Jetson VDDQ_VDD2_1V8AO",
        ],
    ),
    "AGX Xavier, JetPack 5": (
        machines.XAVIER_LINE,
        {"GPU": 0.467, "CPU": 0.467, "SOC": 1.245, "CV": 0.0, "VDDRQ": 0.311, "SYS5V": 2.768},
        ["Jetson total", *(f"Jetson {name}" for name in ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"))],
    ),
    "Nano, JetPack 4": (
        "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB) CPU [5%@1224] "
        "thermal@40C POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406",
        {"POM_5V_IN": 1.75, "POM_5V_GPU": 0.0, "POM_5V_CPU": 0.366},
        ["Jetson POM_5V_IN", "Jetson POM_5V_GPU", "Jetson POM_5V_CPU"],
    ),
    "Thor, JetPack 7": (
        "RAM 9/125772MB (lfb 1x4MB) cpu@53C VDD_GPU -392mW/-392mW VDD_CPU_SOC_MSS 6510mW/6510mW "
        "VIN_SYS_5V0 6520mW/6520mW VIN 23000mW/23000mW",
        {"VDD_GPU": -0.392, "VDD_CPU_SOC_MSS": 6.51, "VIN_SYS_5V0": 6.52, "VIN": 23.0},
        ["Jetson VIN", "Jetson VDD_GPU", "Jetson VDD_CPU_SOC_MSS", "Jetson VIN_SYS_5V0"],
    ),
}


@pytest.mark.parametrize("board", _LINES)
def test_lines_of_boards(board: str) -> None:
    line, watts, names = _LINES[board]
    assert parse(line) == watts
    assert list(named(parse(line))) == names


def test_total_of_xavier() -> None:
    assert named(parse(machines.XAVIER_LINE))["Jetson total"] == pytest.approx(5.258)


@settings(deadline=None, max_examples=80, derandomize=True)
@given(
    rails=st.dictionaries(
        st.text(string.ascii_uppercase + string.digits + "_", min_size=1, max_size=12).filter(lambda s: s[0].isalpha()),
        st.integers(-999, 200_000),
        max_size=7,
    ),
    unit=st.sampled_from(["mW", ""]),
    noise=st.lists(
        st.sampled_from(["RAM 3452/7620MB (lfb 25x4MB)", "CPU [1%@1420,off]", "cpu@50.031C", "NVDEC off", "APE 200"]),
        max_size=4,
    ),
)
def test_every_rail_is_found_and_nothing_else(rails: dict[str, int], unit: str, noise: list[str]) -> None:
    words = [f"{name} {value}{unit}/{abs(value) // 2}{unit}" for name, value in rails.items()]
    assert parse(" ".join([*noise, *words]) + " \n") == {name: value / 1000 for name, value in rails.items()}


@settings(deadline=None, max_examples=80, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    assert all(isinstance(value, float) for value in parse(text).values())


def _program(folder: Path, body: str) -> str:
    path = folder / "tegrastats"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_lines_are_added_up(tmp_path: Path) -> None:
    clock = _Clock()
    source = Tegrastats(_program(tmp_path, "echo 'VDD_IN 4000mW/4000mW'"), clock)
    try:
        clock.now = 0.5
        assert source.read() == {"Jetson VDD_IN": 2.0}  # the line holds
        clock.now = 1.0
        source.take("VDD_IN 8000mW/6000mW")
        source.take("no power in this one")
        clock.now = 2.0
        assert source.read() == {"Jetson VDD_IN": 12.0}
        clock.now = 2.0 + LONGEST_GAP
        assert source.read() == {}
        assert "said nothing" in source.lost["Jetson VDD_IN"]
    finally:
        source.close()


def test_xavier_with_the_program(tmp_path: Path) -> None:
    probe = machines.xavier()
    said = tmp_path / "arguments"
    body = f"echo \"$@\" > {said}\necho '{machines.XAVIER_LINE}'\nexec sleep 60"
    probe.programs["tegrastats"] = _program(tmp_path, body)
    with open_sensors(probe) as sensors:
        assert sensors.names[0] == "Jetson total" and len(sensors.names) == 7
        assert "Jetson rails" not in sensors.absent
        first, second = sensors.read(), sensors.read()
        assert second["Jetson total"] >= first["Jetson total"]
    assert said.read_text().split() == ["--interval", "100"]


@pytest.mark.parametrize("body", ["exit 1", "echo 'RAM 1/2MB cpu@40C'"])
def test_program_without_power_is_no_sensor(tmp_path: Path, body: str) -> None:
    probe = machines.xavier()
    probe.programs["tegrastats"] = _program(tmp_path, body)
    with open_sensors(probe) as sensors:
        assert sensors.names == []
        assert "with sudo" in sensors.absent["Jetson rails"]


def test_program_that_cannot_run(tmp_path: Path) -> None:
    probe = machines.xavier()
    probe.programs["tegrastats"] = str(tmp_path)
    with open_sensors(probe) as sensors:
        assert sensors.names == [] and "Permission denied" in sensors.absent["Jetson rails"]
