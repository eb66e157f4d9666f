"""Processes measured from outside."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.memory import run_command
from gcpose_trt.errors import GcposeError


def test_memory_is_the_command_s_own() -> None:
    ballast = np.ones(400 << 20, np.uint8)  # of this process, which must not count
    mebibytes, milliseconds = run_command(["--help"])
    assert 1 < mebibytes < ballast.nbytes / 2**20
    assert milliseconds > 1


def test_failure_is_told() -> None:
    with pytest.raises(GcposeError, match=r"gcpose-trt eval failed: gcpose-trt: error: .*--images"):
        run_command(["eval"])
