"""The operations that TensorRT runs as plugins (all but `oks_decode`), each with its plain PyTorch reference.

While `torch.onnx` traces, each one becomes a single node of the ONNX domain `gcpose`; everywhere else the PyTorch code
runs.
"""

from gcpose_trt.model.ops.gcm_attention import gcm_attention
from gcpose_trt.model.ops.keypoint_decode import keypoint_decode, keypoint_decode_exhaustive
from gcpose_trt.model.ops.nms import nms
from gcpose_trt.model.ops.oks_decode import oks_decode
from gcpose_trt.model.ops.roi_align import assign_levels, multi_level_roi_align, roi_align

__all__ = [
    "assign_levels",
    "gcm_attention",
    "keypoint_decode",
    "keypoint_decode_exhaustive",
    "multi_level_roi_align",
    "nms",
    "oks_decode",
    "roi_align",
]
