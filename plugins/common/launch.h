// SPDX-License-Identifier: Apache-2.0
// GCPOSE_LAUNCH(kernel, grid, block, shared_bytes, stream, args...): launches and gives a cudaError_t.
#pragma once

#include "portability.h"

#ifdef GCPOSE_CPU
#include "../cpu_shim/launch.h"
#else

namespace gcpose {

// 48 KB, of which static arrays of a kernel may take up to 16.
constexpr size_t kSharedBytesWithoutAsking = 32 * 1024;

template <typename... Params, typename... Args>
cudaError_t launchKernel(
    void (*kernel)(Params...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, const Args&... args)
{
    if (shared_bytes > kSharedBytesWithoutAsking) {
        const cudaError_t error = cudaFuncSetAttribute(
            reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
            static_cast<int>(shared_bytes));
        if (error != cudaSuccess) {
            (void)cudaGetLastError();  // the next launch must not find it
            return error;
        }
    }
    kernel<<<grid, block, shared_bytes, stream>>>(args...);
    return cudaGetLastError();
}

}  // namespace gcpose

#endif

// A macro and not the function alone, so that kernels read the same whatever launches them.
#define GCPOSE_LAUNCH(...) ::gcpose::launchKernel(__VA_ARGS__)
