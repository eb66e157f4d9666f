"""One whole report, rendered once."""

from __future__ import annotations

import copy
import functools
import os
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.assets import SAMPLE
from gcpose_trt.benchmark.clip import digest
from gcpose_trt.benchmark.reporting import render
from tests.benchmark.samples import MOBILE, sample_report


@functools.cache
def _made(unsteady: bool) -> dict[str, Any]:
    return sample_report(unsteady=unsteady)


def fresh_report(unsteady: bool = False, **changes: Any) -> dict[str, Any]:
    """Return a sample report of its own; its numbers are drawn once, because that takes a while."""
    return copy.deepcopy(_made(unsteady)) | changes


def whole_report(**changes: Any) -> dict[str, Any]:
    """Return a report of the clip that comes with the package, with a frame that one contender has no poses of."""
    report = fresh_report(unsteady=True, **changes)
    report["clip"] |= {"sha256": digest(SAMPLE), "width": 960, "height": 540}
    del report["samples"][1]["poses"][MOBILE.id]
    return report


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a rendered report."""
    pytest.importorskip("matplotlib", reason="the page needs matplotlib: pip install 'gcpose-trt[benchmark]'")
    folder = tmp_path_factory.mktemp(f"report-{os.getpid()}")
    render(whole_report(), folder)
    return folder
