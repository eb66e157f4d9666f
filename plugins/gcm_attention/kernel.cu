// SPDX-License-Identifier: Apache-2.0
// Self-attention over the cells of a region with learned relative positions; see README.md beside this file.
#include "kernel.h"

#include <cmath>

#include "../common/launch.h"
#include "scalar.h"
#include "tensor_core.h"

namespace gcpose {
namespace {

using namespace gcm;

constexpr int64_t kSharedBytes = 48 * 1024;  // what a block may have on every GPU without asking
constexpr int32_t kMostCells = 1 << 20;      // cellOf is exact up to here
constexpr int64_t kMostBlocks = 0x7FFFFFFF;

int64_t divideUp(int64_t value, int64_t unit)
{
    return (value + unit - 1) / unit;
}

struct Device {
    int32_t capability;       // 75 for sm_75
    int32_t multiprocessors;
};

Device currentDevice()
{
#ifdef GCPOSE_CPU
    return Device{80, 4};
#else
    int device = 0, major = 0, minor = 0, multiprocessors = 0;
    const bool known =
        cudaGetDevice(&device) == cudaSuccess &&
        cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
        cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess &&
        cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, device) == cudaSuccess;
    return known ? Device{major * 10 + minor, multiprocessors} : Device{0, 1};
#endif
}

// Returns how many 16-bit numbers may be loaded at once from rows of `length` that begin at these addresses.
int32_t vectorOf(int64_t length, std::initializer_list<const void*> pointers)
{
    uintptr_t bits = static_cast<uintptr_t>(length * 2);
    for (const void* pointer : pointers) {
        bits |= reinterpret_cast<uintptr_t>(pointer);
    }
    return bits % 16 == 0 ? 8 : bits % 8 == 0 ? 4 : bits % 4 == 0 ? 2 : 1;
}

Arguments argumentsOf(const GcmAttentionParams& p)
{
    Arguments a{};
    a.q = p.q;
    a.k = p.k;
    a.v = p.v;
    a.rel_height = p.rel_height;
    a.rel_width = p.rel_width;
    a.output = p.output;
    a.heads = p.heads;
    a.height = p.height;
    a.width = p.width;
    a.dim = p.dim;
    a.value_dim = p.value_dim;
    a.cells = p.height * p.width;
    a.table_stride = (p.height + p.width) | 1;  // odd: rows of a warp's table begin in different banks
    a.cell_vector = vectorOf(a.cells, {p.k, p.v, p.output});
    a.table_vector = vectorOf(a.dim, {p.rel_height, p.rel_width});
    a.inverse_width = 1.0F / static_cast<float>(p.width);
    a.scale = static_cast<float>(std::log2(std::exp(1.0)) / std::sqrt(static_cast<double>(p.dim)));
    return a;
}

// Returns the blocks of a launch with this many queries and value channels a block, and notes the division in `a`.
int64_t divideWork(Arguments& a, int32_t num, int32_t queries, int32_t values)
{
    a.query_tiles = static_cast<int32_t>(divideUp(a.cells, queries));
    a.value_chunks = static_cast<int32_t>(divideUp(a.value_dim, values));
    return static_cast<int64_t>(num) * a.heads * a.query_tiles * a.value_chunks;
}

// Returns the warps a block, 0 if not even one fits. Many warps load keys and values for each other, few fill the GPU.
template <int kDim, int kValues>
int32_t warpsOf(Arguments& a, int32_t num, int32_t multiprocessors)
{
    const int64_t tiles = divideUp(a.cells, kWarpQueries);
    int64_t warps = kMostWarps;
    while (warps > 2 && divideWork(a, num, static_cast<int32_t>(warps) * kWarpQueries, kValues) < multiprocessors) {
        warps -= 2;
    }
    warps = divideUp(tiles, divideUp(tiles, warps));  // even shares
    while (warps > 0 && Tiles<kDim, kValues>::sharedBytes(static_cast<int32_t>(warps), a.table_stride) > kSharedBytes) {
        --warps;
    }
    return static_cast<int32_t>(warps);
}

// Launches the kernel for one size; `launched` stays false if its tables do not fit.
template <int kDim, int kValues>
cudaError_t launchTensorCore(Arguments a, int32_t num, const Device& device, bool& launched, cudaStream_t stream)
{
    const int32_t warps = warpsOf<kDim, kValues>(a, num, device.multiprocessors);
    launched = warps > 0;
    if (!launched) {
        return cudaSuccess;
    }
    const int64_t blocks = divideWork(a, num, warps * kWarpQueries, kValues);
    if (blocks > kMostBlocks) {
        return cudaErrorInvalidValue;
    }
    const auto shared = static_cast<size_t>(Tiles<kDim, kValues>::sharedBytes(warps, a.table_stride));
    return GCPOSE_LAUNCH((attendTensorCore<kDim, kValues>), dim3(static_cast<unsigned>(blocks)), dim3(warps * 32),
                         shared, stream, a);
}

cudaError_t launchBySize(const Arguments& a, int32_t num, const Device& device, bool& launched, cudaStream_t stream)
{
    if (a.dim <= 32) {
        return launchTensorCore<32, 32>(a, num, device, launched, stream);
    }
    if (a.dim <= 64) {
        return launchTensorCore<64, 64>(a, num, device, launched, stream);
    }
    if (a.dim <= 128) {
        return launchTensorCore<128, 128>(a, num, device, launched, stream);
    }
    return launchTensorCore<256, 128>(a, num, device, launched, stream);
}

template <typename T, int kRows>
cudaError_t launchRows(Arguments a, int32_t num, cudaStream_t stream)
{
    const int64_t shared = ScalarTiles<kRows>::sharedBytes(a.table_stride);
    const int64_t blocks = divideWork(a, num, ScalarTiles<kRows>::kQueries, kScalarValues);
    if (shared > kSharedBytes || blocks > kMostBlocks) {
        return cudaErrorInvalidValue;
    }
    return GCPOSE_LAUNCH((attendScalar<T, kRows>), dim3(static_cast<unsigned>(blocks)), dim3(kScalarThreads),
                         static_cast<size_t>(shared), stream, a);
}

template <typename T>
cudaError_t launchScalar(const Arguments& a, int32_t num, cudaStream_t stream)
{
    const bool wide = ScalarTiles<4>::sharedBytes(a.table_stride) <= kSharedBytes;
    return wide ? launchRows<T, 4>(a, num, stream) : launchRows<T, 1>(a, num, stream);
}

bool isValid(const GcmAttentionParams& p)
{
    if (p.num < 0 || p.heads <= 0 || p.height <= 0 || p.width <= 0 || p.dim <= 0 || p.value_dim <= 0) {
        return false;
    }
    if (static_cast<int64_t>(p.height) * p.width > kMostCells) {
        return false;
    }
    const int64_t stride = (static_cast<int64_t>(p.height) + p.width) | 1;
    if (ScalarTiles<1>::sharedBytes(stride) > kSharedBytes) {
        return false;
    }
    if (p.type != DataType::kFloat32 && p.type != DataType::kFloat16) {
        return false;
    }
    const bool given = p.q != nullptr && p.k != nullptr && p.v != nullptr && p.rel_height != nullptr &&
                       p.rel_width != nullptr && p.output != nullptr;
    return given || p.num == 0;
}

}  // namespace

cudaError_t launchGcmAttention(const GcmAttentionParams& params, cudaStream_t stream)
{
    if (!isValid(params)) {
        return cudaErrorInvalidValue;
    }
    if (params.num == 0) {
        return cudaSuccess;
    }
    const Arguments a = argumentsOf(params);
    if (params.type == DataType::kFloat32) {
        return launchScalar<float>(a, params.num, stream);
    }
    const Device device = currentDevice();
    if (device.capability >= 75 && params.dim <= 256) {
        bool launched = false;
        const cudaError_t error = launchBySize(a, params.num, device, launched, stream);
        if (launched || error != cudaSuccess) {
            return error;
        }
    }
    return launchScalar<__half>(a, params.num, stream);
}

}  // namespace gcpose
