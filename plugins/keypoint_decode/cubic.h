// SPDX-License-Identifier: Apache-2.0
// Bicubic interpolation (Keys 1981, a = -0.75, as PyTorch and OpenCV) of a map with repeated borders.
#pragma once

#include "../common/portability.h"

namespace gcpose {
namespace decode {

constexpr float kCubicA = -0.75F;

// The four cells around a position: `cell - 1` .. `cell + 2`.
struct Taps {
    float weights[4];
    int32_t cell;
};

__device__ __forceinline__ float cubic(float distance)
{
    const float x = fabsf(distance);
    const float near = ((kCubicA + 2.0F) * x - (kCubicA + 3.0F)) * x * x + 1.0F;
    const float far = ((x - 5.0F) * x + 8.0F) * x * kCubicA - 4.0F * kCubicA;
    return x <= 1.0F ? near : (x < 2.0F ? far : 0.0F);
}

// Where pixel `pixel` of a box lies in its map; `step` is the number of cells a pixel. Not fused, so that the largest
// pixel is the reference's.
__device__ __forceinline__ float positionOf(float pixel, float step)
{
    return __fsub_rn(__fmul_rn(__fadd_rn(pixel, 0.5F), step), 0.5F);
}

__device__ __forceinline__ int32_t clampCell(int32_t cell, int32_t size)
{
    return cell < 0 ? 0 : (cell < size ? cell : size - 1);
}

__device__ __forceinline__ Taps makeTaps(float pixel, float step, int32_t size)
{
    float position = positionOf(pixel, step);
    // Always true for pixels of the box; rounding in giant boxes must not lead outside.
    position = fminf(fmaxf(position, -1.0F), static_cast<float>(size));
    const float cell = floorf(position);
    Taps taps;
    taps.cell = static_cast<int32_t>(cell);
#pragma unroll
    for (int32_t k = 0; k < 4; ++k) {
        taps.weights[k] = cubic(position - (cell + static_cast<float>(k - 1)));
    }
    return taps;
}

}  // namespace decode
}  // namespace gcpose
