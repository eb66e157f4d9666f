"""Our CUDA kernels as PyTorch operators, for inference on a GPU where their library is built.

The operators are registered with `torch.library`, so that torch.compile sees them as they are. `gcpose_trt.model.ops`
asks `serves` before each call; where it says no, the PyTorch reference runs. The kernels have no gradients.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import library
from gcpose_trt.plugins.kernels import CHANNELS_LAST, FLOAT16, FLOAT32, LINEAR, MOST_LEVELS, Kernels

__all__ = ["LARGEST_MAP", "MOST_LEVELS", "load", "serves", "use"]

LARGEST_MAP = 128  # cells a side of keypoint logits
_REAL = (torch.float32, torch.float16)
_ALIGN = 256  # of the workspace of nms
_VECTOR = 8  # channels that the kernel reads at once where they lie last

_kernels: Kernels | None = None
_looked = False


def load(path: str | os.PathLike[str] | None = None) -> bool:
    """Take the kernels of the built plugin library, if there is one.

    Args:
        path: the library; None looks once where `gcpose-trt plugins build` puts it, and warns of one that is broken.

    Returns:
        Whether there are kernels now.

    Raises:
        GcposeError: `path` is given, and not a library of ours.
    """
    global _looked
    if path is not None:
        use(Kernels(library.find(path)))
    elif _kernels is None and not _looked:
        _looked = True
        default = library.default_path()
        if default.is_file():
            try:
                use(Kernels(default))
            except GcposeError as error:
                warnings.warn(f"our kernels are not used: {error}", RuntimeWarning, stacklevel=2)
    return _kernels is not None


def use(kernels: Kernels | None) -> None:
    """Take these kernels, or none. Those that are built for the CPU (to test them) then serve tensors of the CPU."""
    global _kernels
    _kernels = kernels


def _device_type() -> str | None:
    if _kernels is None:
        return None
    return "cpu" if _kernels.build_info.get("cpu") else "cuda"


def serves(*tensors: Tensor) -> bool:
    """Say whether a kernel may take these tensors: on its device, all of one type that it knows, and in inference."""
    if _kernels is None or torch.is_grad_enabled():
        return False
    device = _device_type()
    first = tensors[0].dtype
    return first in _REAL and all(tensor.device.type == device and tensor.dtype == first for tensor in tensors)


def _library() -> Kernels:
    if _kernels is None:  # an operator that was called by hand
        raise GcposeError("there are no kernels; build them with gcpose-trt plugins build, and load them")
    return _kernels


def _stream(tensor: Tensor) -> int:
    return torch.cuda.current_stream(tensor.device).cuda_stream if tensor.is_cuda else 0


def _current(tensor: Tensor) -> AbstractContextManager[object]:
    """Make the tensor's GPU the one that launches go to."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _type(tensor: Tensor) -> int:
    return FLOAT16 if tensor.dtype == torch.float16 else FLOAT32


def _pointers(tensors: Sequence[Tensor]) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]


def _channels_last(features: Sequence[Tensor]) -> bool:
    """Say whether the kernel can read the maps as they lie, channels last."""
    return (
        features[0].dtype == torch.float16
        and features[0].shape[1] % _VECTOR == 0
        and all(feature.is_contiguous(memory_format=torch.channels_last) for feature in features)
    )


def _pooled(features: Sequence[Tensor], rois: Tensor, size: int) -> Tensor:
    layout = torch.channels_last if _channels_last(features) else torch.contiguous_format
    shape = (rois.shape[0], features[0].shape[1], size, size)
    return torch.empty(shape, dtype=features[0].dtype, device=features[0].device, memory_format=layout)


@torch.library.custom_op("gcpose_trt::multi_level_roi_align", mutates_args=())
def multi_level_roi_align(
    features: Sequence[Tensor],
    rois: Tensor,
    batch_index: Tensor,
    output_size: int,
    strides: Sequence[int],
    sampling_ratio: int,
    aligned: bool,
    canonical_level: int,
    canonical_size: float,
) -> Tensor:
    """`gcpose_trt.model.ops.multi_level_roi_align` in one launch; the result is as the features in type and layout."""
    output = _pooled(features, rois, output_size)
    last = _channels_last(features)
    maps = list(features) if last else [feature.contiguous() for feature in features]
    rois, batch_index = rois.float().contiguous(), batch_index.contiguous()
    layout = CHANNELS_LAST if last else LINEAR
    with _current(output):
        _library().multi_level_roi_align(
            features=_pointers(maps),
            heights=[feature.shape[2] for feature in maps],
            widths=[feature.shape[3] for feature in maps],
            strides=list(strides),
            batch=maps[0].shape[0],
            channels=maps[0].shape[1],
            rois=rois.data_ptr(),
            batch_index=batch_index.data_ptr(),
            index_bytes=batch_index.element_size(),
            num_rois=rois.shape[0],
            output_size=output_size,
            sampling_ratio=sampling_ratio,
            aligned=aligned,
            canonical_level=canonical_level,
            canonical_size=canonical_size,
            type=_type(maps[0]),
            feature_layout=layout,
            output_layout=layout,
            output=output.data_ptr(),
            stream=_stream(output),
        )
    return output


@multi_level_roi_align.register_fake
def _(
    features: Sequence[Tensor],
    rois: Tensor,
    batch_index: Tensor,
    output_size: int,
    strides: Sequence[int],
    sampling_ratio: int,
    aligned: bool,
    canonical_level: int,
    canonical_size: float,
) -> Tensor:
    return _pooled(features, rois, output_size)


@torch.library.custom_op("gcpose_trt::gcm_attention", mutates_args=())
def gcm_attention(q: Tensor, k: Tensor, v: Tensor, rel_height: Tensor, rel_width: Tensor, heads: int) -> Tensor:
    """`gcpose_trt.model.ops.gcm_attention` in one launch."""
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    rel_height, rel_width = rel_height.contiguous(), rel_width.contiguous()
    output = torch.empty_like(v)
    with _current(output):
        _library().gcm_attention(
            q=q.data_ptr(),
            k=k.data_ptr(),
            v=v.data_ptr(),
            rel_height=rel_height.data_ptr(),
            rel_width=rel_width.data_ptr(),
            output=output.data_ptr(),
            num=q.shape[0],
            heads=heads,
            height=q.shape[2],
            width=q.shape[3],
            dim=q.shape[1] // heads,
            value_dim=v.shape[1] // heads,
            type=_type(q),
            stream=_stream(output),
        )
    return output


@gcm_attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, rel_height: Tensor, rel_width: Tensor, heads: int) -> Tensor:
    return v.new_empty(v.shape)


@torch.library.custom_op("gcpose_trt::nms", mutates_args=())
def nms(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, score_threshold: float, max_outputs: int
) -> tuple[Tensor, Tensor]:
    """`gcpose_trt.model.ops.nms` without the host taking part."""
    boxes, scores, groups = boxes.contiguous(), scores.contiguous(), groups.long().contiguous()
    batch, number, _ = boxes.shape
    indices = groups.new_empty(batch, max_outputs)
    count = groups.new_empty(batch)
    kernels = _library()
    size = kernels.nms_workspace_bytes(batch, number, max_outputs)
    workspace = boxes.new_empty(size + _ALIGN, dtype=torch.uint8)
    with _current(boxes):
        kernels.nms(
            boxes=boxes.data_ptr(),
            scores=scores.data_ptr(),
            groups=groups.data_ptr(),
            index_bytes=groups.element_size(),
            batch=batch,
            num_boxes=number,
            max_outputs=max_outputs,
            iou_threshold=iou_threshold,
            score_threshold=score_threshold,
            indices=indices.data_ptr(),
            count=count.data_ptr(),
            workspace=-(-workspace.data_ptr() // _ALIGN) * _ALIGN,
            stream=_stream(boxes),
        )
    return indices, count


@nms.register_fake
def _(
    boxes: Tensor, scores: Tensor, groups: Tensor, iou_threshold: float, score_threshold: float, max_outputs: int
) -> tuple[Tensor, Tensor]:
    batch = boxes.shape[0]
    return (
        boxes.new_empty(batch, max_outputs, dtype=torch.int64),
        boxes.new_empty(batch, dtype=torch.int64),
    )


@torch.library.custom_op("gcpose_trt::keypoint_decode", mutates_args=())
def keypoint_decode(logits: Tensor, boxes: Tensor, samples_per_cell: int, score_radius: float) -> Tensor:
    """`gcpose_trt.model.ops.keypoint_decode` in one launch."""
    logits, boxes = logits.contiguous(), boxes.float().contiguous()
    number, joints, size = logits.shape[:3]
    output = boxes.new_empty(number, joints, 3)
    with _current(output):
        _library().keypoint_decode(
            logits=logits.data_ptr(),
            type=_type(logits),
            boxes=boxes.data_ptr(),
            num=number,
            joints=joints,
            size=size,
            samples_per_cell=samples_per_cell,
            score_radius=score_radius,
            output=output.data_ptr(),
            stream=_stream(output),
        )
    return output


@keypoint_decode.register_fake
def _(logits: Tensor, boxes: Tensor, samples_per_cell: int, score_radius: float) -> Tensor:
    return logits.new_empty(logits.shape[0], logits.shape[1], 3, dtype=torch.float32)
