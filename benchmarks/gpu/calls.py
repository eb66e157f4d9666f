"""The kernels called on tensors whose memory the caller owns: checks can poison it, and timings pay for nothing else.

Nothing here copies, allocates or waits. Tensors are contiguous unless said otherwise; they lie on the
GPU, or on the CPU for the library that is built for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gcpose_trt.plugins.kernels import Kernels

_TYPES = {torch.float32: 0, torch.float16: 1}
LINEAR, CHANNELS_LAST = 0, 1


def _stream(tensor: Tensor) -> int:
    return torch.cuda.current_stream(tensor.device).cuda_stream if tensor.is_cuda else 0


def gcm_attention(
    kernels: Kernels, output: Tensor, q: Tensor, k: Tensor, v: Tensor, rel_height: Tensor, rel_width: Tensor, heads: int
) -> None:
    """Attend: shapes as `gcpose_trt.model.ops.gcm_attention`, `output` as `v`; all float32 or all float16."""
    kernels.gcm_attention(
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
        type=_TYPES[q.dtype],
        stream=_stream(q),
    )


def nms_workspace(kernels: Kernels, scores: Tensor, max_outputs: int) -> Tensor:
    """Return scratch memory (bytes,) uint8 for `nms` on `scores` (B, N), filled with ones."""
    size = kernels.nms_workspace_bytes(scores.shape[0], scores.shape[1], max_outputs)
    return torch.full((size,), 255, dtype=torch.uint8, device=scores.device)


def nms(
    kernels: Kernels,
    indices: Tensor,
    count: Tensor,
    workspace: Tensor,
    boxes: Tensor,
    scores: Tensor,
    groups: Tensor,
    iou_threshold: float,
    score_threshold: float,
) -> None:
    """Suppress: shapes as `gcpose_trt.model.ops.nms`; groups, `indices` (B, K) and `count` (B,) all int32 or int64."""
    kernels.nms(
        boxes=boxes.data_ptr(),
        scores=scores.data_ptr(),
        groups=groups.data_ptr(),
        index_bytes=groups.element_size(),
        batch=scores.shape[0],
        num_boxes=scores.shape[1],
        max_outputs=indices.shape[1],
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        indices=indices.data_ptr(),
        count=count.data_ptr(),
        workspace=workspace.data_ptr(),
        stream=_stream(scores),
    )


def multi_level_roi_align(
    kernels: Kernels,
    output: Tensor,
    features: Sequence[Tensor],
    rois: Tensor,
    batch_index: Tensor,
    strides: Sequence[int],
    *,
    output_size: int,
    sampling_ratio: int = 0,
    aligned: bool = True,
    layout: int = LINEAR,
) -> None:
    """Pool: shapes as `gcpose_trt.model.ops.multi_level_roi_align`; features and `output` of one type and `layout`.

    With `CHANNELS_LAST` they are float16 and contiguous in torch.channels_last, channels a multiple of 8.
    """
    kernels.multi_level_roi_align(
        features=[feature.data_ptr() for feature in features],
        heights=[feature.shape[2] for feature in features],
        widths=[feature.shape[3] for feature in features],
        strides=list(strides),
        batch=features[0].shape[0],
        channels=features[0].shape[1],
        rois=rois.data_ptr(),
        batch_index=batch_index.data_ptr(),
        index_bytes=batch_index.element_size(),
        num_rois=rois.shape[0],
        output_size=output_size,
        sampling_ratio=sampling_ratio,
        aligned=aligned,
        canonical_level=4,
        canonical_size=224.0,
        type=_TYPES[features[0].dtype],
        feature_layout=layout,
        output_layout=layout,
        output=output.data_ptr(),
        stream=_stream(rois),
    )


def keypoint_decode(
    kernels: Kernels,
    output: Tensor,
    logits: Tensor,
    boxes: Tensor,
    *,
    samples_per_cell: int = 4,
    score_radius: float = 0.0,
) -> None:
    """Decode: logits (N, K, S, S) float32 or float16, boxes (N, 4) float32, `output` (N, K, 3) float32."""
    kernels.keypoint_decode(
        logits=logits.data_ptr(),
        type=_TYPES[logits.dtype],
        boxes=boxes.data_ptr(),
        num=logits.shape[0],
        joints=logits.shape[1],
        size=logits.shape[2],
        samples_per_cell=samples_per_cell,
        score_radius=score_radius,
        output=output.data_ptr(),
        stream=_stream(logits),
    )


def letterbox(kernels: Kernels, canvas: Tensor, frame: Tensor, content: tuple[int, int]) -> None:
    """Resize `frame` (h, w, 3) uint8 to `content` (height, width) in the top left of `canvas` (H, W, 3) uint8."""
    kernels.letterbox(
        frame=frame.data_ptr(),
        frame_pitch=frame.stride(0),
        frame_size=(frame.shape[0], frame.shape[1]),
        canvas=canvas.data_ptr(),
        canvas_size=(canvas.shape[0], canvas.shape[1]),
        content_size=content,
        stream=_stream(frame),
    )
