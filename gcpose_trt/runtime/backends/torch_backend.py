"""Running a model in PyTorch: a built module or a checkpoint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError, MissingDependencyError
from gcpose_trt.runtime.backends import Detections
from gcpose_trt.runtime.info import FORMAT, ModelInfo

if TYPE_CHECKING:
    from torch import Tensor


class TorchBackend:
    """A GCPoseRCNN behind the runtime's protocol.

    Args:
        model: a built module (used as it is, on the device where it lies), a checkpoint of ours, a shipped
            name, the folder of an exported model, or the name of another architecture, which then has random weights.
        threads: PyTorch's threads, which are the whole process's; None leaves them alone.

    Raises:
        MissingDependencyError: PyTorch is not installed.
        GcposeError: no such architecture, or the checkpoint does not fit.
    """

    name = "torch"
    batch_limit: int | None = None

    def __init__(self, model: Any, threads: int | None = None) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingDependencyError("torch", "train", "the PyTorch backend") from error
        if threads is not None:
            torch.set_num_threads(threads)
        from gcpose_trt.model import load_model

        self._torch = torch
        self._model = load_model(model) if isinstance(model, (str, os.PathLike)) else model
        self._model.eval()
        # A module takes any size, and has no second file that it must match.
        record = {"format": FORMAT, "size": None, "weights_sha256": "", **self._model.metadata()}
        self.info = ModelInfo.from_dict(record, "the PyTorch model")
        self._device = next((parameter.device for parameter in self._model.parameters()), torch.device("cpu"))

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detections:
        """See `Backend.detect`; `p2` stays a tensor on the model's device."""
        with self._inference():
            found = self._model.detect(self._tensor(image), self._tensor(image_size))
            return Detections(found.p2, _numpy(found.boxes), _numpy(found.scores), _numpy(found.count))

    def pose(self, p2: Tensor, boxes: NDArray[np.float32], batch_index: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Backend.pose`."""
        with self._inference():
            return _numpy(self._model.pose(p2, self._tensor(boxes), self._tensor(batch_index)))

    def close(self) -> None:
        """Drop the module; one that the caller built stays theirs."""
        del self._model

    def _tensor(self, array: NDArray[Any]) -> Tensor:
        return self._torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    @contextmanager
    def _inference(self) -> Iterator[None]:
        try:
            with self._torch.inference_mode():
                yield
        except self._torch.OutOfMemoryError as error:
            text = str(error).splitlines()[0]
            raise GcposeError(f"out of memory in PyTorch ({text}); choose a smaller size or fewer people") from error
        except RuntimeError as error:
            text = (str(error).strip() or type(error).__name__).splitlines()[0]
            if "can't allocate memory" in text:
                raise GcposeError(
                    f"out of memory in PyTorch ({text}); choose a smaller size or fewer people"
                ) from error
            raise


def _numpy(tensor: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.cpu().numpy()
    return array
