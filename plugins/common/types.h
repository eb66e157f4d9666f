// SPDX-License-Identifier: Apache-2.0
// What a kernel's interface needs: element types, layouts, and CUDA's error and stream types. For host code too.
#pragma once

#ifdef GCPOSE_CPU
#include "../cpu_shim/cuda_runtime_api.h"
#else
#include <cuda_runtime_api.h>
#endif

#include <cstddef>
#include <cstdint>

namespace gcpose {

enum class DataType : int32_t { kFloat32 = 0, kFloat16 = 1 };

enum class Layout : int32_t {
    kLinear = 0,        // NCHW
    kChannelsLast8 = 1  // NHWC with C padded to a multiple of 8, TensorRT's kHWC8
};

}  // namespace gcpose
