// SPDX-License-Identifier: Apache-2.0
// CUDA's device language, by nvcc or, with -DGCPOSE_CPU, by any C++17 compiler through the shim in ../cpu_shim.
//
// Kernels belong into an anonymous namespace: the shim puts their shared arrays into one section to poison them, and
// statics of templates with external linkage cannot go there.
#pragma once

#include "types.h"

#ifdef GCPOSE_CPU
#include "../cpu_shim/device.h"
#else
#include <cuda_fp16.h>
#include <cuda_runtime.h>

// Dynamic shared memory of the running block, aligned to 16 bytes.
#define GCPOSE_DYNAMIC_SHARED(type, name)                                        \
    extern __shared__ __align__(16) unsigned char gcpose_dynamic_shared[];       \
    type* const name = reinterpret_cast<type*>(gcpose_dynamic_shared)
#endif
