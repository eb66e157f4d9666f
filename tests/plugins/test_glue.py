"""The TensorRT glue without TensorRT: plugins/harness under AddressSanitizer and UBSan, kernels on the CPU shim."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gcpose_trt.plugins import sources
from tests.plugins.native import compile_all, development_headers, require_gxx

SANITIZERS = ("-g1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def joined(tests: list[str], folder: Path) -> list[str]:
    """Return two sources that include all of them; what they have for each interface has the same names."""
    alone = "harness/subject_v3.cpp"
    units = {"alone": [alone], "others": [name for name in tests if name != alone]}
    for unit, names in units.items():
        (folder / f"{unit}.cpp").write_text("".join(f'#include "{name}"\n' for name in names))
    return [str(folder / f"{unit}.cpp") for unit in units]


def build_harness(folder: Path) -> Path:
    headers = development_headers()
    root = sources.source_folder()
    glue = [name for name in sources.library_sources("v3") if name.startswith("tensorrt/")]
    kernels = [f"{name}/kernel.cu" for name in sources.KERNELS if name != "letterbox"]
    tests = sorted(path.relative_to(root).as_posix() for path in (root / "harness").glob("*.cpp"))
    objects = [
        *compile_all([*glue, "tensorrt/v2/plugin.cpp"], folder / "glue", headers, ["-O0", *SANITIZERS]),
        *compile_all(kernels, folder / "kernels", headers, ["-O0", *SANITIZERS]),
        # What is tested is instrumented; the tests need not be, and are twice as fast to compile, and twice again
        # together: most of the time goes into the standard library's headers.
        *compile_all(joined(tests, folder), folder / "tests", headers, ["-O0"]),
    ]
    harness = folder / "harness"
    linked = subprocess.run(
        [require_gxx(), *SANITIZERS, *map(str, objects), "-o", str(harness)], capture_output=True, text=True
    )
    assert linked.returncode == 0, linked.stderr[:4000]
    return harness


@pytest.mark.slow(50)
def test_harness_passes_under_the_sanitizers(tmp_path: Path) -> None:
    done = subprocess.run([str(build_harness(tmp_path))], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"[-6000:]
    lines = done.stdout.splitlines()
    assert lines
    assert all(line.startswith("ok ") for line in lines)
    for interface in ("v3", "v2"):
        for operation in ("MultiLevelRoiAlign", "GcmAttention", "Nms", "KeypointDecode"):
            # At least one example, an empty one, and four ways to be wrong.
            assert sum(f"{interface} {operation}: " in line for line in lines) >= 6
    assert sum("library: " in line for line in lines) == 3
