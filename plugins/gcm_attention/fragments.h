// SPDX-License-Identifier: Apache-2.0
// Warp-wide matrix instructions on 16-bit tiles, and copies into shared memory.
//
// Fragments are laid out as the PTX manual says for mma.m16n8k16 with 16-bit inputs. With g = lane / 4, t = lane % 4:
//   a (16 x 16): {row g, columns 2t 2t+1}, {row g + 8, same}, {row g, columns 2t + 8, 2t + 9}, {row g + 8, same}
//   b (16 x 8):  {rows 2t 2t+1, column g}, {rows 2t + 8, 2t + 9, column g}
//   c (16 x 8):  row g columns 2t, 2t + 1; row g + 8 columns 2t, 2t + 1
// On the CPU the same functions follow that table in plain C++, so that the kernel around them is the same one.
#pragma once

#include "../common/portability.h"

namespace gcpose {
namespace gcm {

// Several 16-bit numbers that one instruction moves.
template <int kNumber>
struct alignas(kNumber * 2) Halves {
    __half numbers[kNumber];
};

// Puts two numbers, rounded to 16 bits, into one register; `low` comes first in memory.
__device__ __forceinline__ uint32_t packHalves(__half low, __half high)
{
    uint16_t bits[2];
    memcpy(&bits[0], &low, sizeof(low));
    memcpy(&bits[1], &high, sizeof(high));
    return static_cast<uint32_t>(bits[1]) << 16 | bits[0];
}

__device__ __forceinline__ uint32_t packFloats(float low, float high)
{
    return packHalves(__float2half(low), __float2half(high));
}

#ifdef GCPOSE_CPU

inline void unpackHalves(uint32_t pair, float* values)
{
    const uint16_t bits[2] = {static_cast<uint16_t>(pair), static_cast<uint16_t>(pair >> 16)};
    for (int i = 0; i < 2; ++i) {
        __half value;
        memcpy(&value, &bits[i], sizeof(value));
        values[i] = __half2float(value);
    }
}

// Four 8 x 8 tiles from shared memory. `address(lane)` tells where row lane % 8 of tile lane / 8 begins.
template <bool kTransposed, class Address>
void loadTiles(uint32_t (&tiles)[4], int32_t lane, Address address)
{
    const int32_t g = lane / 4, t = lane % 4;
    for (int32_t tile = 0; tile < 4; ++tile) {
        const int32_t first = tile * 8;
        const __half low = kTransposed ? address(first + 2 * t)[g] : address(first + g)[2 * t];
        const __half high = kTransposed ? address(first + 2 * t + 1)[g] : address(first + g)[2 * t + 1];
        tiles[tile] = packHalves(low, high);
    }
}

// c += a b. The lanes see each other's fragments through one board a warp; two boards in turn, so that one barrier a
// product suffices.
inline void multiplyAdd(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    static thread_local float boards[32][2][32][12];
    static thread_local uint8_t turns[32][32];
    const int32_t warp = static_cast<int32_t>(threadIdx.x) / 32, lane = static_cast<int32_t>(threadIdx.x) % 32;
    auto& board = boards[warp][turns[warp][lane] ^= 1];
    for (int32_t i = 0; i < 4; ++i) {
        unpackHalves(a[i], board[lane] + 2 * i);
    }
    unpackHalves(b0, board[lane] + 8);
    unpackHalves(b1, board[lane] + 10);
    __syncwarp();
    const int32_t g = lane / 4, t = lane % 4;
    for (int32_t i = 0; i < 4; ++i) {
        const int32_t half_row = i / 2, column = 2 * t + i % 2;
        float sum = 0.0F;
        for (int32_t k = 0; k < 16; ++k) {
            const float* row_lane = board[g * 4 + k % 8 / 2];
            const float* column_lane = board[column * 4 + k % 8 / 2];
            sum += row_lane[(k / 8 * 2 + half_row) * 2 + k % 2] * column_lane[8 + k / 8 * 2 + k % 2];
        }
        c[i] += sum;
    }
}

template <int kVector>
void copyToShared(__half* target, const __half* source, bool valid)
{
    for (int32_t i = 0; i < kVector; ++i) {
        target[i] = valid ? source[i] : __float2half(0.0F);
    }
}

inline void endCopies() {}

template <int kLeft>
void waitForCopies()
{
}

#else  // CUDA

template <bool kTransposed, class Address>
__device__ __forceinline__ void loadTiles(uint32_t (&tiles)[4], int32_t lane, Address address)
{
#if __CUDA_ARCH__ >= 750
    const auto where = static_cast<uint32_t>(__cvta_generic_to_shared(address(lane)));
    if (kTransposed) {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                     : "r"(where)
                     : "memory");
    } else {
        asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                     : "=r"(tiles[0]), "=r"(tiles[1]), "=r"(tiles[2]), "=r"(tiles[3])
                     : "r"(where)
                     : "memory");
    }
#else
    __trap();  // the launch function takes the kernel without matrix instructions on such a GPU
#endif
}

__device__ __forceinline__ void multiplyAdd(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#elif __CUDA_ARCH__ >= 750
    // Turing multiplies 8 deep: the first two registers of `a`, then the other two.
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
#else
    __trap();
#endif
}

// Copies kVector numbers, zeros if not `valid`. From sm_80 on the copy goes on in the background until waitForCopies.
// `source` points to something readable in either case.
template <int kVector>
__device__ __forceinline__ void copyToShared(__half* target, const __half* source, bool valid)
{
#if __CUDA_ARCH__ >= 800
    if constexpr (kVector > 1) {
        const auto where = static_cast<uint32_t>(__cvta_generic_to_shared(target));
        const int32_t bytes = valid ? kVector * 2 : 0;
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
                     :
                     : "r"(where), "l"(__cvta_generic_to_global(source)), "n"(kVector * 2), "r"(bytes)
                     : "memory");
        return;
    }
#endif
    *reinterpret_cast<Halves<kVector>*>(target) =
        valid ? *reinterpret_cast<const Halves<kVector>*>(source) : Halves<kVector>{};
}

// Ends a group of background copies.
__device__ __forceinline__ void endCopies()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most the last kLeft groups of this thread are under way.
template <int kLeft>
__device__ __forceinline__ void waitForCopies()
{
#if __CUDA_ARCH__ >= 800
    asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
}

#endif

}  // namespace gcm
}  // namespace gcpose
