"""Runs every kernel once on small inputs, for compute-sanitizer to watch: see run.sh."""

from __future__ import annotations

import sys

import torch

from benchmarks.gpu import calls
from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import library
from gcpose_trt.plugins.kernels import Kernels

TYPES = (torch.float16, torch.float32)


def attention(kernels: Kernels) -> None:
    """Sizes that fill tiles, and sizes that leave most of one empty; each width of loads."""
    for dtype in TYPES:
        for num, heads, dim, value_dim, height, width in (
            (2, 4, 128, 128, 14, 14),
            (1, 2, 100, 40, 7, 9),
            (1, 1, 256, 200, 5, 6),
            (3, 1, 16, 16, 8, 8),
            (1, 1, 300, 16, 4, 4),
        ):
            q, k = (torch.randn(num, heads * dim, height, width, device="cuda").to(dtype) for _ in range(2))
            v = torch.randn(num, heads * value_dim, height, width, device="cuda").to(dtype)
            tables = [torch.randn(2 * side - 1, dim, device="cuda").to(dtype) for side in (height, width)]
            calls.gcm_attention(kernels, torch.empty_like(v), q, k, v, *tables, heads)


def suppression(kernels: Kernels) -> None:
    """Less than a warp, more than one stage, and more than one sorted tile."""
    for batch, number, most in ((2, 33, 64), (1, 1100, 500), (1, 2100, 100)):
        corner = torch.rand(batch, number, 2, device="cuda") * 300
        boxes = torch.cat([corner, corner + 40], -1)
        scores = torch.randn(batch, number, device="cuda")
        for dtype in (torch.int32, torch.int64):
            groups = (torch.arange(number, device="cuda") % 3).to(dtype)
            indices = torch.empty(batch, most, dtype=dtype, device="cuda")
            count = torch.empty(batch, dtype=dtype, device="cuda")
            workspace = calls.nms_workspace(kernels, scores, most)
            calls.nms(kernels, indices, count, workspace, boxes, scores, groups, 0.5, 0.0)


def pooling(kernels: Kernels) -> None:
    """Boxes inside, over the border and outside; an image that does not exist."""
    rois = torch.tensor([[0, 0, 60, 60], [-50, 20, 30, 90], [500, 500, 600, 600], [5, 5, 4, 4]], device="cuda").float()
    index = torch.tensor([0, 1, 0, 7], device="cuda")
    for dtype, layout in ((torch.float16, 0), (torch.float32, 0), (torch.float16, calls.CHANNELS_LAST)):
        memory = torch.channels_last if layout else torch.contiguous_format
        maps = [torch.randn(2, 16, 64 // s, 96 // s, device="cuda").to(dtype, memory_format=memory) for s in (4, 8)]
        for size in (7, 14):
            output = torch.empty(4, 16, size, size, dtype=dtype, device="cuda", memory_format=memory)
            calls.multi_level_roi_align(kernels, output, maps, rois, index, (4, 8), output_size=size, layout=layout)


def rest(kernels: Kernels) -> None:
    """Decoding and letterbox."""
    boxes = torch.tensor([[0, 0, 60, 60], [10, 20, 11, 300]], device="cuda").float()
    for dtype in TYPES:
        logits = torch.randn(2, 3, 56, 56, device="cuda").to(dtype)
        for radius in (0.0, 1.5):
            output = torch.empty(2, 3, 3, device="cuda")
            calls.keypoint_decode(kernels, output, logits, boxes, score_radius=radius)
    for size in ((90, 161), (20, 30)):
        frame = torch.randint(0, 256, (*size, 3), device="cuda", dtype=torch.uint8)
        canvas = torch.empty(64, 96, 3, device="cuda", dtype=torch.uint8)
        calls.letterbox(kernels, canvas, frame, (48, 96))


def main() -> int:
    """Run all; exit code 2 where there is no GPU."""
    if not torch.cuda.is_available():
        print("error: PyTorch finds no NVIDIA GPU; run this on a machine that has one", file=sys.stderr)
        return 2
    kernels = Kernels(library.find())
    for work in (attention, suppression, pooling, rest):
        work(kernels)
        torch.cuda.synchronize()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except GcposeError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
