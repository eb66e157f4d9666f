"""torchvision's keypointrcnn_resnet50_fpn in PyTorch: resizing, network and decoding are torchvision's own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt import PoseFrame
from gcpose_trt.benchmark import adapting
from gcpose_trt.benchmark.contender import ContenderInfo, ContenderSpec, Image
from gcpose_trt.errors import GcposeError

TITLE = "torchvision keypointrcnn_resnet50_fpn"
NEEDS = "its weights: a .pth state dict"
WHAT = "a .pth state dict of keypointrcnn_resnet50_fpn"
SOURCE = "give the published keypointrcnn_resnet50_fpn_coco-fc266e95.pth of download.pytorch.org/models, or your own"
INSTALL = "torch torchvision"
LICENCE = "BSD-3-Clause (code); weights as their source says"

SHORT_SIDE, LONG_SIDE = 800, 1333
MIN_SCORE = 0.05
PERSON = 1
# The published weights were trained with batch norms frozen at an eps of 0, which torchvision sets when it fetches that
# file itself; files of their own trainings use PyTorch's default. Its name holds the start of its digest.
PUBLISHED, PUBLISHED_EPS, EPS = "fc266e95", 0.0, 1e-5


def missing(spec: ContenderSpec) -> str | None:
    """See `Adapter.missing`."""
    return (
        adapting.missing_package("torch", INSTALL)
        or adapting.missing_package("torchvision", INSTALL)
        or _refused(spec.model)
        or adapting.missing_weights(spec.model, WHAT, SOURCE)
    )


def open(spec: ContenderSpec) -> KeypointRCNN:
    """See `Adapter.open`."""
    return KeypointRCNN(spec)


def _refused(model: str) -> str | None:
    return f"random weights find nobody, and time depends on who is found; {SOURCE}" if model == "random" else None


class KeypointRCNN:
    """torchvision's Keypoint R-CNN.

    Args:
        spec: `size` is the long side; left out, it is torchvision's own: 800 for the short side unless the long one
            passes 1333. `min_score` is torchvision's 0.05 if it is left out. Option "eps" overrides that of the batch
            norms.

    Raises:
        GcposeError: a package or the file is missing, the weights do not fit, or a setting is wrong.
    """

    def __init__(self, spec: ContenderSpec) -> None:
        if reason := missing(spec):
            raise GcposeError(reason)
        adapting.check_spec(spec, backends=("torch",), options=("eps",))
        long = adapting.square_size(spec)
        import torch

        if spec.threads is not None:
            torch.set_num_threads(spec.threads)
        self._torch = torch
        self._device = adapting.torch_device(spec.device)
        self._min_score = MIN_SCORE if spec.min_score is None else spec.min_score
        eps = _number(spec.options["eps"]) if "eps" in spec.options else None
        self._model = build(spec.model, long, self._min_score, eps).to(self._device)
        self._marks: dict[str, float] = {}
        self._watch()
        self.info = ContenderInfo(
            backend="torch",
            precision="fp32",
            device=str(self._device),
            version=adapting.version("torchvision", "torch"),
            size=size_words(long),
            weights_sha256=adapting.sha256(spec.model),
            files=(spec.model,),
            licence=LICENCE,
            keypoint_threshold=0.5,
        )

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """See `Contender.run`.

        Stage "preprocess" ends with torchvision's resizing, "detector" with the boxes, "pose" with the joints in the
        resized image.
        """
        start = time.perf_counter()
        # Turned to RGB as bytes, a quarter of what it is as numbers.
        pixels = self._torch.from_numpy(np.ascontiguousarray(frame[..., ::-1])).to(self._device)
        with self._torch.inference_mode():
            (found,) = self._model([pixels.permute(2, 0, 1).float().div_(255).contiguous()])
        arrays = {name: tensor.cpu().numpy() for name, tensor in found.items()}
        result = people(arrays, frame.shape, self._min_score)
        ends = [start, *(self._marks[stage] for stage in ("preprocess", "detector", "pose")), time.perf_counter()]
        stages = ("preprocess", "detector", "pose", "postprocess")
        return result, dict(zip(stages, (1e3 * np.diff(ends)).tolist(), strict=True))

    def close(self) -> None:
        """Drop the network."""
        del self._model
        if self._device.type == "cuda":
            self._torch.cuda.empty_cache()

    def _watch(self) -> None:
        """Note when the parts of the network hand on to each other, without a change to what they do."""
        heads = self._model.roi_heads
        self._model.transform.register_forward_hook(lambda *_: self._mark("preprocess"))
        heads.keypoint_roi_pool.register_forward_pre_hook(lambda *_: self._mark("detector"))
        heads.register_forward_hook(lambda *_: self._mark("pose"))

    def _mark(self, stage: str) -> None:
        if self._device.type == "cuda":
            self._torch.cuda.synchronize(self._device)
        self._marks[stage] = time.perf_counter()


def build(weights: str | Path, long: int | None, min_score: float, eps: float | None = None) -> Any:
    """Build torchvision's network, ready to run on the CPU.

    Args:
        weights: a .pth file: a state dict, or a checkpoint of torchvision's training program with one under "model".
        long: the image's long side in the network; None is torchvision's 800/1333.
        min_score: boxes below are dropped before their joints are looked for.
        eps: of the batch norms; None is what torchvision uses for that file.

    Raises:
        GcposeError: the weights are of another network.
    """
    from torchvision.models.detection import KeypointRCNN as Network
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops import FrozenBatchNorm2d

    state = _state(weights)
    classes = state["roi_heads.box_predictor.cls_score.weight"].shape[0]
    backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, trainable_layers=5)
    network = Network(
        backbone,
        num_classes=classes,
        min_size=long or SHORT_SIDE,
        max_size=long or LONG_SIDE,
        box_score_thresh=min_score,
    )
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:200]
        raise GcposeError(
            f"{Path(weights).name} does not fit keypointrcnn_resnet50_fpn ({why}); give {WHAT}"
        ) from error
    if eps is None:
        eps = PUBLISHED_EPS if adapting.sha256(weights).startswith(PUBLISHED) else EPS
    for module in network.modules():
        if isinstance(module, FrozenBatchNorm2d):
            module.eps = eps
    return network.eval()


def _state(weights: str | Path) -> Mapping[str, Any]:
    import torch

    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # whatever a damaged archive makes the unpickler raise
        raise GcposeError(f"{Path(weights).name} is not a file of PyTorch weights; give {WHAT}") from error
    if isinstance(state, Mapping) and isinstance(state.get("model"), Mapping):
        state = state["model"]
    if not isinstance(state, Mapping) or "roi_heads.box_predictor.cls_score.weight" not in state:
        raise GcposeError(f"{Path(weights).name} is of another network than keypointrcnn_resnet50_fpn; give {WHAT}")
    return state


def people(found: Mapping[str, NDArray[Any]], shape: tuple[int, ...], min_score: float) -> PoseFrame:
    """Turn what torchvision returns for one image into poses.

    Its joints' confidences are logits of the best place in their heatmap; here they are squeezed into 0..1, so that 0,
    from which torchvision's users draw a joint, becomes 0.5.

    Args:
        found: boxes (N, 4), labels (N,), scores (N,), keypoints (N, 17, 3) and keypoints_scores (N, 17).
        shape: of the frame.
        min_score: people below are left out.
    """
    rows = np.flatnonzero(found["labels"] == PERSON)
    joints = np.array(found["keypoints"][rows], np.float64)
    joints[..., 2] = 1 / (1 + np.exp(-np.clip(found["keypoints_scores"][rows], -50, 50).astype(np.float64)))
    return adapting.poses(found["boxes"][rows], found["scores"][rows], joints, shape, min_score)


def size_words(long: int | None) -> str:
    """Return torchvision's rule of sizes in words."""
    return f"long side {long}" if long else f"short side {SHORT_SIDE}, long side at most {LONG_SIDE}"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise GcposeError(f"eps {text!r} is no number; give one such as 1e-5, or leave it out") from None
