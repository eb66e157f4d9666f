// SPDX-License-Identifier: Apache-2.0
// Greedy non-maximum suppression; see README.md beside this file for the plan of the four kernels.
#include "kernel.h"

#include "../common/launch.h"
#include "device.h"
#include "workspace.h"

namespace gcpose {
namespace {

using namespace nms;

constexpr int32_t kRankThreads = 256;
constexpr int32_t kOverlapThreads = 128;
constexpr int32_t kWordsAtOnce = 8;  // overlap words a thread has in flight
constexpr int32_t kMostBlocks = 65535;  // of a grid's second and third side
constexpr int32_t kMostBoxes = 1 << 20;  // an image; keeps the chunks of kept boxes below that

template <typename Index>
struct Arguments {
    const float* boxes;
    const float* scores;
    const Index* groups;
    Index* indices;
    Index* count;
    int32_t num_boxes, max_outputs;
    float iou_threshold, score_threshold;
    Plan plan;
    Workspace workspace;
};

// Sorts each tile of an image's scores, best first, and clears what the later kernels add to.
// Grid (tiles, batch), tile / 2 threads.
template <typename Index>
__global__ void __launch_bounds__(kLargestTile / 2) sortTiles(const Arguments<Index> a)
{
    __shared__ uint64_t keys[kLargestTile];
    const int32_t image = blockIdx.y, tile = a.plan.tile;
    const int32_t thread = threadIdx.x, threads = blockDim.x;
    const int32_t first = static_cast<int32_t>(blockIdx.x) * tile;
    const float* scores = a.scores + static_cast<int64_t>(image) * a.num_boxes;
    for (int32_t slot = thread; slot < tile; slot += threads) {
        const int32_t index = first + slot;
        keys[slot] = index < a.num_boxes ? sortKey(scores[index], a.score_threshold, index) : 0;
    }
    // Bitonic: runs of `size` keys become sorted, in turns falling and rising, until one falling run is left.
    for (int32_t size = 2; size <= tile; size *= 2) {
        for (int32_t stride = size / 2; stride > 0; stride /= 2) {
            __syncthreads();
            const int32_t low = 2 * thread - (thread & (stride - 1)), high = low + stride;
            const uint64_t x = keys[low], y = keys[high];
            if ((x < y) == ((low & size) == 0)) {
                keys[low] = y;
                keys[high] = x;
            }
        }
    }
    __syncthreads();
    const int64_t tile_index = static_cast<int64_t>(image) * a.plan.tiles + blockIdx.x;
    if (thread == 0 && keys[0] == 0) {
        a.workspace.tile_counts[tile_index] = 0;
    }
    for (int32_t slot = thread; slot < tile; slot += threads) {
        a.workspace.keys[tile_index * tile + slot] = keys[slot];
        if (keys[slot] != 0 && (slot + 1 == tile || keys[slot + 1] == 0)) {
            a.workspace.tile_counts[tile_index] = slot + 1;
        }
    }
    const int32_t global_thread = static_cast<int32_t>(blockIdx.x) * threads + thread;
    const int32_t all_threads = static_cast<int32_t>(gridDim.x) * threads;
    for (int32_t i = global_thread; i < a.max_outputs; i += all_threads) {
        a.indices[static_cast<int64_t>(image) * a.max_outputs + i] = 0;
    }
    for (int32_t i = global_thread; i < a.num_boxes; i += all_threads) {
        a.workspace.suppressed[static_cast<int64_t>(image) * a.num_boxes + i] = 0;
    }
    if (global_thread == 0) {
        a.count[image] = 0;
        a.workspace.states[image] = State{0, 0};
    }
}

// Returns how many of the `count` keys, which fall, are greater than `key`.
__device__ int32_t countGreater(const uint64_t* keys, int32_t count, uint64_t key)
{
    int32_t low = 0, high = count;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (keys[middle] > key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Puts the candidates of an image into score order: a key's rank is its place in its own tile and the number of greater
// keys in every other one. No two keys are equal. Grid (all slots / threads, batch).
template <typename Index>
__global__ void __launch_bounds__(kRankThreads) rankBoxes(const Arguments<Index> a)
{
    const int32_t image = blockIdx.y, tile = a.plan.tile;
    const int32_t slot = static_cast<int32_t>(blockIdx.x * blockDim.x + threadIdx.x);
    const int32_t* counts = a.workspace.tile_counts + static_cast<int64_t>(image) * a.plan.tiles;
    const uint64_t* keys = a.workspace.keys + static_cast<int64_t>(image) * a.plan.tiles * tile;
    if (slot == 0) {
        int32_t candidates = 0;
        for (int32_t t = 0; t < a.plan.tiles; ++t) {
            candidates += counts[t];
        }
        a.workspace.states[image].candidates = candidates;
    }
    const int32_t own = slot / tile;
    if (own >= a.plan.tiles || slot % tile >= counts[own]) {
        return;
    }
    const uint64_t key = keys[slot];
    int32_t rank = slot % tile;
    for (int32_t t = 0; t < a.plan.tiles; ++t) {
        if (t != own) {
            rank += countGreater(keys + static_cast<int64_t>(t) * tile, counts[t], key);
        }
    }
    const int32_t index = indexOfKey(key);
    const int64_t place = static_cast<int64_t>(image) * a.num_boxes + rank;
    const float* box = a.boxes + (static_cast<int64_t>(image) * a.num_boxes + index) * 4;
    a.workspace.order[place] = index;
    a.workspace.boxes[place] = Box{box[0], box[1], box[2], box[3]};
    a.workspace.groups[place] = a.groups[index];
}

// Compares the candidates of a stage with one chunk of 32 boxes: of the stage itself, or kept in earlier stages.
// Grid (stage / threads, chunks of the stage and then of kept boxes, batch); a thread has one candidate.
template <typename Index>
__global__ void __launch_bounds__(kOverlapThreads) findOverlaps(const Arguments<Index> a, int32_t stage_index)
{
    __shared__ Box boxes[kChunk];
    __shared__ float areas[kChunk];
    __shared__ int64_t groups[kChunk];
    const int32_t image = blockIdx.z, stage = a.plan.stage, chunks = stage / kChunk;
    const State state = a.workspace.states[image];
    const int32_t first = stage_index * stage;
    if (state.kept >= a.max_outputs || first >= state.candidates) {
        return;
    }
    const int64_t base = static_cast<int64_t>(image) * a.num_boxes;
    const int32_t chunk = blockIdx.y, thread = threadIdx.x;
    const bool earlier = chunk >= chunks;
    const int32_t first_row = earlier ? (chunk - chunks) * kChunk : first + chunk * kChunk;
    const int32_t all_rows = earlier ? state.kept : state.candidates;
    const int32_t rows = all_rows - first_row < kChunk ? all_rows - first_row : kChunk;
    if (rows <= 0) {
        return;
    }
    if (thread < rows) {
        const int32_t row = first_row + thread;
        const int32_t place =
            earlier ? a.workspace.kept[static_cast<int64_t>(image) * a.plan.kept + row] : row;
        boxes[thread] = a.workspace.boxes[base + place];
        areas[thread] = areaOf(boxes[thread]);
        groups[thread] = a.workspace.groups[base + place];
    }
    __syncthreads();
    const int32_t column = static_cast<int32_t>(blockIdx.x) * kOverlapThreads + thread;
    const int32_t candidate = first + column;
    // A chunk only matters to candidates after its first one.
    if (column >= stage || candidate >= state.candidates || (!earlier && column / kChunk < chunk)) {
        return;
    }
    const Box box = a.workspace.boxes[base + candidate];
    const float area = areaOf(box);
    const int64_t group = a.workspace.groups[base + candidate];
    uint32_t found = 0;
    for (int32_t i = 0; i < rows; ++i) {
        if (groups[i] == group && overlap(boxes[i], areas[i], box, area, a.iou_threshold)) {
            found |= 1U << i;
        }
    }
    if (!earlier) {
        a.workspace.overlaps[(static_cast<int64_t>(image) * chunks + chunk) * stage + column] = found;
    } else if (found != 0) {
        a.workspace.suppressed[base + candidate] = 1;  // several blocks may write it, all of them the same
    }
}

// Returns which of a warp's 32 candidates greedy suppression keeps. Each thread knows whether its own is alive and
// which others of the warp it overlaps. "Kept if no kept one before it overlaps it", said of all at once until nothing
// changes: after k rounds the first k are final, and a few rounds nearly always suffice.
__device__ __forceinline__ uint32_t decideChunk(bool alive, uint32_t overlaps, int32_t lane)
{
    const uint32_t before = overlaps & ((1U << lane) - 1U);
    uint32_t keep = __ballot_sync(0xFFFFFFFFU, alive);
    while (true) {
        const uint32_t updated = __ballot_sync(0xFFFFFFFFU, alive && (before & keep) == 0);
        if (updated == keep) {
            return keep;
        }
        keep = updated;
    }
}

// Decides between the candidates of a stage, chunk after chunk, and writes those that are kept.
// Grid (batch), one thread a candidate.
template <typename Index>
__global__ void __launch_bounds__(kLargestStage) selectStage(const Arguments<Index> a, int32_t stage_index)
{
    __shared__ uint32_t kept_words[kLargestStage / kChunk];
    const int32_t image = blockIdx.x, stage = a.plan.stage, thread = threadIdx.x;
    const State state = a.workspace.states[image];
    const int32_t first = stage_index * stage;
    if (state.kept >= a.max_outputs || first >= state.candidates) {
        return;
    }
    const int32_t left = state.candidates - first;
    const int32_t chunks = ((left < stage ? left : stage) + kChunk - 1) / kChunk;
    const int32_t warp = thread / kChunk, lane = thread % kChunk;
    const int64_t place = static_cast<int64_t>(image) * a.num_boxes + first + thread;
    const uint32_t* overlaps = a.workspace.overlaps + static_cast<int64_t>(image) * (stage / kChunk) * stage + thread;
    const bool candidate = thread < left;
    bool alive = candidate && a.workspace.suppressed[place] == 0;
    bool keeps = false;
    int32_t kept = state.kept, rank = 0;  // kept in all, and of those the ones before this thread's
    for (int32_t from = 0; from < chunks && kept < a.max_outputs; from += kWordsAtOnce) {
        uint32_t words[kWordsAtOnce];
#pragma unroll
        for (int32_t i = 0; i < kWordsAtOnce; ++i) {
            words[i] = candidate && from + i <= warp ? overlaps[static_cast<int64_t>(from + i) * stage] : 0;
        }
#pragma unroll
        for (int32_t i = 0; i < kWordsAtOnce; ++i) {
            const int32_t chunk = from + i;
            if (chunk < chunks && kept < a.max_outputs) {  // the same for all threads, so all meet the barrier
                if (warp == chunk) {
                    const uint32_t keep = decideChunk(alive, words[i], lane);
                    keeps = (keep >> lane & 1U) != 0;
                    rank = kept + __popc(keep & ((1U << lane) - 1U));
                    if (lane == 0) {
                        kept_words[chunk] = keep;
                    }
                }
                __syncthreads();
                const uint32_t keep = kept_words[chunk];
                kept += __popc(keep);
                alive = alive && (words[i] & keep) == 0;
            }
        }
    }
    if (keeps && rank < a.max_outputs) {
        a.indices[static_cast<int64_t>(image) * a.max_outputs + rank] = static_cast<Index>(a.workspace.order[place]);
        a.workspace.kept[static_cast<int64_t>(image) * a.plan.kept + rank] = first + thread;
    }
    if (thread == 0) {
        kept = kept < a.max_outputs ? kept : a.max_outputs;
        a.workspace.states[image].kept = kept;
        a.count[image] = static_cast<Index>(kept);
    }
}

template <typename Index>
cudaError_t launch(const NmsParams& params, cudaStream_t stream)
{
    Arguments<Index> a{};
    a.boxes = params.boxes;
    a.scores = params.scores;
    a.groups = static_cast<const Index*>(params.groups);
    a.indices = static_cast<Index*>(params.indices);
    a.count = static_cast<Index*>(params.count);
    a.num_boxes = params.num_boxes;
    a.max_outputs = params.max_outputs;
    a.iou_threshold = params.iou_threshold;
    a.score_threshold = params.score_threshold;
    a.plan = planOf(params.num_boxes, params.max_outputs);
    layOut(a.workspace, params.workspace, a.plan, params.batch, params.num_boxes);
    const Plan& plan = a.plan;
    const auto batch = static_cast<unsigned>(params.batch);
    const dim3 tiles(static_cast<unsigned>(plan.tiles), batch);
    cudaError_t error = GCPOSE_LAUNCH(sortTiles<Index>, tiles, dim3(plan.tile / 2), 0, stream, a);
    if (error != cudaSuccess || plan.kept == 0) {
        return error;
    }
    const int64_t slots = static_cast<int64_t>(plan.tiles) * plan.tile;
    const dim3 slot_blocks(static_cast<unsigned>(divideUp(slots, kRankThreads)), batch);
    error = GCPOSE_LAUNCH(rankBoxes<Index>, slot_blocks, dim3(kRankThreads), 0, stream, a);
    for (int32_t stage = 0; stage < plan.stages && error == cudaSuccess; ++stage) {
        const int64_t before = static_cast<int64_t>(stage) * plan.stage;
        const int32_t kept_chunks = divideUp(before < plan.kept ? before : plan.kept, kChunk);
        const dim3 grid(static_cast<unsigned>(divideUp(plan.stage, kOverlapThreads)),
                        static_cast<unsigned>(plan.stage / kChunk + kept_chunks), batch);
        error = GCPOSE_LAUNCH(findOverlaps<Index>, grid, dim3(kOverlapThreads), 0, stream, a, stage);
        if (error == cudaSuccess) {
            error = GCPOSE_LAUNCH(selectStage<Index>, dim3(batch), dim3(plan.stage), 0, stream, a, stage);
        }
    }
    return error;
}

bool isValid(const NmsParams& p)
{
    if (p.batch < 0 || p.batch > kMostBlocks || p.num_boxes < 0 || p.num_boxes > kMostBoxes || p.max_outputs < 0) {
        return false;
    }
    if (p.index_bytes != 4 && p.index_bytes != 8) {
        return false;
    }
    if (p.batch == 0) {
        return true;
    }
    const bool has_input = p.boxes != nullptr && p.scores != nullptr && p.groups != nullptr;
    const bool has_output = p.count != nullptr && (p.indices != nullptr || p.max_outputs == 0);
    return (has_input || p.num_boxes == 0) && has_output && p.workspace != nullptr;
}

}  // namespace

size_t nmsWorkspaceBytes(int32_t batch, int32_t num_boxes, int32_t max_outputs)
{
    if (batch <= 0 || num_boxes < 0 || max_outputs < 0) {
        return 0;
    }
    Workspace workspace{};
    return layOut(workspace, nullptr, planOf(num_boxes, max_outputs), batch, num_boxes);
}

cudaError_t launchNms(const NmsParams& params, cudaStream_t stream)
{
    if (!isValid(params)) {
        return cudaErrorInvalidValue;
    }
    if (params.batch == 0) {
        return cudaSuccess;
    }
    return params.index_bytes == 4 ? launch<int32_t>(params, stream) : launch<int64_t>(params, stream);
}

}  // namespace gcpose
