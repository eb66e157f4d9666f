// SPDX-License-Identifier: Apache-2.0
// A frame resized into the top left of the network's input; see README.md beside this file.
#pragma once

#include "../common/types.h"

namespace gcpose {

struct LetterboxParams {
    const uint8_t* frame;  // (frame_height, frame_width, 3), rows frame_pitch bytes apart
    int64_t frame_pitch;
    int32_t frame_height;
    int32_t frame_width;
    uint8_t* canvas;  // (canvas_height, canvas_width, 3), packed
    int32_t canvas_height;
    int32_t canvas_width;
    int32_t content_height;  // of the resized frame; the rest of the canvas becomes zeros
    int32_t content_width;
};

/// Launches on `stream`. cudaErrorInvalidValue where sizes are not positive or the content is larger than the canvas.
cudaError_t launchLetterbox(const LetterboxParams& params, cudaStream_t stream);

}  // namespace gcpose
