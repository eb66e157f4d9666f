// SPDX-License-Identifier: Apache-2.0
// Launching a kernel on the CPU: blocks one after another, complete when the call returns. Limits are the GPU's.
#pragma once

#include "device.h"

#include <memory>
#include <mutex>

namespace gcpose {
namespace shim {

constexpr unsigned kMostThreads = 1024;
constexpr unsigned kMostBlocksYZ = 65535;
constexpr size_t kMostSharedBytes = 227 * 1024;  // of an H100; smaller GPUs refuse earlier

inline bool fitsGpu(const dim3& grid, const dim3& block, size_t shared_bytes)
{
    const uint64_t threads = static_cast<uint64_t>(block.x) * block.y * block.z;
    const bool grid_fits = grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7FFFFFFFU && grid.y <= kMostBlocksYZ
        && grid.z <= kMostBlocksYZ;
    return grid_fits && threads > 0 && threads <= kMostThreads && block.z <= 64 && shared_bytes <= kMostSharedBytes;
}

// One launch at a time in the process: indices and shared memory are global.
inline std::mutex& launchMutex()
{
    static std::mutex mutex;
    return mutex;
}

inline void runBlocks(Block& block, size_t shared_bytes)
{
    for (unsigned z = 0; z < gridDim.z; ++z) {
        for (unsigned y = 0; y < gridDim.y; ++y) {
            for (unsigned x = 0; x < gridDim.x; ++x) {
                blockIdx = uint3{x, y, z};
                poisonShared(shared_bytes);
                block.run();
            }
        }
    }
}

}  // namespace shim

template <typename... Params, typename... Args>
cudaError_t launchKernel(
    void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t, const Args&... args)
{
    if (!shim::fitsGpu(grid, block, shared_bytes)) {
        return cudaErrorInvalidConfiguration;
    }
    const std::lock_guard<std::mutex> lock(shim::launchMutex());
    // Of exactly the size asked for, so that the address sanitizer sees what lies outside.
    std::unique_ptr<void, void (*)(void*)> memory(
        shared_bytes > 0 ? std::aligned_alloc(16, (shared_bytes + 15) / 16 * 16) : nullptr, &std::free);
    shim::dynamicShared() = static_cast<unsigned char*>(memory.get());
    gridDim = grid;
    blockDim = block;
    shim::Block threads(block, [&] { kernel(args...); });
    shim::runBlocks(threads, shared_bytes);
    shim::dynamicShared() = nullptr;
    return cudaSuccess;
}

}  // namespace gcpose
