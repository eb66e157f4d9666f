"""`gcpose::Nms`: greedy non-maximum suppression, batched, padded to a fixed number of outputs.

Inputs: boxes float32 (B,N,4) xyxy; scores float32 (B,N); groups int64 (N,), small numbers from 0.
Outputs: indices int64 (B,max_outputs), best first, padded with 0; count int64 (B,).
Attributes: iou_threshold float, score_threshold float, max_outputs int.

The groups are NonMaxSuppression's classes, with every score outside a group below any threshold. Moving each group's
boxes apart, as is often done, would round their corners and would also compare boxes that never suppress each other.
Scores that are kept must be greater than -3.4e38.
"""

from __future__ import annotations

BODY = """
<opset_import: ["" : 18], domain: "gcpose">
Nms <iou_threshold, score_threshold, max_outputs> (boxes, scores, groups) => (indices, count)
{
  limit = Constant <value_int: int = @max_outputs> ()
  least_iou = Constant <value_float: float = @iou_threshold> ()
  least_score = Constant <value_float: float = @score_threshold> ()
  zero = Constant <value = int64 {0}> ()
  one = Constant <value = int64 {1}> ()
  axis_0 = Constant <value = int64[1] {0}> ()
  axis_1 = Constant <value = int64[1] {1}> ()
  never = Constant <value = float {-3.4028234663852886e38}> ()

  last_group = ReduceMax <keepdims = 0> (groups, axis_0)
  number_of_groups = Add (last_group, one)
  group = Range (zero, number_of_groups, one)
  group_column = Unsqueeze (group, axis_1)
  member = Equal (group_column, groups)
  scores_by_group = Unsqueeze (scores, axis_1)
  masked = Where (member, scores_by_group, never)
  selected = NonMaxSuppression (boxes, masked, limit, least_iou, least_score)

  # Back to one list an image, best first: kept scores on a blank row, the rest of it below them, then TopK,
  # which breaks ties by the lower index. The row is longer by max_outputs, for there may be fewer boxes than that.
  row_and_box_columns = Constant <value = int64[2] {0, 2}> ()
  row_and_box = Gather <axis = 1> (selected, row_and_box_columns)
  kept_scores = GatherND (scores, row_and_box)
  limit_1d = Unsqueeze (limit, axis_0)
  batch_size = Shape <start = 0, end = 1> (scores)
  box_count = Shape <start = 1, end = 2> (scores)
  row_length = Add (box_count, limit_1d)
  blank_shape = Concat <axis = 0> (batch_size, row_length)
  blank = Expand (never, blank_shape)
  rows = ScatterND (blank, row_and_box, kept_scores)
  best, order = TopK <axis = 1, largest = 1, sorted = 1> (rows, limit_1d)
  kept = Greater (best, never)
  indices = Where (kept, order, zero)
  kept_int = Cast <to = 7> (kept)
  count = ReduceSum <keepdims = 0> (kept_int, axis_1)
}
"""
