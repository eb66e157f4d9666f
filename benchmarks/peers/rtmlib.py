"""RTMO (one stage) or RTMPose (with a detector) through the package rtmlib, in ONNX Runtime.

Resizing, normalising and decoding are rtmlib's own; this file gives it threads, keeps the boxes and scores that it
drops, and turns its joints into ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt import PoseFrame
from gcpose_trt.benchmark import adapting
from gcpose_trt.benchmark.contender import ContenderInfo, ContenderSpec, Image
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import KEYPOINTS
from gcpose_trt.runtime.preprocess import parse_size

TITLE = "RTMO or RTMPose (rtmlib)"
NEEDS = "the ONNX file of RTMO, or that of RTMPose and its detector's as detector=FILE"
WHAT = "the ONNX file of RTMO or RTMPose"
RTMO = "the ONNX file of RTMO, or that of RTMPose with detector=FILE"
SOURCE = "unpack end2end.onnx from one of the archives that rtmlib's README links, and give it"
INSTALL = "rtmlib onnxruntime"
LICENCE = "Apache-2.0 (code); weights as MMPose publishes them"

DETECTORS = {"yolox": "YOLOX", "rtmdet": "RTMDet"}  # rtmlib's class of each
RTMO_SIZE, DETECTOR_SIZE, RTMPOSE_SIZE = (640, 640), (640, 640), (256, 192)  # H, W
RTMO_SCORE, DETECTOR_SCORE = 0.7, 0.3  # rtmlib's own
PERSON = 0

Shapes = tuple[tuple[int | None, ...], ...]
# Shapes of outputs, None is any length; RTMDet and YOLOX may return labels as well.
RTMO_OUTPUTS: Shapes = ((1, None, 5), (1, None, KEYPOINTS, 3))
RTMPOSE_OUTPUTS: Shapes = ((1, KEYPOINTS, None), (1, KEYPOINTS, None))
DETECTOR_OUTPUTS: Shapes = ((1, None, 5), (1, None))


def missing(spec: ContenderSpec) -> str | None:
    """See `Adapter.missing`."""
    reason = adapting.missing_package("rtmlib", INSTALL) or adapting.missing_weights(spec.model, WHAT, SOURCE)
    if reason is None and "detector" in spec.options:
        reason = adapting.missing_weights(spec.options["detector"], "the ONNX file of the detector", SOURCE)
    return reason


def open(spec: ContenderSpec) -> OneStage | TopDown:
    """See `Adapter.open`.

    With the option "detector", a file, the model is RTMPose, else RTMO. Option "detector_kind" is "yolox", which it is
    if left out, or "rtmdet".
    """
    if reason := missing(spec):
        raise GcposeError(reason)
    adapting.check_spec(spec, backends=("onnxruntime",), options=("detector", "detector_kind"))
    adapting.onnx_providers(spec.device)  # for its error: rtmlib would run on the CPU without a word
    with adapting.ort_threads(spec.threads):
        return TopDown(spec) if "detector" in spec.options else OneStage(spec)


class OneStage:
    """RTMO.

    Args:
        spec: `size` is HxW, or one number for a square, if the file leaves it open; `min_score` is rtmlib's 0.7 if it
            is left out.

    Raises:
        GcposeError: the file is of another network, or of another size.
    """

    def __init__(self, spec: ContenderSpec) -> None:
        self._min_score = RTMO_SCORE if spec.min_score is None else spec.min_score
        self._tool = _tool("RTMO", spec.model, spec, RTMO, RTMO_OUTPUTS, score_thr=self._min_score)
        size = _input_size(self._tool, spec, RTMO_SIZE)
        self._tool.model_input_size = size
        self.info = _info(spec, [spec.model], size, "box")

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """See `Contender.run`."""
        laps = adapting.Laps()
        image, ratio = self._tool.preprocess(frame)
        laps.end("preprocess")
        people, joints = self._tool.inference(image)
        laps.end("network")
        # rtmlib drops boxes and their scores. As two more joints they go through its suppression with the person.
        corners = people[:, :, :4].reshape(*people.shape[:2], 2, 2)
        scores = np.repeat(people[:, :, None, 4:5], 2, axis=2)
        joints = np.concatenate([joints, np.concatenate([corners, scores], axis=3)], axis=2)
        if people.shape[1]:
            places, scores = self._tool.postprocess([people, joints], ratio, self._tool.nms_thr, self._tool.score_thr)
        else:
            places, scores = np.zeros((0, KEYPOINTS + 2, 2)), np.zeros((0, KEYPOINTS + 2))
        found = np.concatenate([places, scores[..., None]], axis=2)
        found = found[found[:, KEYPOINTS, 2] > 0]  # where it finds nobody rtmlib returns a person of zeros
        boxes = found[:, KEYPOINTS:, :2].reshape(-1, 4)
        result = _poses(boxes, found[:, KEYPOINTS, 2], found[:, :KEYPOINTS], frame, self._min_score)
        laps.end("postprocess")
        return result, laps.stages

    def close(self) -> None:
        """Drop the network."""
        del self._tool


class TopDown:
    """RTMPose behind a detector, one person after the other, as rtmlib runs it.

    Args:
        spec: see `open`; `size` is the detector's, as in `OneStage`; `min_score` is rtmlib's 0.3 if it is left out.

    Raises:
        GcposeError: a file is of another network, or of another size, or there is no such kind of detector.
    """

    def __init__(self, spec: ContenderSpec) -> None:
        kind = spec.options.get("detector_kind", "yolox")
        if kind not in DETECTORS:
            raise GcposeError(f"no kind of detector is called {kind!r}; choose from {', '.join(DETECTORS)}")
        self._min_score = DETECTOR_SCORE if spec.min_score is None else spec.min_score
        path = spec.options["detector"]
        what = "a detector that suppresses boxes itself, as rtmlib's README links them"
        self._detector = _tool(DETECTORS[kind], path, spec, what, DETECTOR_OUTPUTS)
        self._detector.model_input_size = _input_size(self._detector, spec, DETECTOR_SIZE)
        self._pose = _tool("RTMPose", spec.model, spec, "the ONNX file of RTMPose", RTMPOSE_OUTPUTS)
        height, width = _input_size(self._pose, replace(spec, size=None), RTMPOSE_SIZE)
        self._pose.model_input_size = (width, height)  # the other way round than all else in rtmlib
        self.info = _info(spec, [spec.model, path], self._detector.model_input_size, "box*keypoints")

    def run(self, frame: Image) -> tuple[PoseFrame, dict[str, float]]:
        """See `Contender.run`."""
        laps = adapting.Laps()
        image, ratio = self._detector.preprocess(frame)
        laps.end("preprocess")
        people, *labels = self._detector.inference(image)
        laps.end("detector")
        keep = people[0, :, 4] >= self._min_score
        if labels:
            keep &= labels[0][0] == PERSON
        # Not rtmlib's decoding of boxes: that drops their scores, and whoever is below 0.3.
        boxes, scores = people[0, keep, :4] / ratio, people[0, keep, 4]
        joints = np.zeros((len(boxes), KEYPOINTS, 3))
        laps.end("postprocess")
        for row, box in enumerate(boxes):
            crop, centre, scale = self._pose.preprocess(frame, box)
            laps.end("preprocess")
            outputs = self._pose.inference(crop)
            laps.end("pose")
            places, confidences = self._pose.postprocess(outputs, centre, scale)
            joints[row] = np.concatenate([places[0], confidences[0][:, None]], axis=1)
            laps.end("postprocess")
        result = _poses(boxes, scores, joints, frame, self._min_score)
        laps.end("postprocess")
        return result, laps.stages

    def close(self) -> None:
        """Drop the networks."""
        del self._detector, self._pose


def _tool(kind: str, path: str, spec: ContenderSpec, what: str, outputs: Shapes, **words: Any) -> Any:
    """Open a file as one of rtmlib's classes and check that its outputs are that class's."""
    import rtmlib

    try:
        tool = getattr(rtmlib, kind)(path, backend="onnxruntime", device=spec.device or "cpu", **words)
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime's exceptions have no public base class
        why = " ".join(str(error).split())
        raise GcposeError(f"{Path(path).name} cannot be opened ({why}); give {what}") from error
    adapting.check_provider(tool.session, spec.device)
    shapes = [output.shape for output in tool.session.get_outputs()]
    # A detector may leave the labels out.
    if not any(_fit(shapes, wanted) for wanted in (outputs, outputs[:1] if outputs is DETECTOR_OUTPUTS else outputs)):
        kinds = " and ".join("x".join(str(length) for length in shape) for shape in shapes)
        raise GcposeError(f"{Path(path).name} returns {kinds}, which is not {kind}'s; give {what}")
    return tool


def _fit(shapes: Sequence[Sequence[Any]], wanted: Shapes) -> bool:
    """Say whether shapes can be those; lengths that either side leaves open fit."""
    return [len(shape) for shape in shapes] == [len(shape) for shape in wanted] and all(
        want is None or not isinstance(have, int) or want == have
        for shape, lengths in zip(shapes, wanted, strict=True)
        for have, want in zip(shape, lengths, strict=True)
    )


def _input_size(tool: Any, spec: ContenderSpec, usual: tuple[int, int]) -> tuple[int, int]:
    """Return (H, W) of a network's input: the file's, or what was asked for where the file leaves it open."""
    height, width = tool.session.get_inputs()[0].shape[2:]
    rule = parse_size(spec.size)
    wanted = None if rule is None else rule.exact or (rule.long, rule.long)
    if not isinstance(height, int) or not isinstance(width, int):
        return wanted or usual
    if wanted not in (None, (height, width)):
        raise GcposeError(f"{Path(tool.onnx_model).name} takes {height}x{width} only, not {spec.size}; leave it out")
    return height, width


def _poses(boxes: NDArray[Any], scores: NDArray[Any], joints: NDArray[Any], frame: Image, least: float) -> PoseFrame:
    joints[..., 2] = np.clip(joints[..., 2], 0, 1)  # RTMPose's are heights of its distributions, some above 1
    return adapting.poses(boxes, np.clip(scores, 0, 1), joints, frame.shape, least)


def _info(spec: ContenderSpec, files: list[str], size: tuple[int, int], rank: str) -> ContenderInfo:
    return ContenderInfo(
        backend="onnxruntime",
        precision="fp32",
        device=spec.device or "cpu",
        version=adapting.version("rtmlib", "onnxruntime", "onnxruntime-gpu"),
        size=f"{size[0]}x{size[1]}",
        weights_sha256=adapting.sha256(*files),
        files=files,
        licence=LICENCE,
        rank=rank,
        keypoint_threshold=0.3,
    )
