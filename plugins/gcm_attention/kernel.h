// SPDX-License-Identifier: Apache-2.0
// Attention with relative positions over the cells of a region; see README.md beside this file.
#pragma once

#include "../common/types.h"

namespace gcpose {

struct GcmAttentionParams {
    const void* q;           // (num, heads * dim, height, width)
    const void* k;           // (num, heads * dim, height, width)
    const void* v;           // (num, heads * value_dim, height, width)
    const void* rel_height;  // (2 * height - 1, dim)
    const void* rel_width;   // (2 * width - 1, dim)
    void* output;            // (num, heads * value_dim, height, width)
    int32_t num;
    int32_t heads;
    int32_t height;
    int32_t width;
    int32_t dim;        // channels of a head's queries and keys
    int32_t value_dim;  // channels of a head's values
    DataType type;      // of all tensors
};

/// Launches on `stream`. cudaErrorInvalidValue where the parameters are out of range.
cudaError_t launchGcmAttention(const GcmAttentionParams& params, cudaStream_t stream);

}  // namespace gcpose
