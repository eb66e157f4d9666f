// SPDX-License-Identifier: Apache-2.0
// What the attention kernels are told, and which part of the work a block has.
#pragma once

#include "../common/portability.h"

namespace gcpose {
namespace gcm {

struct Arguments {
    const void* q;           // (num, heads * dim, height, width)
    const void* k;           // (num, heads * dim, height, width)
    const void* v;           // (num, heads * value_dim, height, width)
    const void* rel_height;  // (2 * height - 1, dim)
    const void* rel_width;   // (2 * width - 1, dim)
    void* output;            // (num, heads * value_dim, height, width)
    int32_t heads, height, width, dim, value_dim;
    int32_t cells;         // height * width
    int32_t query_tiles;   // blocks that share a head of a region
    int32_t value_chunks;  // blocks that share the values of a tile
    int32_t table_stride;  // floats from one query's relative terms to the next one's
    int32_t cell_vector;   // 16-bit numbers that rows of cells may be loaded by at once: 1, 2, 4 or 8
    int32_t table_vector;  // the same for rows of the relative tables
    float inverse_width;
    float scale;           // of the logits, times log2(e): softmax is taken with powers of two
};

// A block's share: some queries of one head of one region, and a chunk of the values.
struct Place {
    int32_t tile, chunk;
    int64_t head;  // of all heads of all regions
};

// Tiles vary fastest, for blocks that run together then read the same keys.
__device__ __forceinline__ Place placeOf(const Arguments& a)
{
    const auto block = static_cast<int32_t>(blockIdx.x);
    const int32_t tile = block % a.query_tiles, rest = block / a.query_tiles;
    return Place{tile, rest % a.value_chunks, rest / a.value_chunks};
}

struct Cell {
    int32_t row, column;
};

// Returns where cell `index` lies on the grid. Half a cell of slack keeps the rounded reciprocal from mattering on maps
// of up to 2^20 cells.
__device__ __forceinline__ Cell cellOf(int32_t index, const Arguments& a)
{
    const auto row = static_cast<int32_t>((static_cast<float>(index) + 0.5F) * a.inverse_width);
    return Cell{row, index - row * a.width};
}

// Stores the product of a query and row `offset` of the two relative tables, one after the other, where the queries
// look for it: by key column (the first `width` floats of a query's table), then by key row. Offsets that lead off the
// map from this query are dropped.
__device__ __forceinline__ void keepRelativeTerm(float* table, int32_t offset, Cell query, float value,
                                                 const Arguments& a)
{
    const int32_t column = offset + query.column - (a.width - 1);
    const int32_t row = offset - (2 * a.width - 1) + query.row - (a.height - 1);
    if (offset < 2 * a.width - 1) {
        if (column >= 0 && column < a.width) {
            table[column] = value;
        }
    } else if (row >= 0 && row < a.height) {
        table[a.width + row] = value;
    }
}

__device__ __forceinline__ float negativeInfinity()
{
    return -INFINITY;
}

// Returns 2^(value - maximum); 0 where all is minus infinity so far.
__device__ __forceinline__ float powerBelow(float value, float maximum)
{
    return exp2f(value - (maximum == negativeInfinity() ? 0.0F : maximum));
}

}  // namespace gcm
}  // namespace gcpose
