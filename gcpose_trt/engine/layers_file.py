"""`layers.json` of an engine folder: what the inspector said when the engine was built.

Kept beside the engine because TensorRT looks into an engine only on the GPU and with the version that built it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpose_trt.engine.inspection import Layer
from gcpose_trt.errors import GcposeError

NAME = "layers.json"
_FORMAT = {"format": 1, "kind": "gcpose-trt layers"}


@dataclass(frozen=True)
class Contents:
    """What one engine holds.

    Attributes:
        layers: see `Layer`.
        io: inputs and outputs as {"name", "dtype", "shape", "is_input"}.
    """

    layers: list[Layer]
    io: list[dict[str, Any]]


def write(folder: Path, graphs: dict[str, Contents]) -> None:
    """Write the file into a folder that nobody reads yet."""
    entries = {
        name: {"io": contents.io, "layers": [layer.to_dict() for layer in contents.layers]}
        for name, contents in graphs.items()
    }
    (folder / NAME).write_text(json.dumps({**_FORMAT, "graphs": entries}) + "\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Contents]:
    """Return the contents of each engine of a folder.

    Raises:
        GcposeError: there is no such file, or it is damaged.
    """
    path = folder / NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if {key: record[key] for key in _FORMAT} != _FORMAT:
            raise ValueError("another format")
        return {
            name: Contents([Layer.from_dict(layer) for layer in entry["layers"]], list(entry["io"]))
            for name, entry in record["graphs"].items()
        }
    except OSError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); build the engine again") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GcposeError(f"{path} is damaged ({error!r}); build the engine again") from error
