"""The kernels on a GPU against PyTorch: fresh inputs, memory that held garbage, graphs, other streams, run twice.

They run on the library that `gcpose-trt plugins build` made, at its usual place or where $GCPOSE_PLUGINS points.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.gpu import calls
from gcpose_trt.model import ops
from gcpose_trt.model.ops import native
from gcpose_trt.plugins import library
from gcpose_trt.plugins.kernels import Kernels
from gcpose_trt.runtime import preprocess
from tests.plugins.attention_bounds import HALF, SINGLE, attention_error

pytestmark = pytest.mark.gpu

TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
GARBAGE = float("nan")
STRIDES = (4, 8, 16, 32)


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    if not torch.cuda.is_available():
        pytest.skip("PyTorch finds no NVIDIA GPU")
    path = library.default_path()
    if not path.is_file():
        pytest.skip(f"no kernels at {path}; build them with gcpose-trt plugins build")
    return Kernels(path)


@pytest.fixture(autouse=True)
def _references() -> None:
    """PyTorch's own operations as references, in full float32."""
    native.use(None)
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = False


@pytest.fixture
def draw() -> torch.Generator:
    """Numbers that differ in each session; a failure prints the seed, and GCPOSE_SEED repeats it."""
    seed = int(os.environ.get("GCPOSE_SEED", int.from_bytes(os.urandom(4), "little")))
    print(f"GCPOSE_SEED={seed}")
    return torch.Generator().manual_seed(seed)


def run_everywhere(outputs: list[Tensor], launch: Callable[[], None], scratch: Sequence[Tensor] = ()) -> list[Tensor]:
    """Launch plainly, on a side stream, and from a graph that is replayed twice; all results must be the same bits.

    `outputs` and `scratch` are filled with garbage before each run.
    """

    def poison() -> None:
        for tensor in (*outputs, *scratch):
            tensor.fill_(GARBAGE if tensor.is_floating_point() else 119)

    def bits(tensor: Tensor) -> Tensor:
        return tensor.view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()])

    def results() -> list[Tensor]:
        torch.cuda.synchronize()
        return [output.clone() for output in outputs]

    poison()
    launch()
    expected = results()
    side = torch.cuda.Stream()
    poison()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        launch()
    found = [results()]
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        launch()
    for _ in range(2):
        poison()
        graph.replay()
        found.append(results())
    for other in found:
        for mine, first in zip(other, expected, strict=True):
            assert torch.equal(bits(mine), bits(first))
    return expected


@TYPES
@pytest.mark.parametrize(
    ("num", "heads", "dim", "value_dim", "size"),
    [
        (32, 4, 128, 128, (14, 14)),
        (1, 4, 128, 128, (14, 14)),
        (3, 2, 100, 40, (7, 9)),
        (2, 1, 256, 200, (13, 5)),
        (1, 1, 64, 64, (60, 60)),
        (2, 3, 17, 33, (1, 31)),
        (1, 1, 300, 16, (8, 8)),
        (40, 8, 32, 32, (16, 16)),
    ],
    ids=str,
)
def test_gcm_attention(
    kernels: Kernels,
    draw: torch.Generator,
    dtype: torch.dtype,
    num: int,
    heads: int,
    dim: int,
    value_dim: int,
    size: tuple[int, int],
) -> None:
    height, width = size
    shapes = [(num, heads * dim, height, width)] * 2 + [(num, heads * value_dim, height, width)]
    shapes += [(2 * height - 1, dim), (2 * width - 1, dim)]
    case = [torch.randn(shape, generator=draw).to("cuda", dtype) for shape in shapes]
    output = torch.empty_like(case[2])
    (found,) = run_everywhere([output], lambda: calls.gcm_attention(kernels, output, *case, heads=heads))
    expected, bound = attention_error(*case, heads=heads)
    assert ((found.double() - expected).abs() <= bound).all()


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize(
    ("batch", "number", "most", "spread"),
    [(1, 4780, 1000, 1000.0), (4, 1000, 100, 200.0), (2, 33, 64, 50.0), (1, 16384, 2000, 4000.0), (3, 0, 5, 1.0)],
)
def test_nms(
    kernels: Kernels,
    draw: torch.Generator,
    dtype: torch.dtype,
    batch: int,
    number: int,
    most: int,
    spread: float,
) -> None:
    corner = torch.rand(batch, number, 2, generator=draw) * spread
    boxes = torch.cat([corner, corner + 5 + 60 * torch.rand(batch, number, 2, generator=draw)], -1).cuda()
    scores = (torch.randint(-200, 200, (batch, number), generator=draw) / 64).cuda()
    groups = torch.randint(-2, 3, (number,), generator=draw).to("cuda", dtype)
    indices = torch.empty(batch, most, dtype=dtype, device="cuda")
    count = torch.empty(batch, dtype=dtype, device="cuda")
    workspace = calls.nms_workspace(kernels, scores, most)

    def launch() -> None:
        calls.nms(kernels, indices, count, workspace, boxes, scores, groups, 0.5, -2.0)

    found_indices, found_count = run_everywhere([indices, count], launch, [workspace])
    expected_indices, expected_count = ops.nms(
        boxes, scores, groups.long(), iou_threshold=0.5, score_threshold=-2.0, max_outputs=most
    )
    assert torch.equal(found_count.long(), expected_count)
    assert torch.equal(found_indices.long(), expected_indices)


def pyramid(draw: torch.Generator, channels: int, dtype: torch.dtype, layout: int) -> list[Tensor]:
    """Random maps of two images of 256 x 320 pixels."""
    maps = [torch.randn(2, channels, 256 // s, 320 // s, generator=draw).to("cuda", dtype) for s in STRIDES]
    if layout == calls.CHANNELS_LAST:
        return [level.contiguous(memory_format=torch.channels_last) for level in maps]
    return maps


def regions(draw: torch.Generator, number: int) -> Tensor:
    """Boxes of all sizes, some of them over the border of the image."""
    corner = torch.rand(number, 2, generator=draw) * 300 - 40
    side = torch.exp2(torch.rand(number, 2, generator=draw) * 7 + 2)
    return torch.cat([corner, corner + side], -1).cuda()


@pytest.mark.parametrize(
    ("dtype", "layout"),
    [
        (torch.float32, calls.LINEAR),
        (torch.float16, calls.LINEAR),
        (torch.float16, calls.CHANNELS_LAST),
    ],
    ids=str,
)
@pytest.mark.parametrize(("output_size", "sampling_ratio", "aligned"), [(14, 0, True), (7, 2, True), (7, 0, False)])
def test_multi_level_roi_align(
    kernels: Kernels,
    draw: torch.Generator,
    dtype: torch.dtype,
    layout: int,
    output_size: int,
    sampling_ratio: int,
    aligned: bool,
) -> None:
    features, rois = pyramid(draw, 64, dtype, layout), regions(draw, 50)
    batch_index = torch.randint(0, 2, (50,), generator=draw).cuda()
    memory = torch.channels_last if layout == calls.CHANNELS_LAST else torch.contiguous_format
    output = torch.empty(50, 64, output_size, output_size, dtype=dtype, device="cuda", memory_format=memory)
    options = {"output_size": output_size, "sampling_ratio": sampling_ratio, "aligned": aligned}

    def launch() -> None:
        calls.multi_level_roi_align(kernels, output, features, rois, batch_index, STRIDES, layout=layout, **options)

    (found,) = run_everywhere([output], launch)
    expected = ops.multi_level_roi_align(
        [level.float().contiguous() for level in features], rois, batch_index, strides=STRIDES, **options
    )
    largest = max(float(level.abs().max()) for level in features)
    # Coordinates up to 320 pixels, rounded in float32, move bilinear weights; sums and the result are rounded.
    bound = largest * 512 * SINGLE * 4 + (HALF * largest if dtype == torch.float16 else 0.0)
    assert (found.float() - expected).abs().max() <= bound


@TYPES
@pytest.mark.parametrize("score_radius", [0.0, 1.5])
def test_keypoint_decode(kernels: Kernels, draw: torch.Generator, dtype: torch.dtype, score_radius: float) -> None:
    """Against the reference on the numbers that the kernel sees, on maps with one peak."""
    number, joints, size = 20, 17, 56
    boxes = regions(draw, number)
    cells = torch.arange(size).float()
    peak = torch.rand(number, joints, 2, generator=draw) * 48 + 4
    distance = (cells - peak[..., :1]).square()[..., None, :] + (cells - peak[..., 1:]).square()[..., None]
    logits = (10 - distance / 8 + 0.01 * torch.randn(number, joints, size, size, generator=draw)).to("cuda", dtype)
    output = torch.empty(number, joints, 3, device="cuda")

    def launch() -> None:
        calls.keypoint_decode(kernels, output, logits, boxes, score_radius=score_radius)

    (found,) = run_everywhere([output], launch)
    expected = ops.keypoint_decode(logits.float(), boxes, score_radius=score_radius)
    difference = (found[..., :2] - expected[..., :2]).abs()
    # A peak halfway between two pixels makes them tie, and a rounding error then chooses the one or the other.
    assert (difference > 0.25).float().mean() < 0.01
    assert difference.max() <= 1.01
    assert (found[..., 2] - expected[..., 2]).abs().max() <= 1e-4


@pytest.mark.parametrize("frame", [(720, 1280), (333, 517), (200, 200), (1080, 1920)])
def test_letterbox(kernels: Kernels, draw: torch.Generator, frame: tuple[int, int]) -> None:
    box = preprocess.fit(frame, preprocess.SizeRule(exact=(288, 512)))
    # A picture with edges, but not of noise: which pixels of noise a smaller picture shows is nobody's contract.
    small = torch.randint(0, 256, (-(-frame[0] // 16), -(-frame[1] // 16), 3), generator=draw, dtype=torch.uint8)
    picture = cv2.resize(small.numpy(), (frame[1], frame[0]), interpolation=cv2.INTER_CUBIC)
    wide = torch.zeros(frame[0], frame[1] + 5, 3, dtype=torch.uint8, device="cuda")
    wide[:, : frame[1]] = torch.from_numpy(picture).cuda()
    canvas = torch.empty(*box.canvas, 3, dtype=torch.uint8, device="cuda")
    view = wide[:, : frame[1]]  # rows farther apart than they are long
    (found,) = run_everywhere([canvas], lambda: calls.letterbox(kernels, canvas, view, box.content))
    expected = preprocess.place(picture, box)
    assert np.abs(found.cpu().numpy().astype(int) - expected).max() <= 2
