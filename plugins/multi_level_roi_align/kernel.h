// SPDX-License-Identifier: Apache-2.0
// Regions of several feature levels pooled to one size; see README.md beside this file.
#pragma once

#include "../common/types.h"

namespace gcpose {

constexpr int32_t kMostRoiLevels = 5;

struct MultiLevelRoiAlignParams {
    const void* features[kMostRoiLevels];  // (batch, channels, heights[l], widths[l]) in feature_layout
    int32_t heights[kMostRoiLevels];
    int32_t widths[kMostRoiLevels];
    int32_t strides[kMostRoiLevels];  // input pixels a cell, none smaller than the one before
    int32_t levels;                   // 1 .. kMostRoiLevels
    int32_t batch;
    int32_t channels;
    const float* rois;        // (num_rois, 4) x0, y0, x1, y1 in input pixels
    const void* batch_index;  // (num_rois,); a region of an image that does not exist pools to zeros
    int32_t index_bytes;      // 4 or 8, of each batch index
    int32_t num_rois;
    int32_t output_size;     // bins a side
    int32_t sampling_ratio;  // samples a bin and side; 0: ceil(side of the region in cells / output_size)
    int32_t aligned;         // 0 or 1: cell centres lie at half-integers
    int32_t canonical_level;
    float canonical_size;  // input pixels a side of the region that canonical_level is for
    DataType type;         // of features and output
    Layout feature_layout;
    Layout output_layout;
    void* output;  // (num_rois, channels, output_size, output_size) in output_layout; padding channels are zeros
};

/// Launches on `stream`. cudaErrorInvalidValue where the parameters contradict each other.
cudaError_t launchMultiLevelRoiAlign(const MultiLevelRoiAlignParams& params, cudaStream_t stream);

}  // namespace gcpose
