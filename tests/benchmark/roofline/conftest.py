"""One small measurement of the shipped model, shared by the tests that look at it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.benchmark.roofline import command


def parse(*words: str) -> argparse.Namespace:
    """Return the options that the command line gives."""
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


def machine(**changes: Any) -> command.Machine:
    """Return a machine that is measured for an instant and whose facts are recorded."""
    settings = {
        "facts": lambda: {"cpu": "Recorded CPU <4>", "machine_id": "0123"},
        "snapshot": lambda: {"time": "2026-01-01T00:00:00+00:00", "load": 0.0},
        "cache": 1 << 17,
        "instructions": ["avx512_vnni"],
        "seconds": 0.0,
    }
    return command.Machine(**{**settings, **changes})


@pytest.fixture(scope="session")
def record() -> dict[str, Any]:
    """`mobile` in float32 at 96x128 with two people, a run or two."""
    words = ("mobile", "--size", "96x128", "--people", "2", "--threads", "1", "--repeats", "2")
    return command.measure(parse(*words), machine())


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A folder for the report."""
    return tmp_path / "report"
