// SPDX-License-Identifier: Apache-2.0
// Joint positions and scores from keypoint logits; see README.md beside this file.
#pragma once

#include "../common/types.h"

namespace gcpose {

constexpr int32_t kLargestKeypointMap = 128;

struct KeypointDecodeParams {
    const void* logits;  // (num, joints, size, size)
    DataType type;       // of the logits
    const float* boxes;  // (num, 4) x0, y0, x1, y1 that the maps cover
    int32_t num;
    int32_t joints;
    int32_t size;              // 1 .. kLargestKeypointMap
    int32_t samples_per_cell;  // of the first search
    float score_radius;        // in cells; 0: the score is the softmax at the peak
    float* output;             // (num, joints, 3) x, y, score
};

/// Launches on `stream`. cudaErrorInvalidValue where a parameter is out of range.
cudaError_t launchKeypointDecode(const KeypointDecodeParams& params, cudaStream_t stream);

}  // namespace gcpose
