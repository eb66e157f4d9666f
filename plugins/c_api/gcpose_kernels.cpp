// SPDX-License-Identifier: Apache-2.0

#include "gcpose_kernels.h"

#include <string>

#ifndef GCPOSE_VERSION
#define GCPOSE_VERSION "unknown"
#endif
#ifndef GCPOSE_ARCHITECTURES
#define GCPOSE_ARCHITECTURES ""
#endif

namespace {

template <typename Params>
int launchChecked(cudaError_t (*launch)(const Params&, cudaStream_t), const Params* params, void* stream)
{
    if (params == nullptr) {
        return static_cast<int>(cudaErrorInvalidValue);
    }
    return static_cast<int>(launch(*params, static_cast<cudaStream_t>(stream)));
}

// "75 80" becomes ["75", "80"].
std::string jsonList(const std::string& words)
{
    std::string list;
    std::string word;
    for (const char letter : words + " ") {
        if (letter != ' ') {
            word += letter;
        } else if (!word.empty()) {
            list += (list.empty() ? "\"" : ", \"") + word + "\"";
            word.clear();
        }
    }
    return "[" + list + "]";
}

std::string compiler()
{
#if defined(__clang__)
    return std::string("clang ") + __clang_version__;
#elif defined(__GNUC__)
    return std::string("g++ ") + __VERSION__;
#else
    return "unknown";
#endif
}

std::string describe()
{
    std::string text = std::string("{\"version\": \"") + GCPOSE_VERSION + "\", \"compiler\": \"" + compiler()
        + "\", \"architectures\": " + jsonList(GCPOSE_ARCHITECTURES);
#ifdef GCPOSE_TENSORRT
    text += std::string(", \"tensorrt\": \"") + GCPOSE_TENSORRT + "\"";
#else
    text += ", \"tensorrt\": null";
#endif
#ifdef GCPOSE_PLUGIN_INTERFACE
    text += std::string(", \"interface\": \"v") + std::to_string(GCPOSE_PLUGIN_INTERFACE) + "\"";
#else
    text += ", \"interface\": null";
#endif
#ifdef GCPOSE_CPU
    text += ", \"cpu\": true}";
#else
    text += ", \"cpu\": false}";
#endif
    return text;
}

}  // namespace

int gcpose_multi_level_roi_align(const gcpose::MultiLevelRoiAlignParams* params, void* stream)
{
    return launchChecked(&gcpose::launchMultiLevelRoiAlign, params, stream);
}

int gcpose_keypoint_decode(const gcpose::KeypointDecodeParams* params, void* stream)
{
    return launchChecked(&gcpose::launchKeypointDecode, params, stream);
}

int gcpose_letterbox(const gcpose::LetterboxParams* params, void* stream)
{
    return launchChecked(&gcpose::launchLetterbox, params, stream);
}

int gcpose_gcm_attention(const gcpose::GcmAttentionParams* params, void* stream)
{
    return launchChecked(&gcpose::launchGcmAttention, params, stream);
}

int gcpose_nms(const gcpose::NmsParams* params, void* stream)
{
    return launchChecked(&gcpose::launchNms, params, stream);
}

size_t gcpose_nms_workspace_bytes(int32_t batch, int32_t num_boxes, int32_t max_outputs)
{
    return gcpose::nmsWorkspaceBytes(batch, num_boxes, max_outputs);
}

const char* gcpose_error_string(int error)
{
    return cudaGetErrorString(static_cast<cudaError_t>(error));
}

const char* gcpose_build_info()
{
    static const std::string text = describe();
    return text.c_str();
}
