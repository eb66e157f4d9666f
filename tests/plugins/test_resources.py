"""plugins/resources.py reads what ptxas says, and its recorded table is of the kernels that there are."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType

import pytest

from gcpose_trt.plugins import sources

PTXAS = """ptxas info    : 24 bytes gmem
ptxas info    : Compiling entry function '_ZN6gcpose12_GLOBAL__N_19sortTilesIiEEvPi' for 'sm_87'
ptxas info    : Function properties for _ZN6gcpose12_GLOBAL__N_19sortTilesIiEEvPi
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 23 registers, used 1 barriers, 16384 bytes smem, 360 bytes cmem[0]
ptxas info    : Compile time = 3.000 ms
ptxas info    : Compiling entry function '_ZN6gcpose12_GLOBAL__N_14bulkEv' for 'sm_87'
ptxas info    : Function properties for _ZN6gcpose12_GLOBAL__N_14bulkEv
    64 bytes stack frame, 48 bytes spill stores, 40 bytes spill loads
ptxas info    : Used 255 registers, 360 bytes cmem[0]
"""


@pytest.fixture(scope="module")
def resources() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("plugin_resources", sources.source_folder() / "resources.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_reading_ptxas(resources: ModuleType) -> None:
    found = resources.parse(PTXAS)
    assert list(found.values()) == [
        {"registers": 23, "shared": 16384, "stack": 0, "spill_stores": 0, "spill_loads": 0},
        {"registers": 255, "shared": 0, "stack": 64, "spill_stores": 48, "spill_loads": 40},
    ]
    assert resources.parse("ptxas fatal : no") == {}


def test_table(resources: ModuleType) -> None:
    numbers = dict(zip(("sortTiles<int>", "bulk"), resources.parse(PTXAS).values(), strict=True))
    text = resources.table({"nms/kernel.cu": {"87": numbers, "90": {}}}, ["87", "90"], "13.0")
    assert "| nms: `sortTiles<int>` | 23 / 16384 | - |" in text
    assert "| nms: `bulk` | 255 / 0 / spills 48 | - |" in text
    assert "2 kernels compiled, 1 of them spill" in text


def test_recorded_resources(resources: ModuleType) -> None:
    recorded = json.loads((sources.source_folder() / "RESOURCES.json").read_text())
    assert set(recorded["kernels"]) == {f"{name}/kernel.cu" for name in sources.KERNELS}
    architectures = {architecture for by_one in recorded["kernels"].values() for architecture in by_one}
    assert {"75", "80", "87", "90", "110", "120"} <= architectures
    for by_one in recorded["kernels"].values():
        assert set(by_one) == architectures
        assert all(kernels for kernels in by_one.values())
    text = resources.table(recorded["kernels"], sorted(architectures, key=int), recorded["nvcc"])
    assert (sources.source_folder() / "RESOURCES.md").read_text() == text
