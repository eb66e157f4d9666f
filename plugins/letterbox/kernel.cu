// SPDX-License-Identifier: Apache-2.0
// Resizes a frame into the network's input, in one pass; see README.md beside this file.
#include "kernel.h"

#include "../common/launch.h"

namespace gcpose {
namespace {

constexpr int32_t kTileWidth = 32;
constexpr int32_t kTileHeight = 8;
constexpr int32_t kThreads = kTileWidth * kTileHeight;
constexpr int32_t kMostHalvings = 10;
constexpr int32_t kSharedFloats = 10 * 1024;  // of a block's weights
constexpr int32_t kMostBlocksDown = 65535;

// One axis of the resize: `halvings` times to half the length, rounded up, then to `content` pixels.
struct Axis {
    int32_t frame, content;
};

struct Plan {
    Axis across, down;
    int32_t halvings;
    int32_t taps;                     // frame pixels that a content pixel may read along an axis
    int32_t tile_width, tile_height;  // smaller than usual where many taps would not fit
};

// What a content pixel reads along one axis.
struct Span {
    int32_t first, count;
};

struct Bilinear {
    int32_t low;
    float fraction;  // of the pixel after `low`; 0 where there is none
};

// The pixels between which pixel `target` of `to` lies in a line of `from`: OpenCV's convention, borders repeated.
__device__ __forceinline__ Bilinear interpolate(int32_t target, int32_t from, int32_t to)
{
    const double scale = static_cast<double>(from) / to;
    auto position = static_cast<float>((target + 0.5) * scale - 0.5);
    position = fminf(fmaxf(position, 0.0F), static_cast<float>(from - 1));
    const auto low = static_cast<int32_t>(position);
    return Bilinear{low, position - static_cast<float>(low)};
}

// Length of a line after it was halved `times` times.
__device__ __forceinline__ int32_t halved(int32_t length, int32_t times)
{
    return static_cast<int32_t>((length + (int64_t{1} << times) - 1) >> times);
}

// Writes the weights of all resizes together for content pixel `target` into `weights`, using `scratch` in between.
__device__ __forceinline__ Span fillWeights(
    const Axis axis, int32_t target, const Plan& plan, float* weights, float* scratch)
{
    // Every step changes the buffers; begin so that the last one ends in `weights`.
    float* current = plan.halvings % 2 == 0 ? weights : scratch;
    float* next = plan.halvings % 2 == 0 ? scratch : weights;
    const Bilinear at = interpolate(target, halved(axis.frame, plan.halvings), axis.content);
    Span span{at.low, at.fraction > 0.0F ? 2 : 1};
    current[0] = 1.0F - at.fraction;
    if (span.count == 2) {
        current[1] = at.fraction;
    }
    for (int32_t level = plan.halvings; level > 0; --level) {
        const int32_t from = halved(axis.frame, level - 1), to = halved(axis.frame, level);
        const int32_t first = interpolate(span.first, from, to).low;
        int32_t count = 0;
        for (int32_t i = 0; i < span.count; ++i) {
            const Bilinear source = interpolate(span.first + i, from, to);
            const int32_t place = source.low - first;
            const int32_t end = place + (source.fraction > 0.0F ? 2 : 1);
            for (; count < end && count < plan.taps; ++count) {
                next[count] = 0.0F;
            }
            next[place] += current[i] * (1.0F - source.fraction);
            if (source.fraction > 0.0F) {
                next[place + 1] += current[i] * source.fraction;
            }
        }
        span = Span{first, count};
        float* swap = current;
        current = next;
        next = swap;
    }
    return span;
}

__device__ __forceinline__ uint8_t toByte(float value)
{
    return static_cast<uint8_t>(fminf(fmaxf(value, 0.0F), 255.0F) + 0.5F);
}

__device__ __forceinline__ void writePixel(
    const LetterboxParams& p, int32_t x, int32_t y, const Span& columns, const Span& rows, const float* column_weights,
    const float* row_weights)
{
    float blue = 0.0F, green = 0.0F, red = 0.0F;
    for (int32_t i = 0; i < rows.count; ++i) {
        const uint8_t* pixel =
            p.frame + (rows.first + i) * p.frame_pitch + static_cast<int64_t>(columns.first) * 3;
        for (int32_t j = 0; j < columns.count; ++j, pixel += 3) {
            const float weight = row_weights[i] * column_weights[j];
            blue += weight * static_cast<float>(__ldg(pixel));
            green += weight * static_cast<float>(__ldg(pixel + 1));
            red += weight * static_cast<float>(__ldg(pixel + 2));
        }
    }
    uint8_t* out = p.canvas + (static_cast<int64_t>(y) * p.canvas_width + x) * 3;
    out[0] = toByte(blue);
    out[1] = toByte(green);
    out[2] = toByte(red);
}

// Grid (tiles across, tiles down); a block has a tile of the canvas, a thread one pixel of it.
__global__ void __launch_bounds__(kThreads) placeFrame(const LetterboxParams p, const Plan plan)
{
    GCPOSE_DYNAMIC_SHARED(float, weights);
    __shared__ Span spans[kTileWidth + kTileHeight];
    const int32_t thread = static_cast<int32_t>(threadIdx.x);
    const int32_t lines = plan.tile_width + plan.tile_height;
    const int32_t column = thread % plan.tile_width, row = thread / plan.tile_width;
    const int32_t left = static_cast<int32_t>(blockIdx.x) * plan.tile_width;
    const int32_t tiles_down = (p.canvas_height + plan.tile_height - 1) / plan.tile_height;
    float* const row_weights = weights + plan.tile_width * plan.taps;
    float* const scratch = weights + lines * plan.taps;
    for (int32_t tile = static_cast<int32_t>(blockIdx.y); tile < tiles_down; tile += static_cast<int32_t>(gridDim.y)) {
        const int32_t top = tile * plan.tile_height;
        __syncthreads();  // the weights of the tile before have been read
        if (thread < lines) {
            const bool is_row = thread >= plan.tile_width;
            const int32_t target = is_row ? top + thread - plan.tile_width : left + thread;
            if (target < (is_row ? p.content_height : p.content_width)) {
                // By value: a choice between two parameters by address would copy them to local memory.
                const Axis axis{
                    is_row ? plan.down.frame : plan.across.frame, is_row ? plan.down.content : plan.across.content};
                spans[thread] =
                    fillWeights(axis, target, plan, weights + thread * plan.taps, scratch + thread * plan.taps);
            }
        }
        __syncthreads();
        const int32_t x = left + column, y = top + row;
        if (row < plan.tile_height && x < p.content_width && y < p.content_height) {
            writePixel(
                p, x, y, spans[column], spans[plan.tile_width + row], weights + column * plan.taps,
                row_weights + row * plan.taps);
        } else if (row < plan.tile_height && x < p.canvas_width && y < p.canvas_height) {
            uint8_t* out = p.canvas + (static_cast<int64_t>(y) * p.canvas_width + x) * 3;
            out[0] = out[1] = out[2] = 0;
        }
    }
}

// Halvings as `place` does them: while both sides are more than twice too long.
int32_t countHalvings(const LetterboxParams& p)
{
    int32_t halvings = 0;
    int64_t height = p.frame_height, width = p.frame_width;
    const bool same = p.frame_height == p.content_height && p.frame_width == p.content_width;
    while (!same && height > 2 * static_cast<int64_t>(p.content_height)
           && width > 2 * static_cast<int64_t>(p.content_width)) {
        height = (height + 1) / 2;
        width = (width + 1) / 2;
        ++halvings;
    }
    return halvings;
}

Plan makePlan(const LetterboxParams& p, int32_t halvings)
{
    Plan plan{};
    plan.across = Axis{p.frame_width, p.content_width};
    plan.down = Axis{p.frame_height, p.content_height};
    plan.halvings = halvings;
    // Two neighbours; n neighbours read at most 2 n of the line before. Two more for what rounding may shift.
    plan.taps = (2 << halvings) + 2;
    plan.tile_width = kTileWidth;
    plan.tile_height = kTileHeight;
    while (2 * (plan.tile_width + plan.tile_height) * plan.taps > kSharedFloats && plan.tile_width > 1) {
        plan.tile_width /= 2;
        plan.tile_height = plan.tile_height > 1 ? plan.tile_height / 2 : 1;
    }
    return plan;
}

bool isValid(const LetterboxParams& p)
{
    constexpr int32_t kLongest = 1 << 24;  // positions stay exact to a fraction of a pixel
    const bool sizes = p.frame_height >= 1 && p.frame_width >= 1 && p.frame_height <= kLongest
        && p.frame_width <= kLongest && p.content_height >= 1 && p.content_width >= 1
        && p.content_height <= p.canvas_height && p.content_width <= p.canvas_width && p.canvas_height <= kLongest
        && p.canvas_width <= kLongest;
    return sizes && p.frame != nullptr && p.canvas != nullptr
        && p.frame_pitch >= static_cast<int64_t>(p.frame_width) * 3;
}

}  // namespace

cudaError_t launchLetterbox(const LetterboxParams& params, cudaStream_t stream)
{
    if (!isValid(params)) {
        return cudaErrorInvalidValue;
    }
    const int32_t halvings = countHalvings(params);
    if (halvings > kMostHalvings) {
        return cudaErrorInvalidValue;
    }
    const Plan plan = makePlan(params, halvings);
    const int32_t across = (params.canvas_width + plan.tile_width - 1) / plan.tile_width;
    const int32_t down = (params.canvas_height + plan.tile_height - 1) / plan.tile_height;
    const dim3 grid(static_cast<unsigned>(across), static_cast<unsigned>(down < kMostBlocksDown ? down : kMostBlocksDown));
    const size_t shared_bytes =
        2 * static_cast<size_t>(plan.tile_width + plan.tile_height) * static_cast<size_t>(plan.taps) * sizeof(float);
    return GCPOSE_LAUNCH(placeFrame, grid, dim3(kThreads), shared_bytes, stream, params, plan);
}

}  // namespace gcpose
