// SPDX-License-Identifier: Apache-2.0
// IEEE half precision in integer arithmetic, rounding to nearest even as the GPU does.
#pragma once

#include <cstdint>
#include <cstring>

struct __half_raw {
    uint16_t x;
};

struct alignas(2) __half {
    uint16_t bits;
};

struct alignas(4) __half2 {
    __half x, y;
};

typedef __half half;
typedef __half2 half2;

inline float __half2float(__half value)
{
    const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000U) << 16;
    const uint32_t exponent = value.bits >> 10 & 0x1FU;
    const uint32_t mantissa = value.bits & 0x3FFU;
    uint32_t bits;
    if (exponent == 0x1FU) {
        bits = sign | 0x7F800000U | mantissa << 13;
    } else if (exponent != 0) {
        bits = sign | (exponent + 112U) << 23 | mantissa << 13;
    } else {
        const float small = static_cast<float>(mantissa) * 5.9604644775390625e-8F;  // 2^-24, exact
        std::memcpy(&bits, &small, sizeof(bits));
        bits |= sign;
    }
    float result;
    std::memcpy(&result, &bits, sizeof(result));
    return result;
}

inline __half __float2half(float value)
{
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    const uint32_t sign = bits >> 16 & 0x8000U;
    const uint32_t magnitude = bits & 0x7FFFFFFFU;
    uint32_t result;
    if (magnitude > 0x7F800000U) {
        result = 0x7FFFU;  // NaN; the GPU gives the same one
        return __half{static_cast<uint16_t>(result)};
    }
    if (magnitude >= 0x477FF000U) {
        result = 0x7C00U;  // 65520 and above round to infinity
    } else if (magnitude >= 0x38800000U) {
        const uint32_t rebased = magnitude - (112U << 23);
        result = (rebased + 0xFFFU + (rebased >> 13 & 1U)) >> 13;
    } else {
        // Below the smallest normal half, 2^-14: adding 0.5 rounds to multiples of 2^-24.
        float small;
        std::memcpy(&small, &magnitude, sizeof(small));
        small += 0.5F;
        uint32_t shifted;
        std::memcpy(&shifted, &small, sizeof(shifted));
        result = shifted - 0x3F000000U;
    }
    return __half{static_cast<uint16_t>(sign | result)};
}

inline __half __float2half_rn(float value) { return __float2half(value); }
inline float2 __half22float2(__half2 value) { return float2{__half2float(value.x), __half2float(value.y)}; }
inline __half2 __float22half2_rn(float2 value) { return __half2{__float2half(value.x), __float2half(value.y)}; }
inline __half2 __floats2half2_rn(float x, float y) { return __half2{__float2half(x), __float2half(y)}; }
inline __half2 __halves2half2(__half x, __half y) { return __half2{x, y}; }
inline float __low2float(__half2 value) { return __half2float(value.x); }
inline float __high2float(__half2 value) { return __half2float(value.y); }
inline unsigned short __half_as_ushort(__half value) { return value.bits; }
inline __half __ushort_as_half(unsigned short bits) { return __half{bits}; }
