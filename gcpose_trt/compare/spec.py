"""What the user names one side of a comparison by: MODEL[@BACKEND[:PRECISION]]."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import FILE_NAME

PRECISIONS: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("fp32", "fp16", "int8"),
    "torch": ("fp32", "fp16"),
    "torch-cuda": ("fp32", "fp16"),
    "tensorrt": (),  # an engine has the precision that it was built with
}
_FORM = "write MODEL, MODEL@BACKEND or MODEL@BACKEND:PRECISION, such as mobile@onnxruntime:fp16"


@dataclass(frozen=True)
class Spec:
    """One side of a comparison.

    Attributes:
        model: a shipped name, a folder or file of a model, a checkpoint, or a folder of engines.
        backend: a key of `PRECISIONS`.
        precision: one of the backend's, or None for the model as it is stored.
    """

    model: str
    backend: str
    precision: str | None = None

    def __str__(self) -> str:
        return f"{self.model}@{self.backend}" + (f":{self.precision}" if self.precision else "")


def parse_spec(text: str) -> Spec:
    """Read a side of a comparison.

    Without a backend, a folder of engines runs in TensorRT, a checkpoint in PyTorch, all else in ONNX Runtime. Only
    what follows the last @ can be a backend, so that a path may hold others.

    Raises:
        GcposeError: no model is named, or there is no such backend or precision.
    """
    model, at, way = text.rpartition("@")
    if not at or "/" in way:  # an @ in the name of a folder
        model, at, way = text, "", ""
    backend, colon, precision = way.partition(":")
    if not model:
        raise GcposeError(f"{text!r} names no model; {_FORM}")
    if not at:
        return Spec(model, _backend_of(model))
    if backend not in PRECISIONS:
        raise GcposeError(f"no backend is called {backend!r} (in {text!r}); choose one of {', '.join(PRECISIONS)}")
    if colon and precision not in PRECISIONS[backend]:
        known = ", ".join(PRECISIONS[backend]) or "none, an engine has its own"
        raise GcposeError(f"{text!r}: {backend} has no precision {precision!r}; choose one of: {known}")
    return Spec(model, backend, precision or None)


def _backend_of(model: str) -> str:
    if (Path(model) / FILE_NAME).is_file():
        return "tensorrt"
    return "torch" if model.endswith((".pth", ".pt")) else "onnxruntime"
