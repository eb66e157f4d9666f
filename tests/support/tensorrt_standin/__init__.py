"""Stand-ins for TensorRT 8.5, 8.6, 10.3, 10.16 and 11.4. NOT TensorRT: they optimise nothing and need no GPU.

Each has the names that its generation's Python module has, of the part that this project may use, and no others: what
was removed, or not yet there, raises AttributeError. The parser reads real ONNX and refuses what its generation would
refuse; an "engine" carries the ONNX graph, so that the runtime's tests can run it with ONNX Runtime. What passes on a
stand-in shows that the calls suit that generation, nothing of TensorRT itself.

    core.py       what the objects do
    surfaces.py   which names each generation has
    modules/X/    the folder for PYTHONPATH that makes `import tensorrt` give generation X
"""

from __future__ import annotations

import os
from pathlib import Path

GENERATIONS = ("8.5", "8.6", "10.3", "10.16", "11.4")
FOLDER = Path(__file__).resolve().parent
REPOSITORY = FOLDER.parents[2]


def module_folder(generation: str) -> Path:
    """Return the folder to put on the module search path."""
    return FOLDER / "modules" / f"v{generation.replace('.', '_')}"


def python_path(generation: str) -> str:
    """Return PYTHONPATH for a process that shall find the stand-in as `tensorrt`."""
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(module_folder(generation)), str(REPOSITORY), *([before] if before else [])])
