// SPDX-License-Identifier: Apache-2.0
// Attention with ordinary arithmetic: FP32, FP16 on GPUs older than sm_75, and sizes that do not fit the fragments.
// 256 threads, 16 x 16: thread (x, y) has kRows queries from y * kRows on, and every 16th key and channel from x on.
#pragma once

#include "shape.h"

namespace gcpose {
namespace gcm {

constexpr int32_t kScalarThreads = 256;
constexpr int32_t kScalarSide = 16;
constexpr int32_t kScalarKeys = 32;      // keys at once
constexpr int32_t kScalarDepth = 32;     // channels of queries and keys at once
constexpr int32_t kScalarValues = 128;   // channels of the values a block
constexpr int32_t kScalarStride = kScalarKeys + 1;  // floats; odd, so that neighbouring channels are in other banks

template <int kRows>
struct ScalarTiles {
    static constexpr int32_t kQueries = kScalarSide * kRows;
    // First the queries and the keys, then the values; after them the weights, and then the relative terms.
    static constexpr int32_t kProductFloats = kScalarDepth * (kQueries + kScalarStride);
    static constexpr int32_t kValueFloats = kScalarValues * kScalarStride;
    static constexpr int32_t kBufferFloats = kProductFloats > kValueFloats ? kProductFloats : kValueFloats;
    static constexpr int32_t kWeightFloats = kQueries * kScalarStride;

    static constexpr int64_t sharedBytes(int64_t table_stride)
    {
        return 4 * (kBufferFloats + kWeightFloats + kQueries * table_stride);
    }
};

__device__ __forceinline__ float toFloat(float value)
{
    return value;
}

__device__ __forceinline__ float toFloat(__half value)
{
    return __half2float(value);
}

__device__ __forceinline__ void fromFloat(float& target, float value)
{
    target = value;
}

__device__ __forceinline__ void fromFloat(__half& target, float value)
{
    target = __float2half(value);
}

// Adds the products of the block's queries with 32 columns; `column(c, channel)` gives a column's number.
template <typename T, int kRows, class Column>
__device__ void multiplyColumns(float (&sums)[kRows][2], float* buffer, const T* q, int32_t first_query, Column column,
                                const Arguments& a)
{
    constexpr int32_t kQueries = ScalarTiles<kRows>::kQueries;
    float* queries = buffer;
    float* columns = buffer + kScalarDepth * kQueries;
    const int32_t thread = threadIdx.x, x = thread % kScalarSide, y = thread / kScalarSide;
    for (int32_t from = 0; from < a.dim; from += kScalarDepth) {
        __syncthreads();
        for (int32_t i = thread; i < kScalarDepth * kQueries; i += kScalarThreads) {
            const int32_t channel = from + i / kQueries, cell = first_query + i % kQueries;
            const bool present = channel < a.dim && cell < a.cells;
            queries[i] = present ? toFloat(q[static_cast<int64_t>(channel) * a.cells + cell]) : 0.0F;
        }
        for (int32_t i = thread; i < kScalarDepth * kScalarKeys; i += kScalarThreads) {
            const int32_t channel = i / kScalarKeys, c = i % kScalarKeys;
            columns[channel * kScalarStride + c] = from + channel < a.dim ? column(c, from + channel) : 0.0F;
        }
        __syncthreads();
#pragma unroll 8
        for (int32_t channel = 0; channel < kScalarDepth; ++channel) {
            const float low = columns[channel * kScalarStride + x];
            const float high = columns[channel * kScalarStride + x + kScalarSide];
#pragma unroll
            for (int32_t row = 0; row < kRows; ++row) {
                const float query = queries[channel * kQueries + y * kRows + row];
                sums[row][0] += query * low;
                sums[row][1] += query * high;
            }
        }
    }
}

template <typename T, int kRows>
__device__ void scalarRelativeTerms(float* tables, float* buffer, const T* q, int32_t first_query, const Arguments& a)
{
    const T* by_width = static_cast<const T*>(a.rel_width);
    const T* by_height = static_cast<const T*>(a.rel_height);
    const int32_t widths = 2 * a.width - 1, offsets = widths + 2 * a.height - 1;
    const int32_t x = threadIdx.x % kScalarSide, y = threadIdx.x / kScalarSide;
    for (int32_t from = 0; from < offsets; from += kScalarKeys) {
        float sums[kRows][2] = {};
        auto entry = [&](int32_t c, int32_t channel) {
            const int32_t offset = from + c;
            if (offset >= offsets) {
                return 0.0F;
            }
            return toFloat(offset < widths ? by_width[offset * a.dim + channel]
                                           : by_height[(offset - widths) * a.dim + channel]);
        };
        multiplyColumns<T, kRows>(sums, buffer, q, first_query, entry, a);
#pragma unroll
        for (int32_t row = 0; row < kRows; ++row) {
            const int32_t query = y * kRows + row;
            const Cell cell = cellOf(first_query + query, a);
            for (int32_t half = 0; half < 2; ++half) {
                keepRelativeTerm(tables + query * a.table_stride, from + x + half * kScalarSide, cell,
                                 sums[row][half] * a.scale, a);
            }
        }
    }
    __syncthreads();
}

// The largest, or the sum, over the 16 threads that share rows.
__device__ __forceinline__ float rowMaximum(float value)
{
    for (int32_t step = kScalarSide / 2; step > 0; step /= 2) {
        value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFU, value, step));
    }
    return value;
}

__device__ __forceinline__ float rowSum(float value)
{
    for (int32_t step = kScalarSide / 2; step > 0; step /= 2) {
        value += __shfl_xor_sync(0xFFFFFFFFU, value, step);
    }
    return value;
}

// Adds the weights of 32 keys times their values.
template <typename T, int kRows>
__device__ void addValues(float (&outputs)[kRows][8], float* buffer, const float* weights, const T* v,
                          int32_t first_key, int32_t channels, const Arguments& a)
{
    const int32_t thread = threadIdx.x, x = thread % kScalarSide, y = thread / kScalarSide;
    __syncthreads();
    for (int32_t i = thread; i < kScalarValues * kScalarKeys; i += kScalarThreads) {
        const int32_t channel = i / kScalarKeys, key = first_key + i % kScalarKeys;
        const bool present = channel < channels && key < a.cells;
        buffer[channel * kScalarStride + i % kScalarKeys] =
            present ? toFloat(v[static_cast<int64_t>(channel) * a.cells + key]) : 0.0F;
    }
    __syncthreads();
#pragma unroll 4
    for (int32_t key = 0; key < kScalarKeys; ++key) {
        float weight[kRows];
#pragma unroll
        for (int32_t row = 0; row < kRows; ++row) {
            weight[row] = weights[(y * kRows + row) * kScalarStride + key];
        }
#pragma unroll
        for (int32_t i = 0; i < 8; ++i) {
            const float value = buffer[(x + i * kScalarSide) * kScalarStride + key];
#pragma unroll
            for (int32_t row = 0; row < kRows; ++row) {
                outputs[row][i] += weight[row] * value;
            }
        }
    }
}

// Grid as attendTensorCore's.
template <typename T, int kRows>
__global__ void __launch_bounds__(kScalarThreads) attendScalar(const Arguments a)
{
    using Sizes = ScalarTiles<kRows>;
    GCPOSE_DYNAMIC_SHARED(float, buffer);
    float* weights = buffer + Sizes::kBufferFloats;
    float* tables = weights + Sizes::kWeightFloats;
    const int32_t thread = threadIdx.x, x = thread % kScalarSide, y = thread / kScalarSide;
    const Place place = placeOf(a);
    const int32_t first_query = place.tile * Sizes::kQueries;
    const int32_t first_channel = place.chunk * kScalarValues;
    const int32_t channels = a.value_dim - first_channel < kScalarValues ? a.value_dim - first_channel : kScalarValues;
    const T* q = static_cast<const T*>(a.q) + place.head * a.dim * a.cells;
    const T* k = static_cast<const T*>(a.k) + place.head * a.dim * a.cells;
    const int64_t value_offset = (place.head * a.value_dim + first_channel) * a.cells;
    const T* v = static_cast<const T*>(a.v) + value_offset;
    scalarRelativeTerms<T, kRows>(tables, buffer, q, first_query, a);

    float maximum[kRows], sum[kRows] = {}, outputs[kRows][8] = {};
    for (float& value : maximum) {
        value = negativeInfinity();
    }
    for (int32_t first = 0; first < a.cells; first += kScalarKeys) {
        float logits[kRows][2] = {};
        auto entry = [&](int32_t c, int32_t channel) {
            return first + c < a.cells ? toFloat(k[static_cast<int64_t>(channel) * a.cells + first + c]) : 0.0F;
        };
        multiplyColumns<T, kRows>(logits, buffer, q, first_query, entry, a);
#pragma unroll
        for (int32_t row = 0; row < kRows; ++row) {
            const int32_t query = y * kRows + row;
            const float* table = tables + query * a.table_stride;
            for (int32_t half = 0; half < 2; ++half) {
                const int32_t key = first + x + half * kScalarSide;
                const Cell cell = cellOf(key, a);
                logits[row][half] = key < a.cells ? logits[row][half] * a.scale + (table[cell.column] +
                                                                                  table[a.width + cell.row])
                                                  : negativeInfinity();
            }
            const float before = maximum[row];
            maximum[row] = fmaxf(before, rowMaximum(fmaxf(logits[row][0], logits[row][1])));
            const float shrink = powerBelow(before, maximum[row]);
            sum[row] *= shrink;
            for (int32_t half = 0; half < 2; ++half) {
                const float weight = powerBelow(logits[row][half], maximum[row]);
                sum[row] += weight;
                weights[query * kScalarStride + x + half * kScalarSide] = weight;
            }
#pragma unroll
            for (int32_t i = 0; i < 8; ++i) {
                outputs[row][i] *= shrink;
            }
        }
        addValues<T, kRows>(outputs, buffer, weights, v, first, channels, a);
    }
    T* output = static_cast<T*>(a.output) + value_offset;
#pragma unroll
    for (int32_t row = 0; row < kRows; ++row) {
        const float inverse = 1.0F / rowSum(sum[row]);
        const int32_t cell = first_query + y * kRows + row;
#pragma unroll
        for (int32_t i = 0; i < 8; ++i) {
            const int32_t channel = x + i * kScalarSide;
            if (channel < channels && cell < a.cells) {
                fromFloat(output[static_cast<int64_t>(channel) * a.cells + cell], outputs[row][i] * inverse);
            }
        }
    }
}

}  // namespace gcm
}  // namespace gcpose
