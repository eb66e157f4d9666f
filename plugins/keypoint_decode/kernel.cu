// SPDX-License-Identifier: Apache-2.0
// A block finds one joint of one person; see README.md beside this file for the two searches.
#include "kernel.h"

#include "../common/convert.h"
#include "../common/launch.h"
#include "cubic.h"

#include <cfloat>

namespace gcpose {
namespace {

using namespace decode;

constexpr int32_t kThreads = 512;
constexpr int32_t kWarps = kThreads / 32;
constexpr int32_t kMostSamplesPerCell = 16;
constexpr float kWidestReach = 64.0F;  // pixels; wider fine searches go in several rounds
constexpr float kRoundReach = 32.0F;   // samples to each side in such a round

// The larger of two samples, and of equal ones the first in row order.
struct Best {
    float value;
    int32_t place;
};

// One axis of a box.
struct Side {
    float start, length;  // of the box
    float pixels;         // whole pixels of the resized map
    float step;           // cells a pixel
    float stride;         // pixels between samples of the first search
    int32_t samples;      // of the first search
};

__device__ __forceinline__ bool isBetter(const Best& a, const Best& b)
{
    return a.value > b.value || (a.value == b.value && a.place < b.place);
}

// Returns the best of all threads, to all threads.
__device__ inline Best reduceBest(Best best, Best* shared)
{
    for (int32_t distance = 16; distance > 0; distance /= 2) {
        Best other;
        other.value = __shfl_xor_sync(0xFFFFFFFFU, best.value, distance);
        other.place = __shfl_xor_sync(0xFFFFFFFFU, best.place, distance);
        best = isBetter(other, best) ? other : best;
    }
    __syncthreads();  // the result of the reduction before has been read
    if (threadIdx.x % 32 == 0) {
        shared[threadIdx.x / 32] = best;
    }
    __syncthreads();
    for (int32_t warp = 0; warp < kWarps; ++warp) {
        best = isBetter(shared[warp], best) ? shared[warp] : best;
    }
    return best;
}

__device__ inline float reduceSum(float value, float* shared)
{
    for (int32_t distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(0xFFFFFFFFU, value, distance);
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        shared[threadIdx.x / 32] = value;
    }
    __syncthreads();
    float sum = 0.0F;
    for (int32_t warp = 0; warp < kWarps; ++warp) {
        sum += shared[warp];
    }
    return sum;
}

// Boxes without a size, or none that is a number, have one pixel.
__device__ __forceinline__ Side makeSide(float low, float high, int32_t size, int32_t samples_per_cell)
{
    const float extent = high - low;
    Side side;
    side.start = low;
    side.length = extent >= 1.0F && extent <= FLT_MAX ? extent : 1.0F;
    side.pixels = ceilf(side.length);
    side.step = static_cast<float>(size) / side.pixels;
    const auto most = static_cast<float>(samples_per_cell * size);
    side.stride = ceilf(side.pixels / most);
    const float samples = ceilf(side.pixels / side.stride);
    side.samples = static_cast<int32_t>(samples < most ? samples : most);
    return side;
}

// One row of the map, interpolated between four columns.
__device__ __forceinline__ float readRow(const float* map, int32_t size, int32_t row, const Taps& taps)
{
    const float* line = map + clampCell(row, size) * size;
    float sum = 0.0F;
#pragma unroll
    for (int32_t k = 0; k < 4; ++k) {
        sum += taps.weights[k] * line[clampCell(taps.cell + k - 1, size)];
    }
    return sum;
}

// The first search: the map at every stride-th pixel. A thread walks down one column of samples and keeps the four map
// rows that it interpolates between, so that a row is interpolated across once a column and not once a sample.
__device__ inline Best searchCoarse(
    const float* map, const Taps* row_taps, int32_t size, const Side& across, const Side& down)
{
    Best best{-FLT_MAX, 0};
    const int32_t wanted = kThreads / across.samples > 1 ? kThreads / across.samples : 1;
    const int32_t rows = (down.samples + wanted - 1) / wanted;
    const int32_t parts = (down.samples + rows - 1) / rows;
    for (int32_t item = threadIdx.x; item < across.samples * parts; item += kThreads) {
        const int32_t part = item / across.samples, column = item - part * across.samples;
        const Taps taps = makeTaps(static_cast<float>(column) * across.stride, across.step, size);
        const int32_t first = part * rows, end = first + rows < down.samples ? first + rows : down.samples;
        int32_t cell = row_taps[first].cell;
        float a = readRow(map, size, cell - 1, taps), b = readRow(map, size, cell, taps);
        float c = readRow(map, size, cell + 1, taps), d = readRow(map, size, cell + 2, taps);
        for (int32_t row = first; row < end; ++row) {
            const Taps at = row_taps[row];
            for (; cell < at.cell; ++cell) {
                a = b;
                b = c;
                c = d;
                d = readRow(map, size, cell + 3, taps);
            }
            const float value = at.weights[0] * a + at.weights[1] * b + at.weights[2] * c + at.weights[3] * d;
            const Best here{value, row * across.samples + column};
            best = isBetter(here, best) ? here : best;
        }
    }
    return best;
}

// Samples around (x, y), `spacing` pixels apart and no farther than `reach`; `places` is their number along a side.
__device__ inline Best searchAround(
    const float* map, int32_t size, const Side& across, const Side& down, float x, float y, const float* reach,
    const float* spacing, const int32_t* places)
{
    Best best{-FLT_MAX, (places[1] / 2) * places[0] + places[0] / 2};
    for (int32_t place = threadIdx.x; place < places[0] * places[1]; place += kThreads) {
        const int32_t row = place / places[0], column = place - row * places[0];
        const float dx = static_cast<float>(column - places[0] / 2) * spacing[0];
        const float dy = static_cast<float>(row - places[1] / 2) * spacing[1];
        const float pixel_x = x + dx, pixel_y = y + dy;
        const bool inside = fabsf(dx) <= reach[0] && fabsf(dy) <= reach[1] && pixel_x >= 0.0F && pixel_y >= 0.0F
            && pixel_x < across.pixels && pixel_y < down.pixels;
        if (inside) {
            const Taps columns = makeTaps(pixel_x, across.step, size), rows = makeTaps(pixel_y, down.step, size);
            float value = 0.0F;
#pragma unroll
            for (int32_t k = 0; k < 4; ++k) {
                value += rows.weights[k] * readRow(map, size, rows.cell + k - 1, columns);
            }
            const Best here{value, place};
            best = isBetter(here, best) ? here : best;
        }
    }
    return best;
}

// The second search: every pixel closer than the stride to (x, y), which become the best one's. Strides of more than
// kWidestReach pixels (boxes of many thousand) are narrowed down in rounds first.
__device__ inline float searchFine(
    const float* map, int32_t size, const Side& across, const Side& down, float& x, float& y, Best* shared)
{
    float gap[2] = {across.stride, down.stride};
    while (true) {
        float reach[2], spacing[2];
        int32_t places[2];
        bool last = true;
        for (int32_t side = 0; side < 2; ++side) {
            const bool narrow = gap[side] <= kWidestReach;
            spacing[side] = narrow ? 1.0F : ceilf(gap[side] / kRoundReach);
            reach[side] = gap[side] - 1.0F;
            places[side] = 2 * static_cast<int32_t>(reach[side] / spacing[side]) + 1;
            gap[side] = spacing[side];
            last = last && narrow;
        }
        const Best best =
            reduceBest(searchAround(map, size, across, down, x, y, reach, spacing, places), shared);
        const int32_t row = best.place / places[0], column = best.place - row * places[0];
        x += static_cast<float>(column - places[0] / 2) * spacing[0];
        y += static_cast<float>(row - places[1] / 2) * spacing[1];
        if (last) {
            return best.value;
        }
    }
}

// The part of a cell that is within `radius` of `position`.
__device__ __forceinline__ float nearPart(float position, int32_t cell, float radius)
{
    return fminf(fmaxf(radius + 0.5F - fabsf(position - static_cast<float>(cell)), 0.0F), 1.0F);
}

__device__ inline float scoreOf(
    const float* map, const KeypointDecodeParams& p, float peak, float column, float row, float* shared)
{
    const int32_t size = p.size;
    float all = 0.0F, near = 0.0F;
    for (int32_t i = threadIdx.x; i < size * size; i += kThreads) {
        const int32_t y = i / size, x = i - y * size;
        const float exponential = expf(map[i] - peak);
        all += exponential;
        if (p.score_radius > 0.0F) {
            near += exponential * nearPart(row, y, p.score_radius) * nearPart(column, x, p.score_radius);
        }
    }
    all = reduceSum(all, shared);
    near = p.score_radius > 0.0F ? reduceSum(near, shared) : 1.0F;
    const float score = near / all;
    return score >= 0.0F && score <= FLT_MAX ? score : 0.0F;  // maps of NaN or infinity say nothing
}

// Grid (joints, people), one block a map.
template <typename T>
__global__ void __launch_bounds__(kThreads, 2) decodeKeypoints(const KeypointDecodeParams p)
{
    GCPOSE_DYNAMIC_SHARED(float, map);
    __shared__ Best shared_best[kWarps];
    __shared__ float shared_sum[kWarps];
    const int32_t size = p.size, cells = size * size;
    Taps* row_taps = reinterpret_cast<Taps*>(map + cells);
    for (int64_t index = blockIdx.x; index < static_cast<int64_t>(p.num) * p.joints; index += gridDim.x) {
        const T* logits = static_cast<const T*>(p.logits) + index * cells;
        const float* box = p.boxes + index / p.joints * 4;
        const Side across = makeSide(box[0], box[2], size, p.samples_per_cell);
        const Side down = makeSide(box[1], box[3], size, p.samples_per_cell);
        __syncthreads();  // the map before has been read
        for (int32_t i = threadIdx.x; i < cells; i += kThreads) {
            map[i] = toFloat(__ldg(logits + i));
        }
        for (int32_t i = threadIdx.x; i < down.samples; i += kThreads) {
            row_taps[i] = makeTaps(static_cast<float>(i) * down.stride, down.step, size);
        }
        __syncthreads();
        const Best coarse = reduceBest(searchCoarse(map, row_taps, size, across, down), shared_best);
        const int32_t row = coarse.place / across.samples, column = coarse.place - row * across.samples;
        float x = static_cast<float>(column) * across.stride, y = static_cast<float>(row) * down.stride;
        const float peak = searchFine(map, size, across, down, x, y, shared_best);
        const float score = scoreOf(map, p, peak, positionOf(x, across.step), positionOf(y, down.step), shared_sum);
        if (threadIdx.x == 0) {
            p.output[index * 3] = across.start + (x + 0.5F) * (across.length / across.pixels);
            p.output[index * 3 + 1] = down.start + (y + 0.5F) * (down.length / down.pixels);
            p.output[index * 3 + 2] = score;
        }
    }
}

bool isValid(const KeypointDecodeParams& p)
{
    const bool sizes = p.num >= 0 && p.joints >= 0 && p.size >= 1 && p.size <= kLargestKeypointMap;
    const bool attributes = p.samples_per_cell >= 1 && p.samples_per_cell <= kMostSamplesPerCell
        && p.score_radius >= 0.0F && p.score_radius <= FLT_MAX;
    if (!sizes || !attributes || (p.type != DataType::kFloat32 && p.type != DataType::kFloat16)) {
        return false;
    }
    const bool empty = p.num == 0 || p.joints == 0;
    return empty || (p.logits != nullptr && p.boxes != nullptr && p.output != nullptr);
}

}  // namespace

cudaError_t launchKeypointDecode(const KeypointDecodeParams& params, cudaStream_t stream)
{
    if (!isValid(params)) {
        return cudaErrorInvalidValue;
    }
    const int64_t maps = static_cast<int64_t>(params.num) * params.joints;
    if (maps == 0) {
        return cudaSuccess;
    }
    const auto size = static_cast<size_t>(params.size);
    const size_t shared_bytes =
        size * size * sizeof(float) + size * static_cast<size_t>(params.samples_per_cell) * sizeof(Taps);
    constexpr int64_t kMostBlocks = 1 << 20;
    const dim3 grid(static_cast<unsigned>(maps < kMostBlocks ? maps : kMostBlocks));
    const auto kernel = params.type == DataType::kFloat16 ? &decodeKeypoints<__half> : &decodeKeypoints<float>;
    return GCPOSE_LAUNCH(kernel, grid, dim3(kThreads), shared_bytes, stream, params);
}

}  // namespace gcpose
