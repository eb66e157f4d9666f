"""`gcpose::KeypointDecode`: from keypoint logits to coordinates and scores.

Inputs: logits (N,K,S,S) float32 or float16, N at least 1; boxes float32 (N,4) xyxy, the enlarged boxes that the maps
cover. All arithmetic is float32.
Output: keypoints float32 (N,K,3): x, y in the boxes' pixels, and the score.
Attributes: samples_per_cell int, of the first step; score_radius float, 0: the score is the softmax peak, else the
probability within so many cells of the joint.

The logits are resized bicubically (a = -0.75, borders repeated) to the whole pixels of the box; the largest pixel is
the joint. As in `gcpose_trt.model.ops.keypoint_decode` this takes two steps: every n-th pixel, at most
samples_per_cell a cell, then
all pixels around the best. Both are products with (pixels x cells) matrices of interpolation weights.
"""

from __future__ import annotations

_HEAD = """
<opset_import: ["" : 18], domain: "gcpose">
KeypointDecode <samples_per_cell, score_radius> (raw_logits, boxes) => (keypoints)
{
  logits = Cast <to = 1> (raw_logits)
  axis_0 = Constant <value = int64[1] {0}> ()
  axis_1 = Constant <value = int64[1] {1}> ()
  axis_2 = Constant <value = int64[1] {2}> ()
  axis_3 = Constant <value = int64[1] {3}> ()
  axis_4 = Constant <value = int64[1] {4}> ()
  last_axis = Constant <value = int64[1] {-1}> ()
  zero = Constant <value = float {0.0}> ()
  half = Constant <value = float {0.5}> ()
  one = Constant <value = float {1.0}> ()
  two = Constant <value = float {2.0}> ()
  # Keys' kernel with a = -0.75: near = ((a+2)x - (a+3))x^2 + 1 up to x = 1, far = ((x-5)x + 8)ax - 4a from there to 2.
  near_cube = Constant <value = float {1.25}> ()
  near_square = Constant <value = float {2.25}> ()
  far_five = Constant <value = float {5.0}> ()
  far_eight = Constant <value = float {8.0}> ()
  far_slope = Constant <value = float {-0.75}> ()
  far_rest = Constant <value = float {3.0}> ()

  size_1d = Shape <start = 3, end = 4> (logits)
  size_int = Squeeze (size_1d)
  size = Cast <to = 1> (size_int)
  samples_per_cell_int = Constant <value_int: int = @samples_per_cell> ()
  samples_per_cell_float = Cast <to = 1> (samples_per_cell_int)
  most_coarse = Mul (size, samples_per_cell_float)
  first_cell = Neg (two)
  past_cell = Add (size, two)
  cell = Range (first_cell, past_cell, one)
  plain_cell = Range (zero, size, one)
  radius = Constant <value_float: float = @score_radius> ()
  reach = Add (radius, half)
  map_axes = Constant <value = int64[2] {2, 3}> ()
  pads = Constant <value = int64[8] {0, 0, 2, 2, 0, 0, 2, 2}> ()
  padded = Pad <mode = "edge"> (logits, pads)
"""

# One axis of the boxes, columns (x) or rows (y): (N,1) sizes, and the pixels (N,G) of the first step. Where a box has
# fewer pixels than others its outermost are repeated, here and below, which changes no maximum.
_AXIS = """
  start_{a} = Slice (boxes, axis_{first}, axis_{second}, axis_1)
  stop_{a} = Slice (boxes, axis_{third}, axis_{fourth}, axis_1)
  signed_{a} = Sub (stop_{a}, start_{a})
  extent_{a} = Max (signed_{a}, one)
  pixels_{a} = Ceil (extent_{a})
  cells_per_pixel_{a} = Div (size, pixels_{a})
  stride_exact_{a} = Div (pixels_{a}, most_coarse)
  stride_{a} = Ceil (stride_exact_{a})
  samples_exact_{a} = Div (pixels_{a}, stride_{a})
  samples_{a} = Ceil (samples_exact_{a})
  most_samples_{a} = ReduceMax <keepdims = 0> (samples_{a})
  last_sample_{a} = Sub (samples_{a}, one)
  counter_{a} = Range (zero, most_samples_{a}, one)
  sample_{a} = Min (counter_{a}, last_sample_{a})
  coarse_{a} = Mul (sample_{a}, stride_{a})
"""

# Weights (..., P, S + 4) of the padded cells at the pixels (..., P).
_WEIGHTS = """
  {p}_centre = Add ({pixel}, half)
  {p}_scaled = Mul ({p}_centre, {cells_per_pixel})
  {p}_shifted = Sub ({p}_scaled, half)
  {p}_position = Unsqueeze ({p}_shifted, last_axis)
  {p}_signed = Sub ({p}_position, cell)
  {p}_distance = Abs ({p}_signed)
  {p}_x = Min ({p}_distance, two)
  {p}_near_1 = Mul ({p}_x, near_cube)
  {p}_near_2 = Sub ({p}_near_1, near_square)
  {p}_square = Mul ({p}_x, {p}_x)
  {p}_near_3 = Mul ({p}_near_2, {p}_square)
  {p}_near = Add ({p}_near_3, one)
  {p}_far_1 = Sub ({p}_x, far_five)
  {p}_far_2 = Mul ({p}_far_1, {p}_x)
  {p}_far_3 = Add ({p}_far_2, far_eight)
  {p}_slope = Mul ({p}_x, far_slope)
  {p}_far_4 = Mul ({p}_far_3, {p}_slope)
  {p}_far = Add ({p}_far_4, far_rest)
  {p}_is_near = LessOrEqual ({p}_x, one)
  {p}_weights = Where ({p}_is_near, {p}_near, {p}_far)
"""

# The resized maps at rows x columns and the first largest entry of each: its row, then its column. (One ArgMax over the
# flat map would say the same, but ReduceMax is vectorised in ONNX Runtime and ArgMax is not.)
_SEARCH = """
  {s}_columns_t = Transpose <perm = [0, 1, 3, 2]> ({column_weights})
  {s}_half_way = MatMul (padded, {s}_columns_t)
  {s}_resized = MatMul ({row_weights}, {s}_half_way)
  {s}_row_peaks = ReduceMax <keepdims = 0> ({s}_resized, axis_3)
  {s}_row = ArgMax <axis = 2> ({s}_row_peaks)
  {s}_best_row = GatherND <batch_dims = 2> ({s}_resized, {s}_row)
  {s}_column = ArgMax <axis = 2> ({s}_best_row)
"""

# The pixels (N,K,M) closer than a stride to the coarse peak.
_FINE = """
  found_{a}_flat = Squeeze (coarse_{found}, axis_2)
  found_{a}_pixel = GatherElements <axis = 1> (coarse_{a}, found_{a}_flat)
  found_{a} = Unsqueeze (found_{a}_pixel, axis_2)
  most_stride_{a} = ReduceMax <keepdims = 0> (stride_{a})
  first_offset_{a} = Sub (one, most_stride_{a})
  offset_{a} = Range (first_offset_{a}, most_stride_{a}, one)
  reach_{a} = Sub (stride_{a}, one)
  reach_back_{a} = Neg (reach_{a})
  raised_{a} = Max (offset_{a}, reach_back_{a})
  own_offset_{a} = Min (raised_{a}, reach_{a})
  own_offset_{a}_3d = Unsqueeze (own_offset_{a}, axis_1)
  free_{a} = Add (found_{a}, own_offset_{a}_3d)
  last_pixel_{a} = Sub (pixels_{a}, one)
  last_pixel_{a}_3d = Unsqueeze (last_pixel_{a}, axis_1)
  from_first_{a} = Max (free_{a}, zero)
  fine_{a} = Min (from_first_{a}, last_pixel_{a}_3d)
  cells_per_pixel_{a}_3d = Unsqueeze (cells_per_pixel_{a}, axis_1)
"""

_PLACE = """
  peak_{a}_pixel = GatherElements <axis = 2> (fine_{a}, fine_{found})
  peak_{a}_centre = Add (peak_{a}_pixel, half)
  pixel_size_{a} = Div (extent_{a}, pixels_{a})
  pixel_size_{a}_3d = Unsqueeze (pixel_size_{a}, axis_1)
  peak_{a}_offset = Mul (peak_{a}_centre, pixel_size_{a}_3d)
  start_{a}_3d = Unsqueeze (start_{a}, axis_1)
  peak_{a} = Add (start_{a}_3d, peak_{a}_offset)
"""

# The part of each cell that is within the radius of the joint, (N,K,S).
_NEAR = """
  joint_{a}_scaled = Mul (peak_{a}_centre, cells_per_pixel_{a}_3d)
  joint_{a} = Sub (joint_{a}_scaled, half)
  apart_{a} = Sub (joint_{a}, plain_cell)
  distance_{a} = Abs (apart_{a})
  within_{a} = Sub (reach, distance_{a})
  near_{a} = Clip (within_{a}, zero, one)
"""

_TAIL = """
  peak = GatherElements <axis = 2> (fine_best_row, fine_column)
  peak_4d = Unsqueeze (peak, axis_3)
  below_peak = Sub (logits, peak_4d)
  exponential = Exp (below_peak)
  total_4d = ReduceSum (exponential, map_axes)
  near_column = Unsqueeze (near_x, axis_3)
  near_row = Unsqueeze (near_y, axis_2)
  near_columns = MatMul (exponential, near_column)
  near_mass = MatMul (near_row, near_columns)
  by_mass = Greater (radius, zero)
  counted = Where (by_mass, near_mass, one)
  score_4d = Div (counted, total_4d)
  score = Squeeze (score_4d, axis_3)
  keypoints = Concat <axis = 2> (peak_x, peak_y, score)
}
"""


def _weights(stage: str, axis: str, suffix: str) -> str:
    return _WEIGHTS.format(
        p=f"{stage}_{axis}", pixel=f"{stage}_{axis}", cells_per_pixel=f"cells_per_pixel_{axis}{suffix}"
    )


def _body() -> str:
    axes = _AXIS.format(a="x", first=0, second=1, third=2, fourth=3)
    axes += _AXIS.format(a="y", first=1, second=2, third=3, fourth=4)
    coarse = _weights("coarse", "x", "") + _weights("coarse", "y", "")
    coarse += "  coarse_x_maps = Unsqueeze (coarse_x_weights, axis_1)\n"
    coarse += "  coarse_y_maps = Unsqueeze (coarse_y_weights, axis_1)\n"
    coarse += _SEARCH.format(s="coarse", row_weights="coarse_y_maps", column_weights="coarse_x_maps")
    fine = _FINE.format(a="x", found="column") + _FINE.format(a="y", found="row")
    fine += _weights("fine", "x", "_3d") + _weights("fine", "y", "_3d")
    fine += _SEARCH.format(s="fine", row_weights="fine_y_weights", column_weights="fine_x_weights")
    place = _PLACE.format(a="x", found="column") + _PLACE.format(a="y", found="row")
    near = _NEAR.format(a="x") + _NEAR.format(a="y")
    return _HEAD + axes + coarse + fine + place + near + _TAIL


BODY = _body()
