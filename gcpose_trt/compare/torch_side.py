"""A model in PyTorch, run part by part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.compare.side import Array, Detected, Posed
from gcpose_trt.runtime.backends.torch_backend import TorchBackend

if TYPE_CHECKING:
    from torch import Tensor

_BOX_PRIOR = "box prior"


class TorchSide:
    """A GCPoseRCNN whose parts are called one after the other, in the backend's own modes.

    Args:
        model: what `TorchBackend` takes.
        device: "cpu" or "cuda".
        half: half precision.
        threads: of one inference.
        label: what the report calls this side.
    """

    batch_limit: int | None = None
    absent: Mapping[str, str] = {}

    def __init__(
        self, model: Any, device: str = "cpu", half: bool = False, *, threads: int | None = None, label: str = "torch"
    ) -> None:
        self._backend = TorchBackend(model, threads, device, half)
        self.label = label
        self.info = self._backend.info

    def detect(self, image: NDArray[np.uint8], image_size: NDArray[np.int64]) -> Detected:
        """See `Side.detect`."""
        backend, network = self._backend, self._backend.module
        with backend.inference():
            size = backend.tensor(image_size)
            features = network.features(network.normalize(backend.tensor(image), size))
            proposals, _, used = network.propose(network.rpn(features), features, size)
            boxes, scores, count = network.box_head.detect(features, proposals, used, size)
            return Detected(
                p2=_array(features["pose"]),
                boxes=_array(boxes),
                scores=_array(scores),
                count=_array(count),
                maps={stage: _array(features[name]) for stage, name in self._map_names(features).items()},
                proposals=_array(proposals),
                proposal_count=_array(used),
            )

    def _map_names(self, features: Mapping[str, Tensor]) -> dict[str, str]:
        """Return what the box branch pools from: names in a report to names in the network."""
        from gcpose_trt.model.box_head import LEVELS

        names = {f"pyramid p{level}": f"p{level}" for level in LEVELS}
        return names | ({_BOX_PRIOR: "box_prior"} if "box_prior" in features else {})

    def refine(self, found: Detected, image_size: NDArray[np.int64]) -> tuple[Array, Array] | None:
        """See `Side.refine`."""
        backend, head = self._backend, self._backend.module.box_head
        prior = {_BOX_PRIOR: "box_prior"} if head.prior_channels else {}
        names = self._map_names(dict.fromkeys(prior.values()))  # type: ignore[arg-type]
        if set(found.maps) != set(names) or found.proposals is None or found.proposal_count is None:
            return None
        with backend.inference():
            maps = {name: backend.tensor(found.maps[stage]) for stage, name in names.items()}
            proposals, count = backend.tensor(found.proposals), backend.tensor(found.proposal_count)
            boxes, scores = head.score(maps, proposals, count, backend.tensor(image_size))
            return _array(boxes), _array(scores)

    def pose(self, p2: Array, boxes: Array, batch_index: Array) -> Posed:
        """See `Side.pose`."""
        backend, network = self._backend, self._backend.module
        with backend.inference():
            arguments = [backend.tensor(value) for value in (p2, boxes, batch_index)]
            logits = network.keypoint_logits(*arguments)
            return Posed(_array(network.decode(logits, arguments[1])), _array(logits))

    def close(self) -> None:
        """Drop the module."""
        self._backend.close()


def _array(tensor: Tensor) -> Array:
    array: Array = tensor.cpu().numpy()
    return array.astype(np.float32) if array.dtype == np.float16 else array
