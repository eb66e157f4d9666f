"""How far an attention kernel may be from exact arithmetic, from the roundings that it makes."""

from __future__ import annotations

import torch
from torch import Tensor

from gcpose_trt.model.ops import gcm_attention

HALF, SINGLE = 2.0**-11, 2.0**-24  # largest relative error of one rounding


def attention_error(
    q: Tensor, k: Tensor, v: Tensor, rel_height: Tensor, rel_width: Tensor, *, heads: int
) -> tuple[Tensor, Tensor]:
    """Return the attention in float64 and the largest error to be allowed, both shaped as `v`.

    A float32 logit of 2 d terms is off by at most their number of roundings times the sum of their magnitudes, which
    moves each weight by that much, relatively, up and the sum of weights as far down. Sums over the cells add theirs.
    In half precision the weights and the result are rounded once each.
    """
    tensors = [tensor.double() for tensor in (q, k, v, rel_height, rel_width)]
    expected = gcm_attention(*tensors, heads=heads)
    cells, dim = q.shape[2] * q.shape[3], q.shape[1] // heads
    query, key = (tensor.abs().reshape(len(q), heads, dim, cells) for tensor in tensors[:2])
    reach = key.amax(3) + tensors[3].abs().amax(0) + tensors[4].abs().amax(0)
    magnitude = (query * reach[..., None]).sum(2) * dim**-0.5  # (N, heads, cells)
    logit_error = (2 * dim + 16) * SINGLE * magnitude
    largest = v.double().abs().flatten(2).amax(2).reshape(len(v), heads, -1, 1)
    error = (2 * logit_error[:, :, None] + (2 * cells + 32) * SINGLE) * largest
    if q.dtype == torch.float16:
        # Weights that are subnormal as halves are off by up to 2^-25 of the largest weight, each of the cells.
        error = error + (HALF + cells * 2.0**-25) * largest + HALF * expected.abs().reshape(error.shape) + 2.0**-25
    return expected, error.reshape(v.shape)
