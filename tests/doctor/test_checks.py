"""Small parts of checks over many inputs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.doctor.checks.opencv import field
from gcpose_trt.doctor.checks.plugins import serves
from gcpose_trt.doctor.checks.python import within
from gcpose_trt.doctor.checks.storage import size
from gcpose_trt.doctor.checks.system import check_processor
from gcpose_trt.doctor.machine import Situation, look_at
from gcpose_trt.doctor.remedies import split
from tests.doctor import recorded


@pytest.mark.parametrize(
    ("version", "bounds", "fits"),
    [
        ("1.26.4", ">=1.26,<3", True),
        ("3.0", ">=1.26,<3", False),
        ("1.25", ">=1.26,<3", False),
        ("2.9.1+cu130", "<3,>=2.9", True),
        ("5.0.0.93", "<6,>=4.8", True),
        ("2.0.1", "==2.0.1", True),
        ("1", "", True),
    ],
)
def test_versions(version: str, bounds: str, fits: bool) -> None:
    assert within(version, bounds) is fits


@pytest.mark.parametrize(
    ("targets", "capability", "fits"),
    [
        (["80"], "8.6", True),  # machine code runs on later minor versions
        (["86"], "8.0", False),
        (["80"], "9.0", False),
        (["sm_87", "compute_87"], "11.0", True),  # PTX on everything later
        (["75-real", "90-virtual"], "12.0", True),
        (["90a"], "9.0", True),
        ([], "9.0", False),
    ],
)
def test_architectures(targets: list[str], capability: str, fits: bool) -> None:
    assert serves(targets, capability) is fits


@settings(deadline=None, max_examples=50, derandomize=True)
@given(st.integers(7, 12), st.integers(0, 9), st.integers(0, 9))
def test_code_runs_on_its_own_gpu_and_later_ones_of_its_family(major: int, minor: int, later: int) -> None:
    assert serves([f"{major}{minor}"], f"{major}.{minor}")
    assert serves([f"{major}{minor}"], f"{major}.{later}") is (later >= minor)


def test_build_of_opencv() -> None:
    build = "  GUI: \n    GTK+:     YES (ver 3.24)\n    QT:  NO\n\n  Video I/O:\n    GStreamer:  YES (1.20.3)\n"
    assert field(build, "GStreamer") == "yes"
    assert field(build, "GUI") == "GTK+"
    assert field(build, "FFMPEG") == "no"
    assert field("  GUI:                           QT5\n", "GUI") == "QT5"
    assert field("  GUI:                           NONE\n", "GUI") == "no"


def test_quota_of_a_container_counts() -> None:
    probe = recorded.cpu_laptop()
    probe.files["/sys/fs/cgroup/cpu.max"] = "150000 100000\n"
    (check,) = check_processor(Situation(probe, look_at(probe)))
    assert check.facts["cores"] == 1.5


def test_errors_are_split_into_fault_and_command() -> None:
    assert split("a is broken; build it again: gcpose-trt x --y") == ("a is broken", "gcpose-trt x --y")
    assert split("a; b; check c") == ("a; b", "check c")
    assert split("plain")[0] == "plain"


def test_sizes() -> None:
    assert [size(count) for count in (0, 512 << 20, 3 << 29)] == ["0 MiB", "512 MiB", "1.5 GiB"]
