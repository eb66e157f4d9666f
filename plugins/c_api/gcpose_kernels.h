// SPDX-License-Identifier: Apache-2.0
// The kernels for callers of other languages. Every function returns a cudaError_t as an int, and only launches on
// `stream` (a cudaStream_t); gcpose_trt/plugins/kernels.py repeats the structs for ctypes.
#pragma once

#include "../gcm_attention/kernel.h"
#include "../keypoint_decode/kernel.h"
#include "../letterbox/kernel.h"
#include "../multi_level_roi_align/kernel.h"
#include "../nms/kernel.h"

#define GCPOSE_API extern "C" __attribute__((visibility("default")))

GCPOSE_API int gcpose_multi_level_roi_align(const gcpose::MultiLevelRoiAlignParams* params, void* stream);
GCPOSE_API int gcpose_keypoint_decode(const gcpose::KeypointDecodeParams* params, void* stream);
GCPOSE_API int gcpose_letterbox(const gcpose::LetterboxParams* params, void* stream);
GCPOSE_API int gcpose_gcm_attention(const gcpose::GcmAttentionParams* params, void* stream);
GCPOSE_API int gcpose_nms(const gcpose::NmsParams* params, void* stream);

/// Bytes of scratch memory that gcpose_nms needs for these sizes.
GCPOSE_API size_t gcpose_nms_workspace_bytes(int32_t batch, int32_t num_boxes, int32_t max_outputs);

/// What a returned number means. The text lives as long as the library.
GCPOSE_API const char* gcpose_error_string(int error);

/// How the library was built, as JSON: version, compiler, architectures, tensorrt, interface, cpu.
GCPOSE_API const char* gcpose_build_info();
