"""The attention kernels on the CPU against PyTorch in float64, and against the authors' result."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from benchmarks.gpu import calls
from gcpose_trt.errors import GcposeError
from gcpose_trt.model.ops import gcm_attention
from gcpose_trt.plugins.kernels import Kernels
from tests.plugins.attention_bounds import attention_error

Case = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


def make(
    seed: int,
    num: int,
    heads: int,
    dim: int,
    value_dim: int,
    size: tuple[int, int],
    dtype: torch.dtype,
    scale: float = 1.0,
) -> Case:
    """Random q, k, v, rel_height, rel_width; `scale` multiplies q, and so the logits."""
    draw = torch.Generator().manual_seed(seed)
    height, width = size
    q, k = torch.randn(2, num, heads * dim, height, width, generator=draw)
    v = torch.randn(num, heads * value_dim, height, width, generator=draw)
    tables = [torch.randn(2 * side - 1, dim, generator=draw) for side in size]
    q, k, v, rel_height, rel_width = (tensor.to(dtype) for tensor in (q * scale, k, v, *tables))
    return q.contiguous(), k.contiguous(), v, rel_height, rel_width


def attend(kernels: Kernels, case: Case, heads: int) -> Tensor:
    """The kernel's result in memory that held NaN."""
    output = torch.full_like(case[2], float("nan"))
    calls.gcm_attention(kernels, output, *case, heads)
    return output


def check(kernels: Kernels, case: Case, heads: int) -> None:
    expected, bound = attention_error(*case, heads=heads)
    difference = (attend(kernels, case, heads).double() - expected).abs()
    assert (difference <= bound).all(), f"{(difference - bound).max()} too far"


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    num=st.integers(1, 2),
    heads=st.integers(1, 3),
    dim=st.one_of(st.integers(1, 40), st.sampled_from([64, 100, 128, 136])),
    value_dim=st.one_of(st.integers(1, 40), st.sampled_from([64, 130])),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from([torch.float32, torch.float16]),
    scale=st.sampled_from([0.0, 1.0, 20.0]),
)
def test_any_size(
    cpu_kernels: Kernels,
    seed: int,
    num: int,
    heads: int,
    dim: int,
    value_dim: int,
    size: tuple[int, int],
    dtype: torch.dtype,
    scale: float,
) -> None:
    check(cpu_kernels, make(seed, num, heads, dim, value_dim, size, dtype, scale), heads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
@pytest.mark.parametrize(
    ("heads", "dim", "value_dim", "size"),
    [
        (1, 128, 128, (14, 14)),  # a head of the network
        (1, 256, 256, (6, 6)),  # the largest channels, values in two chunks
        (1, 16, 16, (22, 22)),  # many keys: the running maximum is replaced often
        (1, 8, 8, (1, 150)),  # relative terms that leave room for few queries a block
    ],
    ids=str,
)
def test_sizes_of_interest(
    cpu_kernels: Kernels, dtype: torch.dtype, heads: int, dim: int, value_dim: int, size: tuple[int, int]
) -> None:
    check(cpu_kernels, make(0, 1, heads, dim, value_dim, size, dtype, 3.0), heads)


def test_float16_beyond_the_matrix_kernel(cpu_kernels: Kernels) -> None:
    check(cpu_kernels, make(0, 1, 1, 270, 20, (3, 5), torch.float16), 1)  # more channels than fragments
    check(cpu_kernels, make(0, 1, 1, 200, 4, (1, 300), torch.float16), 1)  # larger tables than fit beside keys


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_memory_that_is_not_aligned(cpu_kernels: Kernels, dtype: torch.dtype) -> None:
    """Tensors that begin one number after an aligned address, as views may."""
    case = make(1, 2, 2, 32, 24, (4, 4), dtype)
    shifted = tuple(torch.cat([tensor.new_zeros(1), tensor.flatten()])[1:].view(tensor.shape) for tensor in case)
    expected, bound = attention_error(*case, heads=2)
    output = torch.cat([case[2].new_zeros(1), case[2].flatten()])[1:].view(case[2].shape).fill_(float("nan"))
    calls.gcm_attention(cpu_kernels, output, *shifted, 2)
    assert ((output.double() - expected).abs() <= bound).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_large_logits(cpu_kernels: Kernels, dtype: torch.dtype) -> None:
    """Logits in the thousands, where e to the power of any is infinite: each query takes the value of one key."""
    q, k, v, rel_height, rel_width = make(2, 1, 1, 32, 8, (5, 7), dtype)
    k = k.abs() + 1
    q = torch.full_like(q, 64.0)
    output = attend(cpu_kernels, (q, k, v, rel_height * 0, rel_width * 0), 1)
    best = k.double().sum(1).flatten().argmax()
    assert torch.equal(output, v.flatten(2)[..., best, None, None].expand_as(v))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_a_query_of_nan_stays_alone(cpu_kernels: Kernels, dtype: torch.dtype) -> None:
    case = make(3, 1, 2, 16, 16, (5, 5), dtype)
    clean = attend(cpu_kernels, case, 2)
    case[0][0, 3, 2, 1] = float("nan")  # a channel of the first head
    output = attend(cpu_kernels, case, 2)
    assert output[0, :16, 2, 1].isnan().all()
    output[0, :16, 2, 1] = clean[0, :16, 2, 1]
    assert torch.equal(output, clean)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_keys_of_minus_infinity(cpu_kernels: Kernels, dtype: torch.dtype) -> None:
    """A whole tile of keys that nobody may see, before the others."""
    q, k, v, rel_height, rel_width = make(4, 1, 1, 16, 16, (7, 8), dtype)
    q = q.abs() + 0.1
    case = (q, k, v, rel_height * 0, rel_width * 0)
    k.flatten(2)[..., :40] = float("-inf")
    seen = [tensor.flatten(2)[..., 40:] for tensor in (k, v)]
    weight = torch.softmax(q.double().flatten(2)[0].T @ seen[0].double()[0] * 16**-0.5, -1)
    expected = (weight @ seen[1].double()[0].T).T.reshape(v.shape)
    assert (attend(cpu_kernels, case, 1).double() - expected).abs().max() < 4e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_nobody(cpu_kernels: Kernels, dtype: torch.dtype) -> None:
    case = make(0, 0, 2, 4, 4, (3, 3), dtype)
    assert attend(cpu_kernels, case, 2).shape == (0, 8, 3, 3)


def test_refuses(cpu_kernels: Kernels) -> None:
    case = make(0, 1, 1, 4, 4, (3, 3), torch.float32)
    with pytest.raises(GcposeError):
        attend(cpu_kernels, case, 5)  # no channel for each head
    with pytest.raises(GcposeError):  # tables larger than shared memory
        attend(cpu_kernels, make(0, 1, 1, 1, 1, (1, 500), torch.float32), 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_the_authors_attention(cpu_kernels: Kernels, shared: Path, dtype: torch.dtype) -> None:
    folder = shared / "reference"
    with np.load(folder / "gcm_block_case.npz") as case:
        x, expected = torch.from_numpy(case["x"][:1]), torch.from_numpy(case["mhsa_out"][:1])
    spec = importlib.util.spec_from_file_location("seeded_weights", folder / "seeded_weights.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def weight(name: str, *shape: int) -> Tensor:
        return torch.from_numpy(module.seeded_array(f"roi_heads.keypoint_head.MHSA_1.{name}", shape))

    norm = [weight(f"norm1.{name}", 512) for name in ("running_mean", "running_var", "weight", "bias")]
    hidden = F.relu(F.batch_norm(x, *norm))
    q, k = F.conv2d(hidden, weight("MHSA.to_qk.weight", 1024, 512, 1, 1)).chunk(2, 1)
    v = F.conv2d(hidden, weight("MHSA.to_v.weight", 512, 512, 1, 1))
    tables = [weight(f"MHSA.pos_emb.rel_{side}", 27, 128) for side in ("height", "width")]
    output = attend(cpu_kernels, tuple(t.to(dtype).contiguous() for t in (q, k, v, *tables)), 4)
    # Half precision moves logits of up to 20 by 2^-11 of their terms, float32 by a rounding error.
    assert (output.float() - expected).abs().max() < (1e-4 if dtype == torch.float32 else 1e-2)


def test_the_bound_notices(cpu_kernels: Kernels) -> None:
    """The checks above fail for a relative term too many, a scale left out, or weights that do not add up to one."""
    case = make(5, 1, 1, 16, 16, (4, 4), torch.float16)
    expected, bound = attention_error(*case, heads=1)
    wrong = [
        (case[0] * 1.01, *case[1:]),
        (*case[:3], case[3].roll(1, 0), case[4]),
        (*case[:2], case[2] * 1.01, *case[3:]),
    ]
    for other in wrong:
        changed = gcm_attention(*(tensor.double() for tensor in other), heads=1)
        assert ((changed - expected).abs() > bound).any()
