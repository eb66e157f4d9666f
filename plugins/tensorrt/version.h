// SPDX-License-Identifier: Apache-2.0
// Which of TensorRT's generations the glue is compiled for, decided once from the headers.
//
// Only what TensorRT 8.5 (JetPack 5) and TensorRT 10.0 offer is used, so that one source serves 8.5 to 11.x.

#pragma once

#include <NvInferRuntime.h>

#if NV_TENSORRT_MAJOR < 8 || (NV_TENSORRT_MAJOR == 8 && NV_TENSORRT_MINOR < 5)
#error "the plugins need TensorRT 8.5 or later"
#endif

// IPluginV3, 64-bit dimensions, INT64 tensors and IPluginCreatorInterface all came with 10.0.
#define GCPOSE_TENSORRT_10 (NV_TENSORRT_MAJOR >= 10)

// IPluginRegistry::loadLibrary and ILoggerFinder came with 8.6.
#define GCPOSE_TENSORRT_LOADS_LIBRARIES (NV_TENSORRT_MAJOR > 8 || NV_TENSORRT_MINOR >= 6)

// 3 or 2; -DGCPOSE_PLUGIN_INTERFACE=2 forces the older one where both exist.
#ifndef GCPOSE_PLUGIN_INTERFACE
#if GCPOSE_TENSORRT_10
#define GCPOSE_PLUGIN_INTERFACE 3
#else
#define GCPOSE_PLUGIN_INTERFACE 2
#endif
#endif

#if GCPOSE_PLUGIN_INTERFACE == 3 && !GCPOSE_TENSORRT_10
#error "IPluginV3 needs TensorRT 10.0 or later; build with -DGCPOSE_PLUGIN_INTERFACE=2"
#endif
#if GCPOSE_PLUGIN_INTERFACE != 2 && GCPOSE_PLUGIN_INTERFACE != 3
#error "GCPOSE_PLUGIN_INTERFACE is 2 or 3"
#endif
