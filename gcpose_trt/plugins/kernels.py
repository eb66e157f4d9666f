"""The kernels of a plugin library from Python, through its C interface.

Arguments are addresses (int) and sizes: whoever calls owns the memory and knows the shapes. Nothing is copied, and
nothing waits: a call launches on a CUDA stream and returns. Imports neither torch nor TensorRT.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError

MOST_LEVELS = 5
FLOAT32, FLOAT16 = 0, 1
LINEAR, CHANNELS_LAST = 0, 1

_Levels = ctypes.c_int32 * MOST_LEVELS
_REBUILD = "build it again with: gcpose-trt plugins build"


class _RoiAlignParams(ctypes.Structure):
    _fields_ = [
        ("features", ctypes.c_void_p * MOST_LEVELS),
        ("heights", _Levels),
        ("widths", _Levels),
        ("strides", _Levels),
        ("levels", ctypes.c_int32),
        ("batch", ctypes.c_int32),
        ("channels", ctypes.c_int32),
        ("rois", ctypes.c_void_p),
        ("batch_index", ctypes.c_void_p),
        ("index_bytes", ctypes.c_int32),
        ("num_rois", ctypes.c_int32),
        ("output_size", ctypes.c_int32),
        ("sampling_ratio", ctypes.c_int32),
        ("aligned", ctypes.c_int32),
        ("canonical_level", ctypes.c_int32),
        ("canonical_size", ctypes.c_float),
        ("type", ctypes.c_int32),
        ("feature_layout", ctypes.c_int32),
        ("output_layout", ctypes.c_int32),
        ("output", ctypes.c_void_p),
    ]


class _GcmAttentionParams(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("q", "k", "v", "rel_height", "rel_width", "output")),
        *((name, ctypes.c_int32) for name in ("num", "heads", "height", "width", "dim", "value_dim", "type")),
    ]


class _NmsParams(ctypes.Structure):
    _fields_ = [
        ("boxes", ctypes.c_void_p),
        ("scores", ctypes.c_void_p),
        ("groups", ctypes.c_void_p),
        ("index_bytes", ctypes.c_int32),
        ("batch", ctypes.c_int32),
        ("num_boxes", ctypes.c_int32),
        ("max_outputs", ctypes.c_int32),
        ("iou_threshold", ctypes.c_float),
        ("score_threshold", ctypes.c_float),
        ("indices", ctypes.c_void_p),
        ("count", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
    ]


class _KeypointDecodeParams(ctypes.Structure):
    _fields_ = [
        ("logits", ctypes.c_void_p),
        ("type", ctypes.c_int32),
        ("boxes", ctypes.c_void_p),
        ("num", ctypes.c_int32),
        ("joints", ctypes.c_int32),
        ("size", ctypes.c_int32),
        ("samples_per_cell", ctypes.c_int32),
        ("score_radius", ctypes.c_float),
        ("output", ctypes.c_void_p),
    ]


class _LetterboxParams(ctypes.Structure):
    _fields_ = [
        ("frame", ctypes.c_void_p),
        ("frame_pitch", ctypes.c_int64),
        ("frame_height", ctypes.c_int32),
        ("frame_width", ctypes.c_int32),
        ("canvas", ctypes.c_void_p),
        ("canvas_height", ctypes.c_int32),
        ("canvas_width", ctypes.c_int32),
        ("content_height", ctypes.c_int32),
        ("content_width", ctypes.c_int32),
    ]


_LAUNCHES: dict[str, type[ctypes.Structure]] = {
    "gcpose_multi_level_roi_align": _RoiAlignParams,
    "gcpose_gcm_attention": _GcmAttentionParams,
    "gcpose_nms": _NmsParams,
    "gcpose_keypoint_decode": _KeypointDecodeParams,
    "gcpose_letterbox": _LetterboxParams,
}


def check_complete(path: Path) -> None:
    """See that a shared library is all there: the loader maps one that was cut short, and the process dies of it.

    Raises:
        GcposeError: it is no 64-bit ELF file, or shorter than what its headers speak of.
    """
    with path.open("rb") as file:
        header = file.read(64)
        complete = len(header) == 64 and header[:5] == b"\x7fELF\x02"
        if complete:
            place, sections = struct.unpack_from("<QQ", header, 32)
            size, count, section_size, section_count = struct.unpack_from("<4H", header, 54)
            file.seek(place)
            table = file.read(size * count)
            length = path.stat().st_size
            complete = size >= 56 and len(table) == size * count
            complete = complete and sections + section_size * section_count <= length  # linkers put them last
            for start in range(0, size * count, size) if complete else ():
                offset, _, _, in_file = struct.unpack_from("<4Q", table, start + 8)
                complete = complete and offset + in_file <= length
    if not complete:
        raise GcposeError(f"{path} is not a plugin library for this machine (no library, or not all of it); {_REBUILD}")


def _open(path: Path) -> ctypes.CDLL:
    if not path.is_file():
        raise GcposeError(f"there is no plugin library at {path}; build one with: gcpose-trt plugins build")
    try:
        check_complete(path)
    except OSError as error:
        raise GcposeError(f"cannot read {path} ({error.strerror}); {_REBUILD}") from None
    try:
        library = ctypes.CDLL(str(path.absolute()))
    except OSError as error:
        reason = " ".join(str(error).split())
        raise GcposeError(f"{path} is not a plugin library for this machine ({reason}); {_REBUILD}") from None
    try:
        for name, params in _LAUNCHES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.POINTER(params), ctypes.c_void_p], ctypes.c_int
        library.gcpose_nms_workspace_bytes.argtypes = [ctypes.c_int32] * 3
        library.gcpose_nms_workspace_bytes.restype = ctypes.c_size_t
        library.gcpose_error_string.argtypes = [ctypes.c_int]
        library.gcpose_error_string.restype = ctypes.c_char_p
        library.gcpose_build_info.restype = ctypes.c_char_p
    except AttributeError:
        raise GcposeError(f"{path} is not a plugin library of gcpose-trt, or an old one; {_REBUILD}") from None
    return library


class Kernels:
    """The kernels of one library.

    Addresses are of device memory, or of host memory for a library that is built for the CPU (`build_info["cpu"]`).
    `type` is FLOAT32 or FLOAT16, layouts are LINEAR (NCHW) or CHANNELS_LAST (NHWC, channels padded to a multiple of 8).
    `stream` is a cudaStream_t as an int; 0 is the default stream. What each kernel computes, and its limits, is in the
    README.md of its folder in plugins/. A call that CUDA refuses raises GcposeError with CUDA's reason.

    Args:
        path: the library.

    Raises:
        GcposeError: there is none, or it is no plugin library for this machine.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._library = _open(self.path)
        self.build_info: dict[str, Any] = json.loads(self._library.gcpose_build_info())

    def multi_level_roi_align(
        self,
        *,
        features: Sequence[int],
        heights: Sequence[int],
        widths: Sequence[int],
        strides: Sequence[int],
        batch: int,
        channels: int,
        rois: int,
        batch_index: int,
        index_bytes: int,
        num_rois: int,
        output_size: int,
        sampling_ratio: int,
        aligned: bool,
        canonical_level: int,
        canonical_size: float,
        type: int,
        output: int,
        feature_layout: int = LINEAR,
        output_layout: int = LINEAR,
        stream: int = 0,
    ) -> None:
        """Pool rois (num_rois, 4) float32 from 1 to 5 features (batch, channels, heights[l], widths[l]) of `type`."""
        levels = len(features)
        if not 1 <= levels <= MOST_LEVELS or {len(heights), len(widths), len(strides)} != {levels}:
            raise GcposeError(
                f"{levels} features with {len(heights)} heights, {len(widths)} widths and {len(strides)} strides; "
                f"pass 1 to {MOST_LEVELS} of each"
            )
        params = _RoiAlignParams(
            features=(ctypes.c_void_p * MOST_LEVELS)(*features),
            heights=_Levels(*heights),
            widths=_Levels(*widths),
            strides=_Levels(*strides),
            levels=levels,
            batch=batch,
            channels=channels,
            rois=rois,
            batch_index=batch_index,
            index_bytes=index_bytes,
            num_rois=num_rois,
            output_size=output_size,
            sampling_ratio=sampling_ratio,
            aligned=int(aligned),
            canonical_level=canonical_level,
            canonical_size=canonical_size,
            type=type,
            feature_layout=feature_layout,
            output_layout=output_layout,
            output=output,
        )
        self._launch("gcpose_multi_level_roi_align", params, stream)

    def gcm_attention(
        self,
        *,
        q: int,
        k: int,
        v: int,
        rel_height: int,
        rel_width: int,
        output: int,
        num: int,
        heads: int,
        height: int,
        width: int,
        dim: int,
        value_dim: int,
        type: int,
        stream: int = 0,
    ) -> None:
        """Attend: q, k (num, heads * dim, height, width), v and output with value_dim, all of `type`."""
        params = _GcmAttentionParams(
            q, k, v, rel_height, rel_width, output, num, heads, height, width, dim, value_dim, type
        )
        self._launch("gcpose_gcm_attention", params, stream)

    def nms_workspace_bytes(self, batch: int, num_boxes: int, max_outputs: int) -> int:
        """Return the bytes of scratch memory that `nms` needs for these sizes."""
        return int(self._library.gcpose_nms_workspace_bytes(batch, num_boxes, max_outputs))

    def nms(
        self,
        *,
        boxes: int,
        scores: int,
        groups: int,
        index_bytes: int,
        batch: int,
        num_boxes: int,
        max_outputs: int,
        iou_threshold: float,
        score_threshold: float,
        indices: int,
        count: int,
        workspace: int,
        stream: int = 0,
    ) -> None:
        """Suppress boxes (batch, num_boxes, 4) float32; groups, indices and count have index_bytes 4 or 8."""
        params = _NmsParams(
            boxes,
            scores,
            groups,
            index_bytes,
            batch,
            num_boxes,
            max_outputs,
            iou_threshold,
            score_threshold,
            indices,
            count,
            workspace,
        )
        self._launch("gcpose_nms", params, stream)

    def keypoint_decode(
        self,
        *,
        logits: int,
        type: int,
        boxes: int,
        num: int,
        joints: int,
        size: int,
        samples_per_cell: int,
        score_radius: float,
        output: int,
        stream: int = 0,
    ) -> None:
        """Decode logits (num, joints, size, size) of `type` and boxes (num, 4) to output (num, joints, 3) float32."""
        params = _KeypointDecodeParams(logits, type, boxes, num, joints, size, samples_per_cell, score_radius, output)
        self._launch("gcpose_keypoint_decode", params, stream)

    def letterbox(
        self,
        *,
        frame: int,
        frame_pitch: int,
        frame_size: tuple[int, int],
        canvas: int,
        canvas_size: tuple[int, int],
        content_size: tuple[int, int],
        stream: int = 0,
    ) -> None:
        """Resize a frame into the top left of the canvas and blank the rest; both (H, W, 3) uint8.

        Args:
            frame: its rows lie `frame_pitch` bytes apart.
            frame_pitch: at least 3 times the width.
            frame_size, canvas_size: (height, width).
            canvas: packed.
            content_size: (height, width) of the resized frame.
            stream: to launch on.
        """
        params = _LetterboxParams(frame, frame_pitch, *frame_size, canvas, *canvas_size, *content_size)
        self._launch("gcpose_letterbox", params, stream)

    def _launch(self, name: str, params: ctypes.Structure, stream: int) -> None:
        code = getattr(self._library, name)(ctypes.byref(params), stream)
        if code != 0:
            reason = self._library.gcpose_error_string(code).decode(errors="replace")
            operation = name.removeprefix("gcpose_")
            raise GcposeError(
                f"the kernel {operation} was refused (CUDA error {code}: {reason}); "
                "check sizes and addresses, and that the library was built for this GPU"
            )
