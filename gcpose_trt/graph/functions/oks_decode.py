"""`gcpose::OksDecode`: from keypoint logits to the places of highest expected similarity, and that similarity.

Inputs: logits (N,K,S,S) float32 or float16, N at least 1; boxes float32 (N,4) xyxy, the enlarged boxes that the maps
cover; S at least 3. All arithmetic is float32.
Output: keypoints float32 (N,K,3): x, y in the boxes' pixels, and the score.
Attribute: spread floats, one a joint, the deviation of the similarity's kernel in parts of the root of a box's area.

See `gcpose_trt.model.ops.oks_decode`. No plugin serves this node: for TensorRT its body takes its place.
"""

from __future__ import annotations

_HEAD = """
<opset_import: ["" : 18], domain: "gcpose">
OksDecode <spread> (raw_logits, boxes) => (keypoints)
{
  logits = Cast <to = 1> (raw_logits)
  axis_0 = Constant <value = int64[1] {0}> ()
  axis_1 = Constant <value = int64[1] {1}> ()
  axis_2 = Constant <value = int64[1] {2}> ()
  axis_3 = Constant <value = int64[1] {3}> ()
  axis_4 = Constant <value = int64[1] {4}> ()
  last_axis = Constant <value = int64[1] {-1}> ()
  last_axes = Constant <value = int64[2] {-2, -1}> ()
  map_axes = Constant <value = int64[2] {2, 3}> ()
  one_int = Constant <value = int64 {1}> ()
  zero = Constant <value = float {0.0}> ()
  half = Constant <value = float {0.5}> ()
  minus_half = Constant <value = float {-0.5}> ()
  one = Constant <value = float {1.0}> ()
  two = Constant <value = float {2.0}> ()
  floor = Constant <value = float {1e-20}> ()
  flattest = Constant <value = float {1e-6}> ()

  size_1d = Shape <start = 3, end = 4> (logits)
  size_int = Squeeze (size_1d)
  size = Cast <to = 1> (size_int)
  counter = Range (zero, size, one)
  centre = Add (counter, half)
  cell = Div (centre, size)
  cell_column = Unsqueeze (cell, last_axis)
  apart = Sub (cell_column, cell)
  squared_apart = Mul (apart, apart)

  corner = Slice (boxes, axis_0, axis_2, axis_1)
  opposite = Slice (boxes, axis_2, axis_4, axis_1)
  signed_side = Sub (opposite, corner)
  side = Max (signed_side, one)
  width = Slice (side, axis_0, axis_1, axis_1)
  height = Slice (side, axis_1, axis_2, axis_1)
  area = Mul (width, height)
  root = Sqrt (area)
  spread_parts = Constant <value_floats: floats = @spread> ()
  deviation = Mul (root, spread_parts)

  peak_logit = ReduceMax <keepdims = 1> (logits, map_axes)
  below_peak = Sub (logits, peak_logit)
  mass = Exp (below_peak)
  total = ReduceSum <keepdims = 0> (mass, map_axes)
"""

# The kernel between all cells of one axis, (N,K,S,S).
_KERNEL = """
  side_{a} = Slice (side, axis_{first}, axis_{second}, axis_1)
  ratio_{a} = Div (side_{a}, deviation)
  squared_ratio_{a} = Mul (ratio_{a}, ratio_{a})
  precision_{a} = Mul (squared_ratio_{a}, minus_half)
  precision_{a}_4d = Unsqueeze (precision_{a}, last_axes)
  exponent_{a} = Mul (precision_{a}_4d, squared_apart)
  kernel_{a} = Exp (exponent_{a})
"""

# Row and column of the first largest cell, and the cells through which the parabolas go: at a border the three next to
# it. (One ArgMax over the flat map would say the same, but ReduceMax is vectorised in ONNX Runtime and ArgMax is not.)
_PEAK = """
  half_way = MatMul (mass, kernel_x)
  blurred = MatMul (kernel_y, half_way)
  row_peaks = ReduceMax <keepdims = 0> (blurred, axis_3)
  row = ArgMax <axis = 2> (row_peaks)
  best_row = GatherND <batch_dims = 2> (blurred, row)
  column = ArgMax <axis = 2> (best_row)
  last_cell_int = Sub (size_int, one_int)
  last_middle = Sub (last_cell_int, one_int)
  row_from_first = Max (row, one_int)
  row_middle = Min (row_from_first, last_middle)
  row_below = Sub (row_middle, one_int)
  row_above = Add (row_middle, one_int)
  column_from_first = Max (column, one_int)
  column_middle = Min (column_from_first, last_middle)
  column_below = Sub (column_middle, one_int)
  column_above = Add (column_middle, one_int)
  lower_row = GatherND <batch_dims = 2> (blurred, row_below)
  middle_row = GatherND <batch_dims = 2> (blurred, row_middle)
  upper_row = GatherND <batch_dims = 2> (blurred, row_above)
  peak = GatherElements <axis = 2> (best_row, column)
  low_x = GatherElements <axis = 2> (best_row, column_below)
  centre_x = GatherElements <axis = 2> (best_row, column_middle)
  high_x = GatherElements <axis = 2> (best_row, column_above)
  low_y = GatherElements <axis = 2> (lower_row, column)
  centre_y = GatherElements <axis = 2> (middle_row, column)
  high_y = GatherElements <axis = 2> (upper_row, column)
  total_3d = Unsqueeze (total, axis_2)
  score = Div (peak, total_3d)
  last_cell = Cast <to = 1> (last_cell_int)
"""

# From the three cells' logarithms to the place along one axis.
_PLACE = """
  low_{a}_part = Div (low_{a}, total_3d)
  low_{a}_raised = Add (low_{a}_part, floor)
  low_{a}_log = Log (low_{a}_raised)
  centre_{a}_part = Div (centre_{a}, total_3d)
  centre_{a}_raised = Add (centre_{a}_part, floor)
  centre_{a}_log = Log (centre_{a}_raised)
  high_{a}_part = Div (high_{a}, total_3d)
  high_{a}_raised = Add (high_{a}_part, floor)
  high_{a}_log = Log (high_{a}_raised)
  twice_centre_{a} = Mul (centre_{a}_log, two)
  rest_{a} = Sub (twice_centre_{a}, low_{a}_log)
  bend_{a} = Sub (rest_{a}, high_{a}_log)
  curvature_{a} = Max (bend_{a}, flattest)
  slope_{a} = Sub (high_{a}_log, low_{a}_log)
  half_slope_{a} = Mul (slope_{a}, half)
  offset_{a} = Div (half_slope_{a}, curvature_{a})
  middle_{a} = Cast <to = 1> ({index}_middle)
  free_{a} = Add (middle_{a}, offset_{a})
  index_{a} = Cast <to = 1> ({index})
  least_free_{a} = Sub (index_{a}, half)
  least_{a} = Max (least_free_{a}, zero)
  most_free_{a} = Add (index_{a}, half)
  most_{a} = Min (most_free_{a}, last_cell)
  from_least_{a} = Max (free_{a}, least_{a})
  within_{a} = Min (from_least_{a}, most_{a})
  place_{a} = Add (within_{a}, half)
  part_{a} = Div (place_{a}, size)
  side_{a}_3d = Unsqueeze (side_{a}, axis_1)
  way_{a} = Mul (part_{a}, side_{a}_3d)
  corner_{a} = Slice (corner, axis_{first}, axis_{second}, axis_1)
  corner_{a}_3d = Unsqueeze (corner_{a}, axis_1)
  joint_{a} = Add (corner_{a}_3d, way_{a})
"""

_TAIL = """
  keypoints = Concat <axis = 2> (joint_x, joint_y, score)
}
"""


def _body() -> str:
    kernels = _KERNEL.format(a="x", first=0, second=1) + _KERNEL.format(a="y", first=1, second=2)
    places = _PLACE.format(a="x", first=0, second=1, index="column")
    places += _PLACE.format(a="y", first=1, second=2, index="row")
    return _HEAD + kernels + _PEAK + places + _TAIL


BODY = _body()
