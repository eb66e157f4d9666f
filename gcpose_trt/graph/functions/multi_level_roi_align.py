"""`gcpose::MultiLevelRoiAlign`: every RoI pooled from the one feature level that suits its size.

Inputs: rois float32 (N,4) xyxy in input pixels; batch_index int64 (N,); feature_0.. (B,C,Hl,Wl), all float32 or all
float16. Output: pooled (N,C,S,S) of the features' type. Coordinates and sums are float32 either way.
Attributes: output_size int (S); strides ints, one a feature; sampling_ratio int (0: adaptive); aligned int;
canonical_level int; canonical_size float.

The level is FPN's: floor(canonical_level + log2(sqrt(area) / canonical_size + 1e-8)), clamped to the levels given.
"""

from __future__ import annotations

_HEAD = """
<opset_import: ["" : 18], domain: "gcpose">
MultiLevelRoiAlign <output_size, strides, sampling_ratio, aligned, canonical_level, canonical_size>
  (rois, batch_index, {features}) => (pooled)
{{
  minus_one = Constant <value = int64[1] {{-1}}> ()
  zero = Constant <value = int64[1] {{0}}> ()
  one = Constant <value = int64[1] {{1}}> ()
  two = Constant <value = int64[1] {{2}}> ()
  four = Constant <value = int64[1] {{4}}> ()
  half = Constant <value = float {{0.5}}> ()
  one_cell = Constant <value = float {{1.0}}> ()
  stride_ints = Constant <value_ints: ints = @strides> ()
  stride = Cast <to = 1> (stride_ints)
  aligned_int = Constant <value_int: int = @aligned> ()
  is_aligned = Cast <to = 9> (aligned_int)
  aligned_float = Cast <to = 1> (aligned_int)
  # RoiAlign always runs as "half_pixel"; without alignment its shift is undone and sides below one cell are widened.
  unaligned = Sub (one_cell, aligned_float)
  shift = Mul (unaligned, half)
  top_left = Slice (rois, zero, two, one)
  bottom_right = Slice (rois, two, four, one)
"""

# The scale is applied here and not by RoiAlign's spatial_scale: a float attribute cannot refer to an int one.
_LEVEL = """
  at_level_{i} = Constant <value = int64[1] {{{i}}}> ()
  stride_{i} = Gather (stride, at_level_{i})
  begin_{i} = Div ({begin}, stride_{i})
  end_{i} = Div ({end}, stride_{i})
  least_{i} = Add (begin_{i}, one_cell)
  widened_{i} = Max (end_{i}, least_{i})
  chosen_end_{i} = Where (is_aligned, end_{i}, widened_{i})
  corners_{i} = Concat <axis = 1> (begin_{i}, chosen_end_{i})
  scaled_{i} = Add (corners_{i}, shift)
  float_feature_{i} = Cast <to = 1> (feature_{i})
  {result} = RoiAlign <mode = "avg", coordinate_transformation_mode = "half_pixel", spatial_scale = 1.0,
    output_height: int = @output_size, output_width: int = @output_size, sampling_ratio: int = @sampling_ratio>
    (float_feature_{i}, scaled_{i}, {batch})
"""

# floor(c + log2(r)) >= l is r >= 2^(l - c) = stride / 2^c: the comparison is exact where log2 would round.
_ASSIGN = """
  canonical_int = Constant <value_int: int = @canonical_level> ()
  canonical = Cast <to = 1> (canonical_int)
  canonical_side = Constant <value_float: float = @canonical_size> ()
  base = Constant <value = float {2.0}> ()
  tiny = Constant <value = float {1e-8}> ()
  extent = Sub (bottom_right, top_left)
  width = Slice (extent, zero, one, one)
  height = Slice (extent, one, two, one)
  area = Mul (width, height)
  side = Sqrt (area)
  relative_side = Div (side, canonical_side)
  ratio = Add (relative_side, tiny)
  canonical_stride = Pow (base, canonical)
  all_thresholds = Div (stride, canonical_stride)
  past_last = Constant <value = int64[1] {2147483647}> ()
  thresholds = Slice (all_thresholds, one, past_last, zero)
  reached = GreaterOrEqual (ratio, thresholds)
  reached_int = Cast <to = 7> (reached)
  level = ReduceSum <keepdims = 0> (reached_int, one)
"""

# Only a level's own RoIs are pooled from it; NonZero and Gather pick them, and an empty pick is fine.
_PICK = """
  number_{i} = Constant <value = int64 {{{i}}}> ()
  on_level_{i} = Equal (level, number_{i})
  found_{i} = NonZero (on_level_{i})
  members_{i} = Reshape (found_{i}, minus_one)
  top_left_{i} = Gather (top_left, members_{i})
  bottom_right_{i} = Gather (bottom_right, members_{i})
  batch_{i} = Gather (batch_index, members_{i})
"""

_JOIN = """
  order = Concat <axis = 0> ({members})
  gathered = Concat <axis = 0> ({parts})
  number_of_rois = Shape (batch_index)
  end_of_range = Squeeze (number_of_rois, zero)
  range_start = Constant <value = int64 {{0}}> ()
  range_step = Constant <value = int64 {{1}}> ()
  position = Range (range_start, end_of_range, range_step)
  inverse = ScatterElements <axis = 0> (order, order, position)
  in_order = Gather (gathered, inverse)
  pooled = CastLike (in_order, feature_0)
"""

# Without NonZero and with shapes that depend on the inputs' only: every level pools every RoI, those of other levels as
# an empty box at the origin, which has no samples, and each RoI takes its own level's result.
_MASK = """
  number_{i} = Constant <value = int64 {{{i}}}> ()
  on_level_{i} = Equal (level, number_{i})
  column_{i} = Unsqueeze (on_level_{i}, one)
  top_left_{i} = Where (column_{i}, top_left, nothing)
  bottom_right_{i} = Where (column_{i}, bottom_right, nothing)
"""

_CHOOSE = """
  map_{i} = Unsqueeze (on_level_{i}, map_axes)
  chosen_{i} = Where (map_{i}, pooled_{i}, {before})
"""


def body(levels: int) -> str:
    """Return the function in ONNX's text form for `levels` features."""
    head = _HEAD.format(features=", ".join(f"feature_{i}" for i in range(levels)))
    if levels == 1:
        only = _LEVEL.format(i=0, begin="top_left", end="bottom_right", batch="batch_index", result="only")
        return f"{head}{only}  pooled = CastLike (only, feature_0)\n}}"
    text = head + _ASSIGN
    for i in range(levels):
        text += _PICK.format(i=i)
        text += _LEVEL.format(
            i=i, begin=f"top_left_{i}", end=f"bottom_right_{i}", batch=f"batch_{i}", result=f"pooled_{i}"
        )
    members = ", ".join(f"members_{i}" for i in range(levels))
    parts = ", ".join(f"pooled_{i}" for i in range(levels))
    return text + _JOIN.format(members=members, parts=parts) + "}"


def static_body(levels: int) -> str:
    """Return `body` for parsers that want shapes known beforehand: more arithmetic, no NonZero."""
    if levels == 1:
        return body(1)
    text = _HEAD.format(features=", ".join(f"feature_{i}" for i in range(levels))) + _ASSIGN
    text += "  nothing = Constant <value = float {0.0}> ()\n"
    text += "  map_axes = Constant <value = int64[3] {1, 2, 3}> ()\n"
    for i in range(levels):
        text += _MASK.format(i=i)
        text += _LEVEL.format(
            i=i, begin=f"top_left_{i}", end=f"bottom_right_{i}", batch="batch_index", result=f"pooled_{i}"
        )
        text += _CHOOSE.format(i=i, before="nothing" if i == 0 else f"chosen_{i - 1}")
    return f"{text}  pooled = CastLike (chosen_{levels - 1}, feature_0)\n}}"
