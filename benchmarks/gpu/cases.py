"""What is timed: each kernel at the sizes of the networks, beside the same operation in PyTorch's own ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gpu import calls, counts
from gcpose_trt.model import ops
from gcpose_trt.plugins.kernels import Kernels

Launch = Callable[[], object]
NAMES = {torch.float16: "float16", torch.float32: "float32"}
IMAGE = (800, 1216)
STRIDES = (4, 8, 16, 32)


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes:
        name: kernel and sizes.
        work: what it costs at the least.
        dtype: of the matrix products.
        prepare: given the kernels, makes inputs on the GPU and returns our launch and PyTorch's.
        captures: PyTorch's operations never wait for the GPU, so that a graph can hold them.
    """

    name: str
    work: counts.Work
    dtype: torch.dtype
    prepare: Callable[[Kernels], tuple[Launch, Launch]]
    captures: bool = True


def attention(people: int, dtype: torch.dtype) -> Case:
    """The attention of r50's keypoint head."""
    heads, side, dim = 4, 14, 128

    def prepare(kernels: Kernels) -> tuple[Launch, Launch]:
        shape = (people, heads * dim, side, side)
        q, k, v = (torch.randn(shape, device="cuda", dtype=dtype) for _ in range(3))
        tables = [torch.randn(2 * side - 1, dim, device="cuda", dtype=dtype) * dim**-0.5 for _ in range(2)]
        output = torch.empty_like(v)
        return (
            lambda: calls.gcm_attention(kernels, output, q, k, v, *tables, heads),
            lambda: ops.gcm_attention(q, k, v, *tables, heads=heads),
        )

    work = counts.gcm_attention(people, heads, side, side, dim, dim, dtype.itemsize)
    return Case(f"gcm_attention {people} people, {NAMES[dtype]}", work, dtype, prepare)


def regions(number: int, seed: int = 0) -> Tensor:
    """Boxes (number, 4) float32 of people of 24 to 700 pixels, inside the image."""
    draw = torch.Generator().manual_seed(seed)
    height = 24 * torch.exp2(torch.rand(number, generator=draw) * 4.86)
    width = height * (0.3 + 0.4 * torch.rand(number, generator=draw))
    left = torch.rand(number, generator=draw) * (IMAGE[1] - width)
    top = torch.rand(number, generator=draw) * (IMAGE[0] - height)
    return torch.stack([left, top, left + width, top + height], -1)


def pooling(number: int, output_size: int, levels: int, dtype: torch.dtype, layout: int) -> Case:
    """Regions of r50's pyramid: the box head pools from four levels, the keypoint head from the finest."""
    channels, strides = 256, STRIDES[:levels]
    sizes = [(IMAGE[0] // stride, IMAGE[1] // stride) for stride in strides]
    rois = regions(number)
    assigned = (ops.assign_levels(rois, 2, 5) - 2).clamp(max=levels - 1).tolist()

    def prepare(kernels: Kernels) -> tuple[Launch, Launch]:
        memory = torch.channels_last if layout == calls.CHANNELS_LAST else torch.contiguous_format
        maps = [torch.randn(1, channels, *size, device="cuda").to(dtype, memory_format=memory) for size in sizes]
        boxes = rois.cuda()
        index = torch.zeros(number, dtype=torch.int64, device="cuda")
        shape = (number, channels, output_size, output_size)
        output = torch.empty(shape, device="cuda", dtype=dtype, memory_format=memory)
        return (
            lambda: calls.multi_level_roi_align(
                kernels, output, maps, boxes, index, strides, output_size=output_size, layout=layout
            ),
            lambda: ops.multi_level_roi_align(maps, boxes, index, output_size=output_size, strides=strides),
        )

    work = counts.multi_level_roi_align(
        rois.tolist(), assigned, sizes, strides, channels, output_size, 0, dtype.itemsize
    )
    side = f"{output_size}x{output_size}"
    order = "channels last" if layout == calls.CHANNELS_LAST else "linear"
    name = f"multi_level_roi_align {number} regions to {side}, {levels} levels, {NAMES[dtype]}, {order}"
    return Case(name, work, dtype, prepare, captures=False)


def suppression(number: int, most: int) -> Case:
    """Proposals of r50: five levels of up to 1000, overlapping by up to 0.7."""
    boxes = regions(number, seed=1)[None]
    scores = torch.randn(1, number, generator=torch.Generator().manual_seed(2))
    groups = torch.arange(number) // 1000
    threshold, lowest = 0.7, -5e8

    def prepare(kernels: Kernels) -> tuple[Launch, Launch]:
        on_gpu = boxes.cuda(), scores.cuda(), groups.cuda()
        indices = torch.empty(1, most, dtype=torch.int64, device="cuda")
        count = torch.empty(1, dtype=torch.int64, device="cuda")
        workspace = calls.nms_workspace(kernels, on_gpu[1], most)
        return (
            lambda: calls.nms(kernels, indices, count, workspace, *on_gpu, threshold, lowest),
            lambda: ops.nms(*on_gpu, iou_threshold=threshold, score_threshold=lowest, max_outputs=most),
        )

    kept = min(number, most)
    work = counts.nms(1, number, kept, 8, most)
    return Case(f"nms {number} boxes, {most} kept at most", work, torch.float32, prepare, captures=False)


def decoding(people: int, dtype: torch.dtype) -> Case:
    """The last step: 17 maps of 56 x 56 a person."""
    joints, size, samples = 17, 56, 4

    def prepare(kernels: Kernels) -> tuple[Launch, Launch]:
        coarse = torch.randn(people, joints, 14, 14, device="cuda") * 4
        logits = F.interpolate(coarse, (size, size), mode="bicubic").to(dtype).contiguous()
        boxes = regions(people, seed=3).cuda()
        output = torch.empty(people, joints, 3, device="cuda")
        return (
            lambda: calls.keypoint_decode(kernels, output, logits, boxes, samples_per_cell=samples),
            lambda: ops.keypoint_decode(logits, boxes, samples_per_cell=samples),
        )

    work = counts.keypoint_decode(people, joints, size, samples, dtype.itemsize)
    return Case(f"keypoint_decode {people} people, {NAMES[dtype]}", work, torch.float32, prepare, captures=False)


def resizing(frame: tuple[int, int]) -> Case:
    """A camera's frame to r50's input."""
    scale = min(IMAGE[0] / frame[0], IMAGE[1] / frame[1])
    content = (min(round(frame[0] * scale), IMAGE[0]), min(round(frame[1] * scale), IMAGE[1]))

    def prepare(kernels: Kernels) -> tuple[Launch, Launch]:
        picture = torch.randint(0, 256, (*frame, 3), device="cuda", dtype=torch.uint8)
        canvas = torch.empty(*IMAGE, 3, device="cuda", dtype=torch.uint8)

        def decomposed() -> Tensor:
            planes = picture.permute(2, 0, 1)[None].float()
            small = F.interpolate(planes, content, mode="bilinear", antialias=True)
            padded = F.pad(small, (0, IMAGE[1] - content[1], 0, IMAGE[0] - content[0]))
            return padded[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)

        return lambda: calls.letterbox(kernels, canvas, picture, content), decomposed

    work = counts.letterbox(frame, IMAGE, content)
    return Case(f"letterbox {frame[0]}x{frame[1]} to {IMAGE[0]}x{IMAGE[1]}", work, torch.float32, prepare)


def all_cases() -> list[Case]:
    """Return everything that is timed."""
    half, single = torch.float16, torch.float32
    return [
        *(attention(people, dtype) for dtype in (half, single) for people in (1, 5, 32)),
        *(pooling(1000, 7, 4, dtype, calls.LINEAR) for dtype in (half, single)),
        pooling(1000, 7, 4, half, calls.CHANNELS_LAST),
        *(pooling(people, 14, 1, half, layout) for people in (5, 32) for layout in (calls.LINEAR, calls.CHANNELS_LAST)),
        suppression(4780, 1000),
        suppression(1000, 100),
        *(decoding(people, dtype) for people in (5, 32) for dtype in (half, single)),
        resizing((1080, 1920)),
        resizing((720, 1280)),
    ]
