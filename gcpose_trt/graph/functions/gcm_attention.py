"""`gcpose::GcmAttention`: self-attention over an HxW map with learned relative positions.

Inputs: q, k (N,heads*d,H,W); v (N,heads*dv,H,W); rel_height (2H-1,d); rel_width (2W-1,d); all float32 or all float16.
Output: out (N,heads*dv,H,W), of the same type. Products are of that type, the softmax is float32 either way.
Attributes: heads int, height int (H), width int (W).

Query (i,j) and key (m,n) get the logit s q.k + s q.(rel_width[n-j+W-1] + rel_height[m-i+H-1]), s = d^-0.5.
Nothing of size HW x HW x d is made. q rel^T gives each query one value per offset; a query's W (or H) values of
interest are a window of them that moves back by one from each query to the next, which in memory is a row that is one
element shorter: slice, reshape, slice. The window values join q as further channels and k gets the matching one-hot
rows, so that the matrix product itself adds them up.
"""

from __future__ import annotations

BODY = """
<opset_import: ["" : 18], domain: "gcpose">
GcmAttention <heads, height, width> (q, k, v, rel_height, rel_width) => (out)
{
  zero = Constant <value = int64[1] {0}> ()
  one = Constant <value = int64[1] {1}> ()
  two = Constant <value = int64[1] {2}> ()
  three = Constant <value = int64[1] {3}> ()
  minus_one = Constant <value = int64[1] {-1}> ()
  heads_0d = Constant <value_int: int = @heads> ()
  height_0d = Constant <value_int: int = @height> ()
  width_0d = Constant <value_int: int = @width> ()
  head_count = Unsqueeze (heads_0d, zero)
  rows = Unsqueeze (height_0d, zero)
  columns = Unsqueeze (width_0d, zero)
  cells = Mul (rows, columns)
  depth = Shape <start = 1, end = 2> (rel_width)
  depth_float = Cast <to = 1> (depth)
  root = Sqrt (depth_float)
  scale_float = Reciprocal (root)
  scale = CastLike (scale_float, q)

  # Channels before cells, as they lie in memory; queries need one transpose.
  split = Concat <axis = 0> (zero, head_count, minus_one, cells)
  q_split = Reshape (q, split)
  k_split = Reshape (k, split)
  v_split = Reshape (v, split)
  q_cells = Transpose <perm = [0, 1, 3, 2]> (q_split)
  q_scaled = Mul (q_cells, scale)

  # A table gets a zero row at its end, so that rows of offsets have an even length, 2W or 2H.
  extra_row = Constant <value = int64[4] {0, 0, 1, 0}> ()
  table_w = Pad (rel_width, extra_row)
  table_h = Pad (rel_height, extra_row)
  table_w_t = Transpose <perm = [1, 0]> (table_w)
  table_h_t = Transpose <perm = [1, 0]> (table_h)

  # Columns: query j finds key column n at offset n - j + W - 1 of row j, so at j (2W - 1) + n + W - 1 of the flat rows.
  q_by_offset_w = MatMul (q_scaled, table_w_t)
  flat_w_shape = Concat <axis = 0> (zero, head_count, rows, minus_one)
  flat_w = Reshape (q_by_offset_w, flat_w_shape)
  begin_w = Sub (columns, one)
  twice_w = Mul (columns, two)
  short_row_w = Sub (twice_w, one)
  length_w = Mul (columns, short_row_w)
  end_w = Add (begin_w, length_w)
  tail_w = Slice (flat_w, begin_w, end_w, three)
  skewed_w_shape = Concat <axis = 0> (zero, head_count, cells, short_row_w)
  skewed_w = Reshape (tail_w, skewed_w_shape)
  by_column = Slice (skewed_w, zero, columns, three)

  # Rows: the window moves with i only, so what gets one element shorter is a line of W queries; Pad restores its end.
  q_by_offset_h = MatMul (q_scaled, table_h_t)
  flat_h_shape = Concat <axis = 0> (zero, head_count, minus_one)
  flat_h = Reshape (q_by_offset_h, flat_h_shape)
  begin_h = Sub (rows, one)
  twice_h = Mul (rows, two)
  line_h = Mul (columns, twice_h)
  short_line_h = Sub (line_h, one)
  length_h = Mul (rows, short_line_h)
  end_h = Add (begin_h, length_h)
  tail_h = Slice (flat_h, begin_h, end_h, two)
  short_lines_shape = Concat <axis = 0> (zero, head_count, rows, short_line_h)
  short_lines = Reshape (tail_h, short_lines_shape)
  line_end = Constant <value = int64[8] {0, 0, 0, 0, 0, 0, 0, 1}> ()
  lines = Pad (short_lines, line_end)
  skewed_h_shape = Concat <axis = 0> (zero, head_count, cells, twice_h)
  skewed_h = Reshape (lines, skewed_h_shape)
  by_row = Slice (skewed_h, zero, rows, three)

  # One-hot rows: key (m,n) has a one at row m and at column n.
  column_grid_shape = Concat <axis = 0> (columns, rows, columns)
  column_eye_shape = Concat <axis = 0> (columns, columns)
  column_blank = ConstantOfShape <value = float[1] {0.0}> (column_eye_shape)
  column_eye = EyeLike (column_blank)
  column_eye_3d = Unsqueeze (column_eye, one)
  column_grid = Expand (column_eye_3d, column_grid_shape)
  column_hot_shape = Concat <axis = 0> (columns, cells)
  column_hot = Reshape (column_grid, column_hot_shape)
  row_grid_shape = Concat <axis = 0> (rows, rows, columns)
  row_eye_shape = Concat <axis = 0> (rows, rows)
  row_blank = ConstantOfShape <value = float[1] {0.0}> (row_eye_shape)
  row_eye = EyeLike (row_blank)
  row_eye_3d = Unsqueeze (row_eye, two)
  row_grid = Expand (row_eye_3d, row_grid_shape)
  row_hot_shape = Concat <axis = 0> (rows, cells)
  row_hot = Reshape (row_grid, row_hot_shape)
  hot_float = Concat <axis = 0> (column_hot, row_hot)
  hot = CastLike (hot_float, q)
  hot_channels = Add (rows, columns)
  number = Shape <start = 0, end = 1> (q)
  hot_shape = Concat <axis = 0> (number, head_count, hot_channels, cells)
  hot_keys = Expand (hot, hot_shape)

  queries = Concat <axis = 3> (q_scaled, by_column, by_row)
  keys = Concat <axis = 2> (k_split, hot_keys)
  logits = MatMul (queries, keys)
  logits_float = Cast <to = 1> (logits)
  weights_float = Softmax <axis = -1> (logits_float)
  weights = CastLike (weights_float, q)
  # v weights^T keeps the channels first, so that the result needs no transpose.
  weights_t = Transpose <perm = [0, 1, 3, 2]> (weights)
  mixed = MatMul (v_split, weights_t)
  out_shape = Concat <axis = 0> (zero, minus_one, rows, columns)
  out = Reshape (mixed, out_shape)
}
"""
