"""TensorRT's own plugin registry takes the library: the lean runtime loads it, lists the creators and makes plugins.

The lean runtime needs no GPU for that. Each check runs in a process of its own: TensorRT keeps libraries for good.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from gcpose_trt.plugins import sources
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


def build_on_cpu(folder: Path, interface: str) -> Path:
    """The plugin library with its kernels on the CPU shim: a stand-in for nvcc's, with the same glue."""
    extra = ["-O0", f"-DGCPOSE_PLUGIN_INTERFACE={interface[1:]}", '-DGCPOSE_TENSORRT="10.14.1"']
    objects = compile_all(sources.library_sources(interface), folder / "objects", development_headers(), extra)
    target = folder / "libgcpose_plugins.so"
    exports = sources.source_folder() / "tensorrt" / "exports.map"
    command = [require_gxx(), "-shared", f"-Wl,--version-script={exports},-z,defs", *map(str, objects)]
    linked = subprocess.run([*command, "-o", str(target)], capture_output=True, text=True)
    assert linked.returncode == 0, linked.stderr[:4000]
    return target


@pytest.mark.slow
@pytest.mark.parametrize(("interface", "kind"), [("v3", "IPluginCreatorV3One"), ("v2", "IPluginCreator")])
def test_lean_runtime_takes_the_library(tmp_path: Path, interface: str, kind: str) -> None:
    if importlib.util.find_spec("tensorrt_lean") is None:
        pytest.skip("the lean runtime is not installed: pip install tensorrt-lean-cu13")
    built = build_on_cpu(tmp_path, interface)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(built), json.dumps(ATTRIBUTES)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-4000:]
    before, after, made = json.loads(done.stdout.splitlines()[-1])
    assert before == list(ATTRIBUTES)
    assert after == []
    for name, attributes in ATTRIBUTES.items():
        assert made[name] == [kind, True, True, list(attributes)]
