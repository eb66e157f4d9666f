// SPDX-License-Identifier: Apache-2.0
// CUDA's device language for a C++17 compiler: what the kernels of this project use of it, and no more. Compile with
// -Wno-unknown-pragmas: `#pragma unroll` is nvcc's.
#pragma once

#include "fibers.h"
#include "shared_memory.h"

#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __constant__ static
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

struct alignas(8) float2 {
    float x, y;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(8) int2 {
    int x, y;
};
struct alignas(16) int4 {
    int x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct uchar3 {
    unsigned char x, y, z;
};
struct alignas(4) uchar4 {
    unsigned char x, y, z, w;
};

inline float2 make_float2(float x, float y) { return float2{x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }
inline int2 make_int2(int x, int y) { return int2{x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return int4{x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return uint2{x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return uint4{x, y, z, w}; }

#include "half.h"

inline void __syncthreads() { gcpose::shim::Block::current()->meetBlock(); }

inline void __syncwarp(unsigned mask = 0xFFFFFFFFU) { gcpose::shim::Block::current()->meetWarp(mask, 0); }

namespace gcpose {
namespace shim {

template <typename Value>
uint64_t toWord(Value value)
{
    static_assert(sizeof(Value) <= sizeof(uint64_t), "warp operations move at most 8 bytes");
    uint64_t word = 0;
    std::memcpy(&word, &value, sizeof(value));
    return word;
}

// The value of lane `source` in this lane's segment of `width` lanes, or its own where there is none.
template <typename Value>
Value shuffle(unsigned mask, Value value, int source, bool inside)
{
    Block& block = *Block::current();
    const uint64_t* words = block.meetWarp(mask, toWord(value));
    if (inside) {
        std::memcpy(&value, &words[source], sizeof(value));
    }
    return value;
}

inline int laneOf() { return static_cast<int>(Block::current()->lane()); }

}  // namespace shim
}  // namespace gcpose

template <typename Value>
Value __shfl_sync(unsigned mask, Value value, int source, int width = 32)
{
    const int lane = gcpose::shim::laneOf();
    return gcpose::shim::shuffle(mask, value, (lane & ~(width - 1)) + (source & (width - 1)), true);
}

template <typename Value>
Value __shfl_xor_sync(unsigned mask, Value value, int bits, int width = 32)
{
    const int lane = gcpose::shim::laneOf(), source = lane ^ bits;
    return gcpose::shim::shuffle(mask, value, source & 31, source / width <= lane / width);
}

template <typename Value>
Value __shfl_down_sync(unsigned mask, Value value, unsigned distance, int width = 32)
{
    const int lane = gcpose::shim::laneOf(), source = lane + static_cast<int>(distance);
    return gcpose::shim::shuffle(mask, value, source & 31, source / width == lane / width);
}

template <typename Value>
Value __shfl_up_sync(unsigned mask, Value value, unsigned distance, int width = 32)
{
    const int lane = gcpose::shim::laneOf(), source = lane - static_cast<int>(distance);
    return gcpose::shim::shuffle(mask, value, source & 31, source >= (lane & ~(width - 1)));
}

inline unsigned __ballot_sync(unsigned mask, bool condition)
{
    gcpose::shim::Block& block = *gcpose::shim::Block::current();
    const unsigned taking_part = mask & block.aliveLanes();
    const uint64_t* words = block.meetWarp(mask, condition ? 1 : 0);
    unsigned result = 0;
    for (unsigned lane = 0; lane < gcpose::shim::kWarp; ++lane) {
        if ((taking_part >> lane & 1U) != 0 && words[lane] != 0) {
            result |= 1U << lane;
        }
    }
    return result;
}

inline int __any_sync(unsigned mask, bool condition) { return __ballot_sync(mask, condition) != 0; }
inline int __all_sync(unsigned mask, bool condition) { return __ballot_sync(mask, !condition) == 0; }

// Threads change only where they wait, so plain reads and writes are atomic.
template <typename Value>
Value atomicAdd(Value* address, Value value)
{
    const Value old = *address;
    *address = old + value;
    return old;
}

template <typename Value>
Value atomicMax(Value* address, Value value)
{
    const Value old = *address;
    *address = old < value ? value : old;
    return old;
}

template <typename Value>
Value atomicMin(Value* address, Value value)
{
    const Value old = *address;
    *address = value < old ? value : old;
    return old;
}

template <typename Value>
Value atomicExch(Value* address, Value value)
{
    const Value old = *address;
    *address = value;
    return old;
}

template <typename Value>
Value atomicCAS(Value* address, Value expected, Value value)
{
    const Value old = *address;
    *address = old == expected ? value : old;
    return old;
}

inline void __threadfence() {}
inline void __threadfence_block() {}

template <typename Value>
Value __ldg(const Value* address)
{
    return *address;
}

inline int __popc(unsigned value) { return __builtin_popcount(value); }
inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
inline int __clz(int value) { return value == 0 ? 32 : __builtin_clz(static_cast<unsigned>(value)); }
inline int __ffs(int value) { return __builtin_ffs(value); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __expf(float value) { return std::exp(value); }
inline float rsqrtf(float value) { return 1.0F / std::sqrt(value); }

inline int __float_as_int(float value)
{
    int bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits;
}

inline unsigned __float_as_uint(float value) { return static_cast<unsigned>(__float_as_int(value)); }

inline float __int_as_float(int bits)
{
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
}

inline float __uint_as_float(unsigned bits) { return __int_as_float(static_cast<int>(bits)); }
