"""TensorRT-RTX's builder, which needs no GPU, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None, reason="TensorRT-RTX (tensorrt-rtx-cu13) is not installed"
)
_BUILD = """
import collections, json, sys
import tensorrt_rtx as trt
logger = trt.Logger(trt.Logger.ERROR)
builder = trt.Builder(logger)
network = builder.create_network(0)
parser = trt.OnnxParser(network, logger)
if not parser.parse(open(sys.argv[1], "rb").read()):
    sys.exit("; ".join(str(parser.get_error(i).desc()) for i in range(parser.num_errors)))
kinds = collections.Counter(str(network.get_layer(i).type).split(".")[-1] for i in range(network.num_layers))
config = builder.create_builder_config()
config.num_compute_capabilities = 1
config.set_compute_capability(trt.ComputeCapability.SM89, 0)
profile = builder.create_optimization_profile()
dynamic = [network.get_input(i) for i in range(network.num_inputs) if -1 in network.get_input(i).shape]
for tensor in dynamic:
    shape = [3 if size == -1 else size for size in tensor.shape]
    profile.set_shape(tensor.name, shape, shape, shape)
if dynamic:
    config.add_optimization_profile(profile)
plan = builder.build_serialized_network(network, config)
print(json.dumps({"bytes": plan.nbytes if plan is not None else 0, **kinds}))
"""


def build(path: Path) -> dict[str, Any]:
    """Build an ONNX file; return {"bytes": of the engine, KIND: layers of that kind after parsing}."""
    # On some errors the library aborts its process.
    done = subprocess.run([sys.executable, "-c", _BUILD, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{path.stem}: {done.stderr[-500:]}"
    built: dict[str, Any] = json.loads(done.stdout)
    return built
