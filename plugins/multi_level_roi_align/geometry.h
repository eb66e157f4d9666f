// SPDX-License-Identifier: Apache-2.0
// Where a region lies in its level and which cells each of its bins averages.
//
// Bilinear sampling on a grid is separable: a bin's average is a sum over rows and columns of cells with weights that
// are products of a row part and a column part. Samples of one bin that share a cell are added up beforehand, so that a
// bin of b x b cells costs about (b + 1)^2 reads and not 4 b^2.
#pragma once

#include "../common/portability.h"
#include "kernel.h"

namespace gcpose {
namespace roi_align {

constexpr int32_t kMostBins = 128;
constexpr int32_t kMostRatio = 64;
constexpr int32_t kMostSamples = 1 << 22;  // adaptive ones a bin; counts stay exact in float32

// What one bin reads of a cell along one axis.
struct alignas(8) Entry {
    int32_t offset;  // of the cell, in elements
    float weight;
};

// A bin's entries: the first one and how many.
struct alignas(8) Span {
    int32_t first, count;
};

struct Axis {
    float start, bin;    // first coordinate and size of a bin, in cells
    int32_t samples;     // a bin
    int32_t length;      // cells along the axis
    int32_t step;        // elements from a cell to the next
    int32_t fixed_room;  // entries kept for each bin, or 0: adaptive, where bins share room as they share cells
};

struct Region {
    float x0, y0, x1, y1;
    int32_t level;
    int64_t image;  // -1 where there is no such image
};

// Entries that an axis needs room for. Adaptive samples lie at most one cell apart, so bins read neighbouring cells and
// two bins have at most two in common: entry `cell + 2 * bin` is free for every bin.
inline int32_t entryRoom(int32_t length, int32_t bins, int32_t sampling_ratio)
{
    return sampling_ratio > 0 ? 2 * sampling_ratio * bins : length + 2 * bins + 2;
}

__device__ __forceinline__ float notBelow(float value, float least)
{
    return value < least ? least : value;  // keeps NaN, as the reference does
}

__device__ __forceinline__ Region readRegion(const MultiLevelRoiAlignParams& p, int32_t roi)
{
    Region region;
    const float* box = p.rois + static_cast<int64_t>(roi) * 4;
    region.x0 = __ldg(box);
    region.y0 = __ldg(box + 1);
    region.x1 = __ldg(box + 2);
    region.y1 = __ldg(box + 3);
    const int64_t image = p.index_bytes == 8 ? static_cast<const int64_t*>(p.batch_index)[roi]
                                             : static_cast<const int32_t*>(p.batch_index)[roi];
    region.image = image >= 0 && image < p.batch ? image : -1;
    // floor(canonical + log2(ratio)) >= log2(stride) without the logarithm; NaN stays on the first level.
    const float area =
        __fmul_rn(notBelow(region.x1 - region.x0, 0.0F), notBelow(region.y1 - region.y0, 0.0F));
    const float ratio = __fadd_rn(sqrtf(area) / p.canonical_size, 1e-8F);
    const float unit = ldexpf(1.0F, -p.canonical_level);
    region.level = 0;
#pragma unroll
    for (int32_t level = 1; level < kMostRoiLevels; ++level) {
        if (level < p.levels && ratio >= static_cast<float>(p.strides[level]) * unit) {
            region.level = level;
        }
    }
    return region;
}

__device__ __forceinline__ Axis makeAxis(
    const MultiLevelRoiAlignParams& p, float low, float high, int32_t stride, int32_t length, int32_t step)
{
    const auto cell = static_cast<float>(stride);
    const auto bins = static_cast<float>(p.output_size);
    const float first = low / cell;
    float extent = high / cell - first;
    Axis axis;
    axis.start = p.aligned != 0 ? first - 0.5F : first;
    if (p.aligned == 0) {
        extent = notBelow(extent, 1.0F);
    }
    axis.bin = extent / bins;
    axis.samples = p.sampling_ratio;
    if (p.sampling_ratio == 0) {
        const float wanted = ceilf(axis.bin);
        const bool many = wanted >= static_cast<float>(kMostSamples);
        axis.samples = wanted > 0.0F ? (many ? kMostSamples : static_cast<int32_t>(wanted)) : 0;
    }
    axis.length = length;
    axis.step = step;
    axis.fixed_room = 2 * p.sampling_ratio;
    return axis;
}

// The samples of a bin that may lie inside, first and last: a giant box has millions and few of them do.
__device__ __forceinline__ int2 samplesInside(const Axis& axis, int32_t bin)
{
    constexpr int32_t kFew = 32;
    if (axis.samples <= kFew) {
        return make_int2(0, axis.samples - 1);
    }
    const auto samples = static_cast<float>(axis.samples);
    const auto offset = static_cast<float>(bin);
    const float margin = 2.0F + fminf(fabsf(axis.start) * 1e-6F, 1024.0F);  // of rounding
    const float low = ((-1.0F - axis.start) / axis.bin - offset) * samples - margin;
    const float high = ((static_cast<float>(axis.length) - axis.start) / axis.bin - offset) * samples + margin;
    const int32_t first = low > 0.0F ? (low < samples ? static_cast<int32_t>(low) : axis.samples) : 0;
    const int32_t last = high >= 0.0F ? (high < samples - 1.0F ? static_cast<int32_t>(high) : axis.samples - 1) : -1;
    return make_int2(first, last);
}

// Collects the entries of one bin in order; those without weight are left out.
struct Writer {
    Entry* entries;
    int32_t room, step, next;

    __device__ __forceinline__ void put(int32_t cell, float weight)
    {
        if (weight != 0.0F && next < room) {
            entries[next] = Entry{cell * step, weight};
            ++next;
        }
    }
};

// Writes a bin's entries and says where they are.
__device__ inline Span fillBin(const Axis& axis, int32_t bin, Entry* entries, int32_t room)
{
    const int2 range = samplesInside(axis, bin);
    const float scale = 1.0F / static_cast<float>(axis.samples > 0 ? axis.samples : 1);
    const auto last_cell = static_cast<float>(axis.length - 1);
    Writer writer{entries, room, axis.step, axis.fixed_room * bin};
    Span span{writer.next, 0};
    int32_t cell = -1;                // weights of `cell` and `cell + 1` are not written yet
    float here = 0.0F, beyond = 0.0F;
    for (int32_t i = range.x; i <= range.y; ++i) {
        // In the reference's order and without fused operations: at the border a last bit decides between zero and not.
        const float inside = (static_cast<float>(i) + 0.5F) / static_cast<float>(axis.samples);
        float position = __fadd_rn(axis.start, __fmul_rn(__fadd_rn(static_cast<float>(bin), inside), axis.bin));
        if (!(position >= -1.0F && position <= static_cast<float>(axis.length))) {
            continue;
        }
        position = fminf(fmaxf(position, 0.0F), last_cell);
        const auto low = static_cast<int32_t>(position);
        const float fraction = position - static_cast<float>(low);
        if (cell < 0 && axis.fixed_room == 0) {
            writer.next = low + 2 * bin;
            span.first = writer.next;
        }
        if (low != cell) {
            const bool neighbour = cell >= 0 && low == cell + 1;
            if (cell >= 0) {
                writer.put(cell, here);
            }
            if (cell >= 0 && !neighbour) {
                writer.put(cell + 1, beyond);
            }
            here = neighbour ? beyond : 0.0F;
            beyond = 0.0F;
            cell = low;
        }
        here += (1.0F - fraction) * scale;
        beyond += fraction * scale;
    }
    if (cell >= 0) {
        writer.put(cell, here);
        writer.put(cell + 1, beyond);
    }
    span.count = writer.next - span.first;
    return span;
}

}  // namespace roi_align
}  // namespace gcpose
