// SPDX-License-Identifier: Apache-2.0
// Features and logits as float, in float32 or half.
#pragma once

#include "portability.h"

namespace gcpose {

__device__ __forceinline__ float toFloat(float value)
{
    return value;
}

__device__ __forceinline__ float toFloat(__half value)
{
    return __half2float(value);
}

__device__ __forceinline__ void fromFloat(float value, float& out)
{
    out = value;
}

__device__ __forceinline__ void fromFloat(float value, __half& out)
{
    out = __float2half(value);
}

constexpr int32_t kVector = 8;  // channels moved at once in the channels-last layout

template <typename T>
struct alignas(16) Vector8 {
    T values[kVector];
};

// Reads eight values through the read-only cache; `address` is aligned to 16 bytes.
template <typename T>
__device__ __forceinline__ Vector8<T> load8(const T* address)
{
    constexpr int32_t kWords = static_cast<int32_t>(sizeof(Vector8<T>) / sizeof(uint4));
    union Words {
        uint4 words[kWords];
        Vector8<T> vector;
        __device__ Words() {}
    } both;
    const uint4* source = reinterpret_cast<const uint4*>(address);
#pragma unroll
    for (int32_t i = 0; i < kWords; ++i) {
        both.words[i] = __ldg(source + i);
    }
    return both.vector;
}

}  // namespace gcpose
