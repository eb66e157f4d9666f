"""From the PyTorch network to ONNX, checked on the way out."""

from __future__ import annotations

from gcpose_trt.errors import MissingDependencyError

try:
    import onnx  # noqa: F401
    import onnxscript  # noqa: F401
    import torch  # noqa: F401
except ImportError as error:
    raise MissingDependencyError(error.name or "torch", "export", "exporting") from error

from gcpose_trt.export.exporter import ExportReport, export_model

__all__ = ["ExportReport", "export_model"]
