// SPDX-License-Identifier: Apache-2.0
// Device functions of Nms: the order of scores, and overlaps.
#pragma once

#include "../common/portability.h"
#include "workspace.h"

namespace gcpose {
namespace nms {

// Returns a number that is larger for the better of two candidates: higher score, then lower index; 0 for no candidate.
// NaN is not above any threshold. Both zeros are one score, as they compare equal.
__device__ __forceinline__ uint64_t sortKey(float score, float threshold, int32_t index)
{
    if (!(score > threshold)) {
        return 0;
    }
    const float value = score == 0.0F ? 0.0F : score;
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    bits = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
    return static_cast<uint64_t>(bits) << 32 | (0xFFFFFFFFU - static_cast<uint32_t>(index));
}

__device__ __forceinline__ int32_t indexOfKey(uint64_t key)
{
    return static_cast<int32_t>(0xFFFFFFFFU - static_cast<uint32_t>(key));
}

// A product that the compiler does not fuse with a later sum: the overlaps then round as the reference's do.
__device__ __forceinline__ float product(float a, float b)
{
#ifdef __CUDA_ARCH__
    return __fmul_rn(a, b);
#else
    return a * b;
#endif
}

// Returns max(value, 0), NaN for NaN.
__device__ __forceinline__ float notNegative(float value)
{
    return value < 0.0F ? 0.0F : value;
}

__device__ __forceinline__ float areaOf(const Box& box)
{
    return product(notNegative(box.x1 - box.x0), notNegative(box.y1 - box.y0));
}

// Whether intersection over union is greater than `threshold`; a NaN coordinate makes the area NaN, and the answer that
// of an empty union: 0.
__device__ __forceinline__ bool overlap(const Box& a, float area_a, const Box& b, float area_b, float threshold)
{
    const float width = notNegative(fminf(a.x1, b.x1) - fmaxf(a.x0, b.x0));
    const float height = notNegative(fminf(a.y1, b.y1) - fmaxf(a.y0, b.y0));
    const float shared = product(width, height);
    const float united = area_a + area_b - shared;
    const float ratio = united > 0.0F ? shared / fmaxf(united, 1e-12F) : 0.0F;
    return ratio > threshold;
}

}  // namespace nms
}  // namespace gcpose
