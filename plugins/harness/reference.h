// SPDX-License-Identifier: Apache-2.0
// The four operations written as plainly as they are defined, in double precision.

#pragma once

#include "harness/tensor.h"

#include <vector>

namespace harness
{

struct RoiAlignOptions
{
    int64_t outputSize;
    std::vector<int64_t> strides;
    int64_t samplingRatio;
    bool aligned;
    int64_t canonicalLevel;
    double canonicalSize;
};
/// Inputs: rois, batch_index, features.
Values referenceRoiAlign(const std::vector<Values>& inputs, const RoiAlignOptions& options);

/// Inputs: q, k, v, rel_height, rel_width.
Values referenceAttention(const std::vector<Values>& inputs, int64_t heads);

/// Inputs: boxes, scores, groups. Outputs: indices, count.
std::vector<Values> referenceNms(
    const std::vector<Values>& inputs, double iouThreshold, double scoreThreshold, int64_t maxOutputs);

/// Inputs: logits, boxes. Resizes every map to all pixels of its box, as the definition says.
Values referenceDecode(const std::vector<Values>& inputs, double scoreRadius);

}  // namespace harness
