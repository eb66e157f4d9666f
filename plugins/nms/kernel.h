// SPDX-License-Identifier: Apache-2.0
// Greedy non-maximum suppression with a fixed number of padded outputs; see README.md beside this file.
#pragma once

#include "../common/types.h"

namespace gcpose {

struct NmsParams {
    const float* boxes;    // (batch, num_boxes, 4) x0, y0, x1, y1
    const float* scores;   // (batch, num_boxes)
    const void* groups;    // (num_boxes,); boxes of different groups never suppress each other
    int32_t index_bytes;   // 4 or 8, of groups, indices and count
    int32_t batch;
    int32_t num_boxes;
    int32_t max_outputs;
    float iou_threshold;    // a kept box suppresses those that overlap it by more
    float score_threshold;  // only boxes that score more take part
    void* indices;    // (batch, max_outputs) in falling score order, padded with 0
    void* count;      // (batch,) of the valid ones
    void* workspace;  // nmsWorkspaceBytes(batch, num_boxes, max_outputs), aligned to 256 bytes
};

size_t nmsWorkspaceBytes(int32_t batch, int32_t num_boxes, int32_t max_outputs);

/// Launches on `stream`. cudaErrorInvalidValue where the parameters are out of range.
cudaError_t launchNms(const NmsParams& params, cudaStream_t stream);

}  // namespace gcpose
