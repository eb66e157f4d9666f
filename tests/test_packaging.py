"""An installed package has everything that a clone has."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_wheel_holds_every_tracked_file_of_the_package(tmp_path: Path) -> None:
    # From a copy: a build leaves its own folders beside the sources.
    listed = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    tracked = [name for name in listed.stdout.splitlines() if (REPOSITORY / name).is_file()]
    for name in tracked:
        if name.startswith(("gcpose_trt/", "plugins/", "calibration/", "benchmarks/")) or "/" not in name:
            copy = tmp_path / "source" / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((REPOSITORY / name).read_bytes())
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path)]
    subprocess.run([*build, str(tmp_path / "source")], check=True, capture_output=True)

    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    missing = {name for name in tracked if name.startswith("gcpose_trt/")} - names
    assert not missing
    assert "gcpose_trt/assets/mobile/calibration.json" in names, "INT8 engines of the shipped model"
    assert "gcpose_trt/plugin_sources/gcm_attention/kernel.cu" in names, "gcpose-trt plugins build compiles them"
    assert "gcpose_trt/benchmark_files/suites/quick.toml" in names, "gcpose-trt benchmark reads it"
    assert "gcpose_trt/benchmark_files/peers/movenet.py" in names, "gcpose-trt benchmark --peers loads it"
    licences = {Path(name).name for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE", "SAMPLE_LICENSE.txt"}
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)
