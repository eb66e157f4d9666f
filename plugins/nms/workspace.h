// SPDX-License-Identifier: Apache-2.0
// How Nms divides its work into stages, and where everything lies in the workspace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace gcpose {
namespace nms {

constexpr int32_t kChunk = 32;        // boxes whose mutual overlaps fit one word, and the threads of a warp
constexpr int32_t kLargestTile = 2048;  // keys that one block sorts in shared memory: 16 KB
constexpr int32_t kLargestStage = 1024;  // candidates that one block decides between, one a thread

struct alignas(16) Box {
    float x0, y0, x1, y1;
};

// What the kernels of one image tell each other.
struct State {
    int32_t candidates;  // boxes that score more than the threshold
    int32_t kept;        // boxes kept so far, at most max_outputs
};

// Sizes that follow from the number of boxes.
struct Plan {
    int32_t tile;    // keys sorted by one block, a power of two
    int32_t tiles;   // such blocks an image
    int32_t stage;   // candidates decided at once, a multiple of kChunk
    int32_t stages;  // rounds of that an image
    int32_t kept;    // largest number of boxes kept an image
};

// Arrays of all images; each image has its own stretch of every array.
struct Workspace {
    uint64_t* keys;         // (batch, tiles * tile): score and index, each tile sorted
    int32_t* tile_counts;   // (batch, tiles): candidates in each tile
    int32_t* order;         // (batch, boxes): box indices, best first
    Box* boxes;             // (batch, boxes): boxes in that order
    int64_t* groups;        // (batch, boxes): groups in that order
    uint8_t* suppressed;    // (batch, boxes): 1 where a box kept in an earlier stage overlaps; in that order
    uint32_t* overlaps;     // (batch, stage / kChunk, stage): for each candidate, those of a chunk that it overlaps
    int32_t* kept;          // (batch, kept): places in the order that were kept
    State* states;          // (batch,)
};

inline int32_t divideUp(int64_t value, int64_t unit)
{
    return static_cast<int32_t>((value + unit - 1) / unit);
}

inline Plan planOf(int32_t num_boxes, int32_t max_outputs)
{
    Plan plan{};
    plan.tile = 2 * kChunk;
    while (plan.tile < num_boxes && plan.tile < kLargestTile) {
        plan.tile *= 2;
    }
    plan.tiles = num_boxes > 0 ? divideUp(num_boxes, plan.tile) : 1;
    const int32_t rounded = divideUp(num_boxes, kChunk) * kChunk;
    plan.stage = rounded < kLargestStage ? rounded : kLargestStage;
    plan.stages = plan.stage > 0 ? divideUp(num_boxes, plan.stage) : 0;
    plan.kept = num_boxes < max_outputs ? num_boxes : max_outputs;
    return plan;
}

// Lays the arrays out from `base` on, each on 256 bytes; returns the bytes used. `base` may be null to count only.
inline size_t layOut(Workspace& workspace, void* base, const Plan& plan, int32_t batch, int32_t num_boxes)
{
    size_t used = 0;
    auto take = [&](auto*& array, size_t count) {
        using Element = std::remove_reference_t<decltype(*array)>;
        array = base == nullptr ? nullptr : reinterpret_cast<Element*>(static_cast<unsigned char*>(base) + used);
        used += (count * sizeof(Element) + 255) / 256 * 256;
    };
    const auto images = static_cast<size_t>(batch);
    const size_t boxes = images * static_cast<size_t>(num_boxes);
    take(workspace.keys, images * static_cast<size_t>(plan.tiles) * static_cast<size_t>(plan.tile));
    take(workspace.tile_counts, images * static_cast<size_t>(plan.tiles));
    take(workspace.order, boxes);
    take(workspace.boxes, boxes);
    take(workspace.groups, boxes);
    take(workspace.suppressed, boxes);
    take(workspace.overlaps, images * static_cast<size_t>(plan.stage / kChunk) * static_cast<size_t>(plan.stage));
    take(workspace.kept, images * static_cast<size_t>(plan.kept));
    take(workspace.states, images);
    return used;
}

}  // namespace nms
}  // namespace gcpose
