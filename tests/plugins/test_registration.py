"""The library as users get it: what nvcc makes exports what it should, and TensorRT's own plugin registry takes it.

The registry is the lean runtime's, which needs no GPU to load the library, list the creators and make plugins. That
runs in a process of its own: TensorRT keeps libraries for good.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import build, library, sources, toolchain
from tests.plugins.native import compile_all, development_headers, require_gxx

SCRIPT = """
import json, sys
import numpy as np
import tensorrt_lean as trt
from gcpose_trt.plugins import library

registry = trt.get_plugin_registry()
before = library.missing_creators(registry)
library.load_into(registry, sys.argv[1])
library.load_into(registry, sys.argv[1])
attributes = json.loads(sys.argv[2])
made = {}
for name, values in attributes.items():
    creator = registry.get_creator(name, "1", "")
    fields = []
    for field, value in values.items():
        real = isinstance(value, float)
        kind = trt.PluginFieldType.FLOAT32 if real else trt.PluginFieldType.INT32
        array = np.atleast_1d(np.asarray(value, np.float32 if real else np.int32))
        fields.append(trt.PluginField(field, array, kind))
    if isinstance(creator, trt.IPluginCreatorV3One):
        make = lambda chosen: creator.create_plugin("node", trt.PluginFieldCollection(chosen), trt.TensorRTPhase.BUILD)
    else:
        make = lambda chosen: creator.create_plugin("node", trt.PluginFieldCollection(chosen))
    plugin = make(fields)
    try:
        refused = make(fields[1:]) is None
    except (RuntimeError, TypeError):
        refused = True
    made[name] = [type(creator).__name__, plugin is not None, refused, [f.name for f in creator.field_names]]
print(json.dumps([before, library.missing_creators(registry), made]))
"""
ATTRIBUTES = {
    "MultiLevelRoiAlign": {
        "output_size": 14,
        "strides": [4, 8, 16, 32],
        "sampling_ratio": 0,
        "aligned": 1,
        "canonical_level": 4,
        "canonical_size": 224.0,
    },
    "GcmAttention": {"heads": 4, "height": 14, "width": 14},
    "Nms": {"iou_threshold": 0.5, "score_threshold": 0.05, "max_outputs": 100},
    "KeypointDecode": {"samples_per_cell": 4, "score_radius": 1.5},
}


# In the place of the kernels, which registering needs only to answer launches without work.
STUB = """
#include "gcm_attention/kernel.h"
#include "keypoint_decode/kernel.h"
#include "multi_level_roi_align/kernel.h"
#include "nms/kernel.h"
namespace gcpose
{
cudaError_t launchGcmAttention(const GcmAttentionParams&, cudaStream_t) { return cudaSuccess; }
cudaError_t launchKeypointDecode(const KeypointDecodeParams&, cudaStream_t) { return cudaSuccess; }
cudaError_t launchMultiLevelRoiAlign(const MultiLevelRoiAlignParams&, cudaStream_t) { return cudaSuccess; }
cudaError_t launchNms(const NmsParams&, cudaStream_t) { return cudaSuccess; }
size_t nmsWorkspaceBytes(int32_t, int32_t, int32_t) { return 256; }
}
"""


def build_glue(folder: Path) -> Path:
    """A plugin library of the older interface with kernels that do nothing; needs no nvcc."""
    stub = folder / "stub.cpp"
    stub.write_text(STUB)
    names = [name for name in sources.library_sources("v2") if name.startswith("tensorrt/")]
    extra = ["-O0", "-DGCPOSE_PLUGIN_INTERFACE=2"]
    objects = compile_all([*names, str(stub)], folder / "objects", development_headers(), extra)
    target = folder / "libgcpose_plugins.so"
    exports = sources.source_folder() / "tensorrt" / "exports.map"
    command = [require_gxx(), "-shared", f"-Wl,--version-script={exports},-z,defs", *map(str, objects)]
    linked = subprocess.run([*command, "-o", str(target)], capture_output=True, text=True)
    assert linked.returncode == 0, linked.stderr[:4000]
    return target


def check_registration(path: Path, kind: str) -> None:
    """Let TensorRT load the library and make each plugin; `kind` is the class of its creators."""
    command = [sys.executable, "-c", SCRIPT, str(path), json.dumps(ATTRIBUTES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    before, after, made = json.loads(done.stdout.splitlines()[-1])
    assert before == list(ATTRIBUTES)
    assert after == []
    for name, attributes in ATTRIBUTES.items():
        assert made[name] == [kind, True, True, list(attributes)]


# As Triton does it: TensorRT is in the process, but out of others' sight, and the library is only opened. The real
# registry has the layout of its own version's headers, so one that is nowhere stands in: the harness tests the rest.
ON_LOAD = """
import ctypes, os, sys
found = [ctypes.CDLL(path, mode=os.RTLD_LOCAL | os.RTLD_NOW) for path in sys.argv[2:]]
ctypes.CDLL(sys.argv[1])
print(sum(ctypes.c_int.in_dll(library, "asked").value for library in found))
"""


def asks_for_the_registry(path: Path, folder: Path, **environment: str) -> int:
    """Open the library beside a libnvinfer and return how often that is asked for its plugin registry."""
    folder.mkdir(exist_ok=True)
    source = folder / "nvinfer.cpp"
    source.write_text('extern "C" { int asked = 0; void* getPluginRegistry() { ++asked; return nullptr; } }')
    made = []
    for major in range(8, 13):  # whatever the headers' version
        made.append(str(folder / f"libnvinfer.so.{major}"))
        soname = f"-Wl,-soname,libnvinfer.so.{major}"
        subprocess.run([require_gxx(), "-shared", "-fPIC", soname, str(source), "-o", made[-1]], check=True)
    variables = {name: value for name, value in os.environ.items() if name != "GCPOSE_REGISTER_ON_LOAD"}
    command = [sys.executable, "-c", ON_LOAD, str(path), *made]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=variables | environment)
    assert done.returncode == 0, done.stderr[-4000:]
    return int(done.stdout)


def exported_names(path: Path) -> set[str]:
    command = ["nm", "-D", "--defined-only", "--format=posix", str(path)]
    return {line.split()[0] for line in subprocess.run(command, capture_output=True, text=True).stdout.splitlines()}


def has_lean_runtime() -> bool:
    return importlib.util.find_spec("tensorrt_lean") is not None


# One test: the library takes a while to build, and workers of pytest-xdist share no fixture.
@pytest.mark.slow(50)
def test_library_by_nvcc(tmp_path: Path) -> None:
    headers = development_headers()
    try:
        nvcc = toolchain.find_nvcc()
    except GcposeError as error:
        pytest.skip(str(error))
    architecture = "87" if "87" in nvcc.architectures else nvcc.architectures[0]
    plan = build.make_plan(architectures=architecture, nvcc=nvcc.path, tensorrt_include=headers)
    built = build.build_library(plan, tmp_path, jobs=2)

    names = exported_names(built)
    assert {name for name in names if not name.startswith("gcpose_")} == {"getCreators", "setLoggerFinder"}
    assert {"gcpose_register_creators", "gcpose_build_info", "gcpose_nms", "gcpose_letterbox"} <= names
    needed = subprocess.run(["readelf", "-d", str(built)], capture_output=True, text=True, check=True).stdout
    assert "nvinfer" not in needed
    assert "libcudart" not in needed
    known = library.describe(built)
    assert known["build"]["interface"] == "v3"
    assert known["build"]["cpu"] is False
    assert known["build"]["architectures"] == known["record"]["architectures"] == [architecture]
    assert known["record"]["sources_sha256"] == sources.sources_sha256()

    # Bad calls are refused before CUDA is touched, so this needs no GPU.
    loaded = ctypes.CDLL(str(built))
    loaded.gcpose_error_string.restype = ctypes.c_char_p
    assert loaded.gcpose_nms(None, None) == 1  # cudaErrorInvalidValue
    assert b"invalid" in loaded.gcpose_error_string(1)
    assert loaded.gcpose_register_creators(None) == -1
    if has_lean_runtime():
        check_registration(built, "IPluginCreatorV3One")


@pytest.mark.slow
@pytest.mark.skipif(not has_lean_runtime(), reason="not installed: pip install tensorrt-lean-cu13")
def test_registry_takes_the_older_interface(tmp_path: Path) -> None:
    built = build_glue(tmp_path)
    assert {"getCreators", "getPluginCreators", "setLoggerFinder"} <= exported_names(built)
    check_registration(built, "IPluginCreator")
    # A server only opens it. Unasked it stays quiet: TensorRT's own loadLibrary would find the creators there already.
    assert asks_for_the_registry(built, tmp_path / "libraries") == 0
    assert asks_for_the_registry(built, tmp_path / "libraries", GCPOSE_REGISTER_ON_LOAD="1") == 1
