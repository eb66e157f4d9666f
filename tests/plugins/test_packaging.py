"""A wheel carries the plugins' sources, so that `gcpose-trt plugins build` works without a clone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from gcpose_trt.plugins import sources

REPOSITORY = Path(__file__).resolve().parents[2]


def test_build_puts_the_sources_into_the_package(tmp_path: Path) -> None:
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(REPOSITORY / name, tmp_path / name)
    shutil.copytree(REPOSITORY / "plugins", tmp_path / "plugins")
    # One package of ours is enough here; tests/test_packaging.py builds the whole wheel.
    shutil.copytree(REPOSITORY / "gcpose_trt" / "plugins", tmp_path / "gcpose_trt" / "plugins")
    shutil.copy(REPOSITORY / "gcpose_trt" / "__init__.py", tmp_path / "gcpose_trt")
    command = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path / "out")]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)

    carried = tmp_path / "out" / "gcpose_trt" / "plugin_sources"
    names = {*sources.library_sources("v3"), *sources.library_sources("v2")}
    names |= {"CMakeLists.txt", "tensorrt/exports.map", "README.md"}
    folder = sources.source_folder()
    names |= {path.relative_to(folder).as_posix() for path in folder.rglob("*.h")}
    assert {name for name in names if not (carried / name).is_file()} == set()
    assert (carried / "nms" / "kernel.cu").read_bytes() == (folder / "nms" / "kernel.cu").read_bytes()
