// SPDX-License-Identifier: Apache-2.0
// One launch pools every region from its level; see README.md beside this file for the plan and the count of bytes.
#include "kernel.h"

#include "../common/convert.h"
#include "../common/launch.h"
#include "geometry.h"

namespace gcpose {
namespace {

using namespace roi_align;

constexpr int32_t kThreads = 256;
constexpr int32_t kPlanes = 4;           // channels a thread has in the linear layout; they share offsets and weights
constexpr int32_t kWantedBlocks = 2048;  // about two waves of the largest GPUs
constexpr int32_t kLeastUnits = 16;      // kPlanes or kVector channels each, that are worth a block of their own

// How the work is cut: a block has one region, some rows of bins, and some channels.
struct Cut {
    int32_t rows, row_parts;
    int32_t units, channel_parts;
    int32_t room;  // entries of one axis
};

// The weights of a block's bins, in shared memory.
struct Tables {
    const Span* row_spans;
    const Span* column_spans;
    const Entry* rows;
    const Entry* columns;
};

// Where a block's region is read from.
template <typename T>
struct Source {
    const T* image;
    int32_t plane;  // elements of a channel (linear)
};

__device__ __forceinline__ int32_t padded(int32_t channels)
{
    return (channels + kVector - 1) / kVector * kVector;
}

template <typename T>
__device__ __forceinline__ T* outputAt(
    const MultiLevelRoiAlignParams& p, bool channels_last, int32_t roi, int32_t channel, int32_t bin)
{
    T* output = static_cast<T*>(p.output);
    const int64_t bins = static_cast<int64_t>(p.output_size) * p.output_size;
    return channels_last ? output + (roi * bins + bin) * padded(p.channels) + channel
                         : output + (static_cast<int64_t>(roi) * p.channels + channel) * bins + bin;
}

// Pools kPlanes channels of a bin of planar features. Neighbouring threads have neighbouring bins: they read
// neighbouring cells and write neighbouring elements.
template <typename T, bool kOutLast>
__device__ __forceinline__ void poolPlanes(
    const MultiLevelRoiAlignParams& p, const Source<T>& source, const Tables& tables, int32_t channel, int32_t bin)
{
    const int32_t size = p.output_size, row_bin = bin / size;
    const Span rows = tables.row_spans[row_bin], columns = tables.column_spans[bin - row_bin * size];
    const int32_t last = p.channels - 1 - channel;  // planes past the last channel read that one; it is not stored twice
    const T* planes[kPlanes];
    float sums[kPlanes];
#pragma unroll
    for (int32_t k = 0; k < kPlanes; ++k) {
        const int32_t ahead = k < last ? k : last;
        planes[k] = source.image + (last < 0 ? 0 : (channel + ahead) * source.plane);
        sums[k] = 0.0F;
    }
    for (int32_t i = 0; i < rows.count; ++i) {
        const Entry row = tables.rows[rows.first + i];
#pragma unroll 2
        for (int32_t j = 0; j < columns.count; ++j) {
            const Entry column = tables.columns[columns.first + j];
            const float weight = row.weight * column.weight;
            const int32_t cell = row.offset + column.offset;
#pragma unroll
            for (int32_t k = 0; k < kPlanes; ++k) {
                sums[k] += weight * toFloat(__ldg(planes[k] + cell));
            }
        }
    }
    const int32_t roi = static_cast<int32_t>(blockIdx.x);
#pragma unroll
    for (int32_t k = 0; k < kPlanes; ++k) {
        if (k <= last || (kOutLast && channel + k < padded(p.channels))) {
            fromFloat(k <= last ? sums[k] : 0.0F, *outputAt<T>(p, kOutLast, roi, channel + k, bin));
        }
    }
}

// Pools eight channels of a bin of channels-last features: 16 bytes of half a read, and neighbouring threads have
// neighbouring channels.
template <typename T, bool kOutLast>
__device__ __forceinline__ void poolVector(
    const MultiLevelRoiAlignParams& p, const Source<T>& source, const Tables& tables, int32_t channel, int32_t bin)
{
    const int32_t size = p.output_size, row_bin = bin / size;
    const Span rows = tables.row_spans[row_bin], columns = tables.column_spans[bin - row_bin * size];
    float sums[kVector] = {};
    for (int32_t i = 0; i < rows.count; ++i) {
        const Entry row = tables.rows[rows.first + i];
        const T* line = source.image + channel + row.offset;
#pragma unroll 2
        for (int32_t j = 0; j < columns.count; ++j) {
            const Entry column = tables.columns[columns.first + j];
            const float weight = row.weight * column.weight;
            const Vector8<T> cell = load8(line + column.offset);
#pragma unroll
            for (int32_t k = 0; k < kVector; ++k) {
                sums[k] += weight * toFloat(cell.values[k]);
            }
        }
    }
    const int32_t roi = static_cast<int32_t>(blockIdx.x);
    Vector8<T> result;
#pragma unroll
    for (int32_t k = 0; k < kVector; ++k) {
        fromFloat(channel + k < p.channels ? sums[k] : 0.0F, result.values[k]);
    }
    if (kOutLast) {
        *reinterpret_cast<Vector8<T>*>(outputAt<T>(p, true, roi, channel, bin)) = result;
    } else {
#pragma unroll
        for (int32_t k = 0; k < kVector; ++k) {
            if (channel + k < p.channels) {
                *outputAt<T>(p, false, roi, channel + k, bin) = result.values[k];
            }
        }
    }
}

// Fills the tables of a block's region: a thread makes the entries of one row or column of bins.
template <typename T, bool kInLast>
__device__ __forceinline__ Source<T> prepare(
    const MultiLevelRoiAlignParams& p, const Cut& cut, int32_t first_row, Span* spans, Entry* entries)
{
    const Region region = readRegion(p, static_cast<int32_t>(blockIdx.x));
    const void* features = p.features[0];
    int32_t height = p.heights[0], width = p.widths[0], stride = p.strides[0];
    // Not indexed by the level: that would copy the parameters to local memory.
#pragma unroll
    for (int32_t level = 1; level < kMostRoiLevels; ++level) {
        if (level == region.level) {
            features = p.features[level];
            height = p.heights[level];
            width = p.widths[level];
            stride = p.strides[level];
        }
    }
    const int32_t cell = kInLast ? padded(p.channels) : 1;
    const int32_t size = p.output_size;
    for (int32_t i = threadIdx.x; i < size + cut.rows; i += kThreads) {
        const bool is_row = i >= size;
        const int32_t bin = is_row ? first_row + i - size : i;
        Span span{0, 0};
        if (region.image >= 0 && bin < size) {
            const Axis axis = is_row ? makeAxis(p, region.y0, region.y1, stride, height, width * cell)
                                     : makeAxis(p, region.x0, region.x1, stride, width, cell);
            span = fillBin(axis, bin, entries + (is_row ? cut.room : 0), cut.room);
        }
        if (bin < size) {
            spans[is_row ? size + bin : bin] = span;
        }
    }
    const int32_t plane = height * width;
    const int64_t image = region.image < 0 ? 0 : region.image;
    const int64_t elements = static_cast<int64_t>(plane) * (kInLast ? cell : p.channels);
    return Source<T>{static_cast<const T*>(features) + image * elements, plane};
}

// Grid (regions, row parts, channel parts).
template <typename T, bool kInLast, bool kOutLast>
__global__ void __launch_bounds__(kThreads, 4) poolRegions(const MultiLevelRoiAlignParams p, const Cut cut)
{
    GCPOSE_DYNAMIC_SHARED(Entry, entries);
    __shared__ Span spans[2 * kMostBins];
    const int32_t size = p.output_size;
    const int32_t first_row = static_cast<int32_t>(blockIdx.y) * cut.rows;
    const Source<T> source = prepare<T, kInLast>(p, cut, first_row, spans, entries);
    __syncthreads();
    const Tables tables{spans + size, spans, entries + cut.room, entries};
    constexpr int32_t kUnit = kInLast ? kVector : kPlanes;
    const int32_t first_unit = static_cast<int32_t>(blockIdx.z) * cut.units;
    const int32_t all_units = (padded(p.channels)) / kUnit;
    const int32_t units = all_units - first_unit < cut.units ? all_units - first_unit : cut.units;
    const int32_t bins = (size - first_row < cut.rows ? size - first_row : cut.rows) * size;
    for (int32_t item = threadIdx.x; item < units * bins; item += kThreads) {
        if (kInLast) {
            const int32_t bin = item / units;
            poolVector<T, kOutLast>(
                p, source, tables, (first_unit + item - bin * units) * kUnit, first_row * size + bin);
        } else {
            const int32_t unit = item / bins;
            poolPlanes<T, kOutLast>(
                p, source, tables, (first_unit + unit) * kUnit, first_row * size + item - unit * bins);
        }
    }
}

Cut cutWork(const MultiLevelRoiAlignParams& p)
{
    Cut cut{};
    int32_t longest = 0;
    for (int32_t level = 0; level < p.levels; ++level) {
        longest = p.heights[level] > longest ? p.heights[level] : longest;
        longest = p.widths[level] > longest ? p.widths[level] : longest;
    }
    cut.room = entryRoom(longest, p.output_size, p.sampling_ratio);
    const int32_t wanted = kWantedBlocks / p.num_rois > 1 ? kWantedBlocks / p.num_rois : 1;
    const int32_t row_parts = wanted < p.output_size ? wanted : p.output_size;
    cut.rows = (p.output_size + row_parts - 1) / row_parts;
    cut.row_parts = (p.output_size + cut.rows - 1) / cut.rows;
    const int32_t unit = p.feature_layout == Layout::kChannelsLast8 ? kVector : kPlanes;
    const int32_t units = (p.channels + kVector - 1) / kVector * kVector / unit;
    const int32_t most_parts = units / kLeastUnits > 1 ? units / kLeastUnits : 1;
    const int32_t still_wanted = wanted / cut.row_parts > 1 ? wanted / cut.row_parts : 1;
    const int32_t parts = still_wanted < most_parts ? still_wanted : most_parts;
    cut.units = (units + parts - 1) / parts;
    cut.channel_parts = (units + cut.units - 1) / cut.units;
    return cut;
}

template <typename T>
cudaError_t launch(const MultiLevelRoiAlignParams& p, cudaStream_t stream)
{
    const Cut cut = cutWork(p);
    const dim3 grid(
        static_cast<unsigned>(p.num_rois), static_cast<unsigned>(cut.row_parts),
        static_cast<unsigned>(cut.channel_parts));
    const size_t shared_bytes = 2 * static_cast<size_t>(cut.room) * sizeof(Entry);
    const bool in_last = p.feature_layout == Layout::kChannelsLast8;
    const bool out_last = p.output_layout == Layout::kChannelsLast8;
    const auto kernel = in_last ? (out_last ? &poolRegions<T, true, true> : &poolRegions<T, true, false>)
                                : (out_last ? &poolRegions<T, false, true> : &poolRegions<T, false, false>);
    return GCPOSE_LAUNCH(kernel, grid, dim3(kThreads), shared_bytes, stream, p, cut);
}

bool isLayout(Layout layout)
{
    return layout == Layout::kLinear || layout == Layout::kChannelsLast8;
}

bool levelsAreValid(const MultiLevelRoiAlignParams& p)
{
    constexpr int64_t kMostElements = 0x7FFFFFFF;  // offsets within an image are 32 bits
    for (int32_t level = 0; level < p.levels; ++level) {
        if (p.features[level] == nullptr || p.heights[level] < 1 || p.widths[level] < 1 || p.strides[level] < 1) {
            return false;
        }
        if (level > 0 && p.strides[level] < p.strides[level - 1]) {
            return false;
        }
        const int64_t cells = static_cast<int64_t>(p.heights[level]) * p.widths[level];
        if (cells > kMostElements / (p.channels + kVector)) {
            return false;
        }
    }
    return true;
}

bool isValid(const MultiLevelRoiAlignParams& p)
{
    const bool sizes = p.levels >= 1 && p.levels <= kMostRoiLevels && p.batch >= 0 && p.channels >= 1
        && p.channels <= (1 << 20) && p.num_rois >= 0;
    const bool attributes = p.output_size >= 1 && p.output_size <= kMostBins && p.sampling_ratio >= 0
        && p.sampling_ratio <= kMostRatio && p.canonical_size > 0.0F && p.canonical_level >= -64
        && p.canonical_level <= 64 && (p.index_bytes == 4 || p.index_bytes == 8);
    const bool types = (p.type == DataType::kFloat32 || p.type == DataType::kFloat16) && isLayout(p.feature_layout)
        && isLayout(p.output_layout);
    if (!sizes || !attributes || !types) {
        return false;
    }
    if (p.num_rois == 0) {
        return true;
    }
    return p.rois != nullptr && p.batch_index != nullptr && p.output != nullptr && levelsAreValid(p);
}

}  // namespace

cudaError_t launchMultiLevelRoiAlign(const MultiLevelRoiAlignParams& params, cudaStream_t stream)
{
    if (!isValid(params)) {
        return cudaErrorInvalidValue;
    }
    if (params.num_rois == 0) {
        return cudaSuccess;
    }
    return params.type == DataType::kFloat16 ? launch<__half>(params, stream) : launch<float>(params, stream);
}

}  // namespace gcpose
