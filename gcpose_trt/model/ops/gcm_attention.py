"""The attention inside the Global Context Module: all positions of a region attend to each other."""

from __future__ import annotations

import torch
from torch import Tensor

from gcpose_trt.model.ops import native


def gcm_attention(q: Tensor, k: Tensor, v: Tensor, rel_height: Tensor, rel_width: Tensor, *, heads: int) -> Tensor:
    """Multi-head self-attention with learned relative positions, shared by the heads.

    The logit of query (i, j) and key (m, n) is `q.k + q.(rel_width[n - j + W - 1] + rel_height[m - i + H - 1])` with q
    scaled by d**-0.5 (Li et al., section 3.3; the position term follows Bottleneck Transformers).

    Args:
        q, k: (N, heads * d, H, W) float.
        v: (N, heads * e, H, W) float.
        rel_height: (2H - 1, d) float, one row for each row offset.
        rel_width: (2W - 1, d) float, one row for each column offset.
        heads: number of heads.

    Returns:
        (N, heads * e, H, W), heads concatenated.
    """
    n, _, height, width = q.shape
    if torch.onnx.is_in_onnx_export():
        return torch.onnx.ops.symbolic(
            "gcpose::GcmAttention",
            [q, k, v, rel_height, rel_width],
            {"heads": heads, "height": height, "width": width},
            dtype=q.dtype,
            shape=list(v.shape),
            version=1,
        )
    if native.serves(q, k, v):
        return native.gcm_attention(q, k, v, rel_height.to(q.dtype), rel_width.to(q.dtype), heads)
    cells, dim, channels = height * width, q.shape[1] // heads, v.shape[1]
    q = q.reshape(n, heads, dim, cells).transpose(2, 3) * dim**-0.5  # (N, heads, cells, d)
    k = k.reshape(n, heads, dim, cells)
    v = v.reshape(n, heads, channels // heads, cells).transpose(2, 3)
    rows = torch.arange(height, device=q.device)
    columns = torch.arange(width, device=q.device)
    # Position vectors of every (query, key) pair of rows and of columns: (H, H, d) and (W, W, d).
    row_vectors = rel_height[rows[None, :] - rows[:, None] + height - 1]
    column_vectors = rel_width[columns[None, :] - columns[:, None] + width - 1]
    grid = q.reshape(n, heads, height, width, dim)
    row_logits = torch.einsum("bhijd,imd->bhijm", grid, row_vectors)
    column_logits = torch.einsum("bhijd,jnd->bhijn", grid, column_vectors)
    position = (row_logits[..., :, None] + column_logits[..., None, :]).reshape(n, heads, cells, cells)
    attention = torch.softmax((q @ k + position).float(), dim=-1).to(v.dtype)
    return (attention @ v).transpose(2, 3).reshape(n, channels, height, width)
