"""Our kernels as torch operators against the PyTorch references: through the CPU shim, and on a GPU if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gcpose_trt.errors import GcposeError
from gcpose_trt.model import ops
from gcpose_trt.model.ops import native
from gcpose_trt.plugins import library
from gcpose_trt.plugins.kernels import Kernels


class Counting:
    """Kernels that remember which of them were called."""

    def __init__(self, kernels: Any) -> None:
        self._kernels = kernels
        self.called: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._kernels, name)
        if not callable(found) or name == "nms_workspace_bytes":
            return found

        def call(**options: Any) -> Any:
            self.called.append(name)
            return found(**options)

        return call


@pytest.fixture
def kernels(cpu_kernels: Kernels) -> Iterator[Counting]:
    """The CPU build of the kernels, taken for tensors of the CPU while the test runs."""
    counting = Counting(cpu_kernels)
    native.use(counting)  # type: ignore[arg-type]
    yield counting
    native.use(None)


def both(kernels: Counting, function: Any, *args: Any, **options: Any) -> tuple[Any, Any]:
    """Return what the reference and the kernel give."""
    with torch.inference_mode():
        native.use(None)
        expected = function(*args, **options)
        native.use(kernels)  # type: ignore[arg-type]
        kernels.called.clear()
        return expected, function(*args, **options)


def boxes_of(count: int, generator: torch.Generator, size: float = 64.0) -> torch.Tensor:
    corner = torch.rand(count, 2, generator=generator) * size - 8
    return torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * size], 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("levels", [1, 4])
def test_pooling(kernels: Counting, dtype: torch.dtype, last: bool, levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    layout = torch.channels_last if last else torch.contiguous_format
    features = [
        torch.randn(2, 8, 64 >> level, 48 >> level, generator=generator).to(dtype).to(memory_format=layout)
        for level in range(levels)
    ]
    rois = boxes_of(9, generator) * 4
    index = torch.arange(9) % 2
    options = {"output_size": 7, "strides": [4 << level for level in range(levels)]}
    expected, found = both(kernels, ops.multi_level_roi_align, features, rois, index, **options)
    assert kernels.called == ["multi_level_roi_align"]
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last) is (last and dtype == torch.float16)
    # The reference pools in float32; the kernel rounds its result to the features' type.
    torch.testing.assert_close(found.float(), expected, rtol=2e-3 if dtype == torch.float16 else 1e-4, atol=2e-3)


def test_pooling_of_nobody(kernels: Counting) -> None:
    expected, found = both(
        kernels,
        ops.multi_level_roi_align,
        [torch.ones(1, 8, 6, 5)],
        torch.zeros(0, 4),
        torch.zeros(0, dtype=torch.int64),
        output_size=7,
        strides=[4],
    )
    assert found.shape == expected.shape == (0, 8, 7, 7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_attention(kernels: Counting, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    qk = torch.randn(2, 32, 6, 5, generator=generator).to(dtype)
    q, k = qk.chunk(2, 1)  # not contiguous, as in the network
    v = torch.randn(2, 24, 6, 5, generator=generator).to(dtype).to(memory_format=torch.channels_last)
    tables = [torch.randn(2 * side - 1, 8, generator=generator) for side in (6, 5)]
    with torch.inference_mode():
        native.use(None)
        expected = ops.gcm_attention(q.float(), k.float(), v.float(), *tables, heads=2)
        native.use(kernels)  # type: ignore[arg-type]
        found = ops.gcm_attention(q, k, v, *tables, heads=2)
    assert kernels.called == ["gcm_attention"]
    assert found.dtype == dtype
    tolerance = 1e-2 if dtype == torch.float16 else 1e-4
    torch.testing.assert_close(found.float(), expected, rtol=tolerance, atol=tolerance)


def test_suppression(kernels: Counting) -> None:
    generator = torch.Generator().manual_seed(4)
    boxes = torch.stack([boxes_of(50, generator), boxes_of(50, generator)])
    scores = torch.rand(2, 50, generator=generator)
    scores[0, 10:20] = scores[0, 10]  # ties go to the lower index
    groups = torch.arange(50) // 20
    options = {"iou_threshold": 0.4, "score_threshold": 0.2, "max_outputs": 12}
    expected, found = both(kernels, ops.nms, boxes, scores, groups, **options)
    assert kernels.called == ["nms"]
    for wanted, given in zip(expected, found, strict=True):
        assert torch.equal(wanted, given)


def test_decode(kernels: Counting) -> None:
    generator = torch.Generator().manual_seed(5)
    coarse = torch.randn(2, 3, 9, 9, generator=generator)
    logits = torch.nn.functional.interpolate(coarse, size=56, mode="bicubic") * 4
    boxes = boxes_of(2, generator, 200.0)
    for radius in (0.0, 4.5):
        expected, found = both(kernels, ops.keypoint_decode, logits, boxes, samples_per_cell=2, score_radius=radius)
        assert kernels.called == ["keypoint_decode"]
        assert (found[..., :2] - expected[..., :2]).abs().max() <= 0.25
        torch.testing.assert_close(found[..., 2], expected[..., 2], rtol=1e-3, atol=1e-4)


def test_training_and_other_types_take_the_reference(kernels: Counting) -> None:
    rois, index = torch.tensor([[0.0, 0, 20, 20]]), torch.zeros(1, dtype=torch.int64)
    options: dict[str, Any] = {"output_size": 3, "strides": [4]}
    features = torch.ones(1, 8, 6, 6, requires_grad=True)
    ops.multi_level_roi_align([features], rois, index, **options).sum().backward()
    assert features.grad is not None
    with torch.inference_mode():
        ops.multi_level_roi_align([features.double()], rois, index, **options)
        ops.multi_level_roi_align([torch.ones(1, 8, 6, 6)] * 2, rois, index, output_size=3, strides=[4, 8])
    assert kernels.called == ["multi_level_roi_align"], "only the last call is the kernel's"


def test_the_whole_network_runs_on_the_kernels(kernels: Counting) -> None:
    from gcpose_trt.runtime.backends.torch_backend import TorchBackend

    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    size = np.array([[64, 64]], np.int64)
    person, row = np.array([[4, 4, 50, 60]], np.float32), np.zeros(1, np.int64)
    backend = TorchBackend("mobile")
    native.use(None)
    expected = backend.detect(image, size)
    joints = backend.pose(expected.p2, person, row)
    native.use(kernels)  # type: ignore[arg-type]
    found = backend.detect(image, size)
    assert set(kernels.called) == {"nms", "multi_level_roi_align"}
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-2)
    kernels.called.clear()
    moved = np.abs(backend.pose(expected.p2, person, row) - joints)
    # Pooling of the features, then of the joints' maps of the image and of the one at half its size.
    pooling = "multi_level_roi_align"
    assert kernels.called == [pooling, "gcm_attention", "gcm_attention", pooling, pooling]
    assert moved[..., :2].max() <= 0.25


def test_fake_results_have_the_shapes_of_the_real_ones(kernels: Counting) -> None:
    generator = torch.Generator().manual_seed(6)
    boxes = boxes_of(4, generator)
    index = torch.zeros(4, dtype=torch.int64)
    for call, args in (
        (native.multi_level_roi_align, ([torch.ones(1, 8, 9, 9)], boxes, index, 7, [4], 0, True, 4, 224.0)),
        (native.gcm_attention, (*[torch.ones(1, 16, 3, 3)] * 3, torch.ones(5, 8), torch.ones(5, 8), 2)),
        (native.nms, (boxes[None], torch.rand(1, 4), index, 0.5, 0.1, 6)),
        (native.keypoint_decode, (torch.rand(4, 2, 8, 8), boxes, 2, 0.0)),
    ):
        torch.library.opcheck(call, args, test_utils=["test_schema", "test_faketensor"])


def test_without_a_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "_looked", False)
    monkeypatch.setattr(native, "_kernels", None)
    monkeypatch.setenv("GCPOSE_PLUGINS", str(tmp_path / "none.so"))
    assert native.load() is False
    with torch.inference_mode():
        assert not native.serves(torch.ones(1))
    with pytest.raises(GcposeError, match="gcpose-trt plugins build"):
        native.load(tmp_path / "none.so")


def test_a_broken_library_is_left_out_with_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(native, "_looked", False)
    monkeypatch.setattr(native, "_kernels", None)
    (tmp_path / library.LIBRARY_NAME).write_bytes(b"not a library")
    monkeypatch.setenv("GCPOSE_PLUGINS", str(tmp_path / library.LIBRARY_NAME))
    with pytest.warns(RuntimeWarning, match="our kernels are not used"):
        assert native.load() is False


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="PyTorch finds no CUDA device on this machine")
@pytest.mark.parametrize("half", [False, True])
def test_the_network_on_a_gpu(half: bool) -> None:
    from gcpose_trt.runtime.backends.torch_backend import TorchBackend

    if not library.default_path().is_file():
        pytest.skip("the plugin library is not built: gcpose-trt plugins build")
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    size = np.array([[64, 64]], np.int64)
    backend = TorchBackend("mobile", device="cuda", half=half)
    assert native.load(library.default_path())
    found = backend.detect(image, size)
    native.use(None)
    expected = backend.detect(image, size)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.5 if half else 0.02)
