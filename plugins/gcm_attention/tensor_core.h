// SPDX-License-Identifier: Apache-2.0
// FP16 attention with matrix instructions, sm_75 and later. A warp has 16 queries, a block 1 to 6 warps.
#pragma once

#include "fragments.h"
#include "shape.h"

namespace gcpose {
namespace gcm {

constexpr int32_t kWarpQueries = 16;
constexpr int32_t kMostWarps = 6;  // a block; two such blocks find registers on a multiprocessor
constexpr int32_t kTileKeys = 32;
constexpr int32_t kTileStride = kTileKeys + 8;  // halves; 80 bytes, so that the 8 rows of a matrix load meet all banks
constexpr int32_t kStoredChannels = 32;         // output channels a warp turns around at once
constexpr int32_t kStoredStride = kWarpQueries + 8;

// Sizes of one instance: channels of queries and keys up to kDim, of values kValues a block.
template <int kDim, int kValues>
struct Tiles {
    static constexpr int32_t kSteps = kDim / 16;
    static constexpr int32_t kValueTiles = kValues / 8;
    static constexpr int32_t kRelativeRows = kDim > 128 ? 32 : 64;  // offsets at once
    static constexpr int32_t kRelativeStride = kDim + 8;
    static constexpr int32_t kKeyBytes = kDim * kTileStride * 2;
    static constexpr int32_t kValueBytes = kValues * kTileStride * 2;
    static constexpr int32_t kRelativeBytes = kRelativeRows * kRelativeStride * 2;

    // Keys and values; before them the relative tables, and after them the output, lie in the same place.
    __host__ __device__ static constexpr int32_t bufferBytes(int32_t warps)
    {
        const int32_t stored = warps * kStoredChannels * kStoredStride * 2;
        const int32_t loaded = kKeyBytes + kValueBytes > kRelativeBytes ? kKeyBytes + kValueBytes : kRelativeBytes;
        return stored > loaded ? stored : loaded;
    }

    static constexpr int32_t sharedBytes(int32_t warps, int32_t table_stride)
    {
        return bufferBytes(warps) + warps * kWarpQueries * table_stride * 4;
    }
};

// Fills `rows` x kColumns of shared memory; row r comes from `source(r)`, or is zero where that is null, and so are
// columns from `valid` on. Rows of the source may be loaded kVector numbers at once.
template <int kVector, int kColumns, class Source>
__device__ __forceinline__ void copyVectors(__half* target, int32_t stride, int32_t rows, int32_t valid,
                                            const __half* readable, Source source)
{
    constexpr int32_t kVectors = kColumns / kVector;
    for (int32_t i = threadIdx.x; i < rows * kVectors; i += static_cast<int32_t>(blockDim.x)) {
        const int32_t row = i / kVectors, column = i % kVectors * kVector;
        const __half* from = source(row);
        const bool present = from != nullptr && column < valid;
        copyToShared<kVector>(target + row * stride + column, present ? from + column : readable, present);
    }
}

template <int kColumns, class Source>
__device__ __forceinline__ void copyTile(__half* target, int32_t stride, int32_t rows, int32_t valid, int32_t vector,
                                         const __half* readable, Source source)
{
    if (vector == 8) {
        copyVectors<8, kColumns>(target, stride, rows, valid, readable, source);
    } else if (vector == 4) {
        copyVectors<4, kColumns>(target, stride, rows, valid, readable, source);
    } else if (vector == 2) {
        copyVectors<2, kColumns>(target, stride, rows, valid, readable, source);
    } else {
        copyVectors<1, kColumns>(target, stride, rows, valid, readable, source);
    }
}

// Loads a warp's queries as fragments; `first` is the warp's first one.
template <int kSteps>
__device__ __forceinline__ void loadQueries(uint32_t (&fragments)[kSteps][4], const __half* q, int32_t first,
                                            int32_t lane, const Arguments& a)
{
    const __half zero = __float2half(0.0F);
#pragma unroll
    for (int32_t step = 0; step < kSteps; ++step) {
#pragma unroll
        for (int32_t i = 0; i < 4; ++i) {
            const int32_t cell = first + lane / 4 + i % 2 * 8;
            const int32_t channel = step * 16 + i / 2 * 8 + lane % 4 * 2;
            const __half* from = q + static_cast<int64_t>(channel) * a.cells + cell;
            const __half low = cell < a.cells && channel < a.dim ? from[0] : zero;
            const __half high = cell < a.cells && channel + 1 < a.dim ? from[a.cells] : zero;
            fragments[step][i] = packHalves(low, high);
        }
    }
}

// Adds queries times 16 rows of a tile that has the channels in its columns (a relative table).
template <int kSteps>
__device__ __forceinline__ void multiplyRows(float (&sums)[2][4], const uint32_t (&queries)[kSteps][4],
                                             const __half* tile, int32_t stride, int32_t lane, int32_t dim)
{
#pragma unroll
    for (int32_t step = 0; step < kSteps; ++step) {
        if (step * 16 < dim) {
            uint32_t b[4];
            loadTiles<false>(b, lane, [&](int32_t i) {
                return tile + (i / 16 * 8 + i % 8) * stride + step * 16 + i / 8 % 2 * 8;
            });
            multiplyAdd(sums[0], queries[step], b[0], b[1]);
            multiplyAdd(sums[1], queries[step], b[2], b[3]);
        }
    }
}

// Multiplies the queries with all relative positions and keeps the products in the warp's tables. All warps take part.
template <int kDim, int kValues>
__device__ __forceinline__ void relativeTerms(float* tables, __half* buffer,
                                              const uint32_t (&queries)[kDim / 16][4], int32_t first_query,
                                              int32_t lane, const Arguments& a)
{
    using Sizes = Tiles<kDim, kValues>;
    const auto* by_width = static_cast<const __half*>(a.rel_width);
    const auto* by_height = static_cast<const __half*>(a.rel_height);
    const int32_t widths = 2 * a.width - 1, offsets = widths + 2 * a.height - 1;
    for (int32_t from = 0; from < offsets; from += Sizes::kRelativeRows) {
        copyTile<kDim>(buffer, Sizes::kRelativeStride, Sizes::kRelativeRows, a.dim, a.table_vector, by_width,
                       [&](int32_t row) -> const __half* {
                           const int32_t offset = from + row;
                           if (offset >= offsets) {
                               return nullptr;
                           }
                           return offset < widths ? by_width + offset * a.dim : by_height + (offset - widths) * a.dim;
                       });
        endCopies();
        waitForCopies<0>();
        __syncthreads();
        for (int32_t row = 0; row < Sizes::kRelativeRows && from + row < offsets; row += 16) {
            float sums[2][4] = {};
            multiplyRows(sums, queries, buffer + row * Sizes::kRelativeStride, Sizes::kRelativeStride, lane, a.dim);
#pragma unroll
            for (int32_t i = 0; i < 8; ++i) {
                const int32_t query = lane / 4 + i % 4 / 2 * 8;
                const int32_t offset = from + row + i / 4 * 8 + lane % 4 * 2 + i % 2;
                keepRelativeTerm(tables + query * a.table_stride, offset, cellOf(first_query + query, a),
                                 sums[i / 4][i % 4] * a.scale, a);
            }
        }
        __syncthreads();
    }
}

// Sums that a thread keeps of its two rows, g and g + 8: the largest logit, and its share of the row's sum of powers.
struct SoftmaxState {
    float maximum[2];
    float sum[2];
};

// Turns products into logits (times log2(e)): scaled, relative terms added, minus infinity past the last cell.
__device__ __forceinline__ void finishLogits(float (&logits)[4][4], const float* tables, int32_t first_key,
                                             int32_t lane, const Arguments& a)
{
#pragma unroll
    for (int32_t i = 0; i < 8; ++i) {
        const int32_t tile = i / 2, key = first_key + tile * 8 + lane % 4 * 2 + i % 2;
        const Cell cell = cellOf(key, a);
#pragma unroll
        for (int32_t row = 0; row < 2; ++row) {
            float& logit = logits[tile][row * 2 + i % 2];
            if (key < a.cells) {
                const float* table = tables + (lane / 4 + row * 8) * a.table_stride;
                logit = logit * a.scale + (table[cell.column] + table[a.width + cell.row]);
            } else {
                logit = negativeInfinity();
            }
        }
    }
}

// Replaces logits by powers of two below the largest so far, and scales what was summed before to it.
template <int kValueTiles>
__device__ __forceinline__ void onlineSoftmax(float (&logits)[4][4], SoftmaxState& state,
                                              float (&outputs)[kValueTiles][4])
{
#pragma unroll
    for (int32_t row = 0; row < 2; ++row) {
        float maximum = state.maximum[row];
#pragma unroll
        for (int32_t i = 0; i < 8; ++i) {
            maximum = fmaxf(maximum, logits[i / 2][row * 2 + i % 2]);
        }
        maximum = fmaxf(maximum, __shfl_xor_sync(0xFFFFFFFFU, maximum, 1));
        maximum = fmaxf(maximum, __shfl_xor_sync(0xFFFFFFFFU, maximum, 2));
        const float shrink = powerBelow(state.maximum[row], maximum);
        state.maximum[row] = maximum;
        state.sum[row] *= shrink;
#pragma unroll
        for (int32_t i = 0; i < 8; ++i) {
            float& logit = logits[i / 2][row * 2 + i % 2];
            logit = powerBelow(logit, maximum);
            state.sum[row] += logit;
        }
#pragma unroll
        for (int32_t tile = 0; tile < kValueTiles; ++tile) {
            outputs[tile][row * 2] *= shrink;
            outputs[tile][row * 2 + 1] *= shrink;
        }
    }
}

// Adds queries times keys; the tile has a row for each channel.
template <int kSteps>
__device__ __forceinline__ void multiplyKeys(float (&logits)[4][4], const uint32_t (&queries)[kSteps][4],
                                             const __half* keys, int32_t lane, int32_t dim, int32_t present)
{
#pragma unroll
    for (int32_t step = 0; step < kSteps; ++step) {
        if (step * 16 < dim) {
#pragma unroll
            for (int32_t pair = 0; pair < 2; ++pair) {
                if (pair * 16 < present) {
                    uint32_t b[4];
                    loadTiles<true>(b, lane, [&](int32_t i) {
                        return keys + (step * 16 + i % 16) * kTileStride + pair * 16 + i / 16 * 8;
                    });
                    multiplyAdd(logits[2 * pair], queries[step], b[0], b[1]);
                    multiplyAdd(logits[2 * pair + 1], queries[step], b[2], b[3]);
                }
            }
        }
    }
}

// Adds weights, rounded to 16 bits, times values; the tile has a row for each channel.
template <int kValueTiles>
__device__ __forceinline__ void multiplyValues(float (&outputs)[kValueTiles][4], const float (&weights)[4][4],
                                               const __half* values, int32_t lane, int32_t channels, int32_t present)
{
#pragma unroll
    for (int32_t pair = 0; pair < 2; ++pair) {
        if (pair * 16 < present) {
            const float(&low)[4] = weights[2 * pair], (&high)[4] = weights[2 * pair + 1];
            const uint32_t fragment[4] = {packFloats(low[0], low[1]), packFloats(low[2], low[3]),
                                          packFloats(high[0], high[1]), packFloats(high[2], high[3])};
#pragma unroll
            for (int32_t tile = 0; tile < kValueTiles; tile += 2) {
                if (tile * 8 < channels) {
                    uint32_t b[4];
                    loadTiles<false>(b, lane, [&](int32_t i) {
                        return values + (tile * 8 + i / 16 * 8 + i % 8) * kTileStride + pair * 16 + i / 8 % 2 * 8;
                    });
                    multiplyAdd(outputs[tile], fragment, b[0], b[1]);
                    multiplyAdd(outputs[tile + 1], fragment, b[2], b[3]);
                }
            }
        }
    }
}

// Writes a warp's outputs, divided by the rows' sums, channels before cells. They turn around in shared memory, 32
// channels at a time, so that memory sees rows of cells.
template <int kValueTiles>
__device__ __forceinline__ void storeOutputs(__half* output, __half* buffer, const float (&outputs)[kValueTiles][4],
                                             const SoftmaxState& state, int32_t first_query, int32_t lane,
                                             int32_t channels, const Arguments& a)
{
    float inverse[2];
#pragma unroll
    for (int32_t row = 0; row < 2; ++row) {
        float sum = state.sum[row];
        sum += __shfl_xor_sync(0xFFFFFFFFU, sum, 1);
        sum += __shfl_xor_sync(0xFFFFFFFFU, sum, 2);
        inverse[row] = 1.0F / sum;
    }
#pragma unroll
    for (int32_t from = 0; from < kValueTiles; from += kStoredChannels / 8) {
        if (from * 8 < channels) {
#pragma unroll
            for (int32_t i = 0; i < 16; ++i) {
                const int32_t row = i % 4 / 2, channel = i / 4 * 8 + lane % 4 * 2 + i % 2;
                buffer[channel * kStoredStride + lane / 4 + row * 8] =
                    __float2half(outputs[from + i / 4][i % 4] * inverse[row]);
            }
            __syncwarp();
#pragma unroll
            for (int32_t i = 0; i < 4; ++i) {
                const int32_t channel = i * 8 + lane / 4, cell = first_query + lane % 4 * 4;
                const __half* read = buffer + channel * kStoredStride + lane % 4 * 4;
                if (from * 8 + channel < channels) {
                    __half* write = output + static_cast<int64_t>(from * 8 + channel) * a.cells + cell;
                    if (a.cell_vector >= 4) {
                        if (cell < a.cells) {
                            *reinterpret_cast<Halves<4>*>(write) = *reinterpret_cast<const Halves<4>*>(read);
                        }
                    } else {
                        for (int32_t j = 0; j < 4 && cell + j < a.cells; ++j) {
                            write[j] = read[j];
                        }
                    }
                }
            }
            __syncwarp();
        }
    }
}

// Grid (query_tiles * value_chunks * heads * num), 32 threads for each 16 queries of a block.
template <int kDim, int kValues>
__global__ void __launch_bounds__(kMostWarps * 32, kDim > 128 ? 1 : 2) attendTensorCore(const Arguments a)
{
    using Sizes = Tiles<kDim, kValues>;
    GCPOSE_DYNAMIC_SHARED(unsigned char, storage);
    const int32_t warps = static_cast<int32_t>(blockDim.x) / 32;
    const int32_t warp = static_cast<int32_t>(threadIdx.x) / 32, lane = static_cast<int32_t>(threadIdx.x) % 32;
    auto* keys = reinterpret_cast<__half*>(storage);
    __half* values = keys + Sizes::kKeyBytes / 2;
    float* tables = reinterpret_cast<float*>(storage + Sizes::bufferBytes(warps)) +
                    warp * kWarpQueries * a.table_stride;
    const Place place = placeOf(a);
    const int32_t first_query = (place.tile * warps + warp) * kWarpQueries;
    const int32_t first_channel = place.chunk * kValues;
    const int32_t channels = a.value_dim - first_channel < kValues ? a.value_dim - first_channel : kValues;
    const __half* k = static_cast<const __half*>(a.k) + place.head * a.dim * a.cells;
    const int64_t value_offset = (place.head * a.value_dim + first_channel) * a.cells;
    const __half* v = static_cast<const __half*>(a.v) + value_offset;

    uint32_t queries[Sizes::kSteps][4];
    loadQueries(queries, static_cast<const __half*>(a.q) + place.head * a.dim * a.cells, first_query, lane, a);
    relativeTerms<kDim, kValues>(tables, keys, queries, first_query, lane, a);

    auto copyKeys = [&](int32_t first) {
        copyTile<kTileKeys>(keys, kTileStride, kDim, a.cells - first, a.cell_vector, k, [&](int32_t row) {
            return row < a.dim ? k + static_cast<int64_t>(row) * a.cells + first : nullptr;
        });
        endCopies();
    };
    auto copyValues = [&](int32_t first) {
        copyTile<kTileKeys>(values, kTileStride, kValues, a.cells - first, a.cell_vector, v, [&](int32_t row) {
            return row < channels ? v + static_cast<int64_t>(row) * a.cells + first : nullptr;
        });
        endCopies();
    };
    SoftmaxState state{{negativeInfinity(), negativeInfinity()}, {0.0F, 0.0F}};
    float outputs[Sizes::kValueTiles][4] = {};
    copyKeys(0);
    for (int32_t first = 0; first < a.cells; first += kTileKeys) {
        const int32_t present = a.cells - first;
        copyValues(first);
        waitForCopies<1>();  // the keys have come, the values may still be under way
        __syncthreads();
        float logits[4][4] = {};
        multiplyKeys(logits, queries, keys, lane, a.dim, present);
        __syncthreads();
        if (first + kTileKeys < a.cells) {
            copyKeys(first + kTileKeys);
        } else {
            endCopies();  // an empty group, for the count below
        }
        finishLogits(logits, tables, first, lane, a);
        onlineSoftmax(logits, state, outputs);
        waitForCopies<1>();  // the values have come, the next keys may still be under way
        __syncthreads();
        multiplyValues(outputs, logits, values, lane, channels, present);
        __syncthreads();
    }
    storeOutputs(static_cast<__half*>(a.output) + value_offset, keys + warp * kStoredChannels * kStoredStride, outputs,
                 state, first_query, lane, channels, a);
}

}  // namespace gcm
}  // namespace gcpose
