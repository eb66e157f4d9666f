"""The accuracy gate: no engine without the average precision that was asked for."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpose_trt.engine.process import Listener, run_job
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.evaluation import CocoAnnotations, load_annotations
from gcpose_trt.runtime.bundle import BundlePaths
from gcpose_trt.runtime.engine_record import file_sha256

_NAMED = 5  # blocks in the message


def annotations_of(request: BuildRequest) -> CocoAnnotations:
    """Return the annotations that a request is to be measured on.

    Raises:
        GcposeError: unreadable, nobody annotated in them, or an image is missing.
    """
    assert request.annotations is not None
    assert request.images is not None
    annotations = load_annotations(request.annotations)
    if request.max_images is not None:
        annotations = annotations.subset(annotations.image_ids[: request.max_images])
    if not any(not person["iscrowd"] and person["num_keypoints"] for person in annotations.people):
        raise GcposeError(
            f"{request.annotations} has no annotated person in the {len(annotations.images)} images looked at, so "
            "there is no AP to compare; give other annotations, or more images"
        )
    annotations.image_paths(request.images)
    return annotations


@dataclass
class Gate:
    """Compares what is to be an engine with the float model, on annotated images.

    Args:
        request: with `max_ap_drop`, `images` and `annotations`.
        paths: the float model.
        prepared: see `gcpose_trt.engine.worker.prepare`.
        work: folder for what is needed meanwhile.
        listener: told of the progress.
        flags: "verbose" and "debug" of the jobs.
    """

    request: BuildRequest
    paths: BundlePaths
    prepared: dict[str, Any]
    work: Path
    listener: Listener
    flags: dict[str, bool]
    _float_ap: float | None = None

    def check_graph(self, why: str) -> dict[str, Any]:
        """Measure the graph that the engine is built from, in ONNX Runtime on the CPU.

        Args:
            why: the engine itself is not measured.

        Returns:
            What `engine.json` says of it.

        Raises:
            GcposeError: it loses more than it may; the message names the blocks that INT8 harms most.
        """
        folder = self.work / "gate"
        try:
            self.listener({"event": "stage", "text": f"AP of the {self.request.precision} graph on the CPU"})
            found = self._run("measure_graph", folder=str(folder), quantize=self.prepared["int8"] is not None)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return {**self._judge(found), "measured": "graph in ONNX Runtime", "why": why}

    def measure_engine(self, folder: Path, plugins: str | None) -> dict[str, Any]:
        """Measure an engine without a verdict.

        Args:
            folder: of the engine.
            plugins: the library that it was built with.

        Returns:
            See `gcpose_trt.engine.evaluating.measure`.
        """
        return self._measure(folder, "tensorrt", "AP of the engine", plugins=plugins)

    def check_engine(self, folder: Path) -> dict[str, Any]:
        """Measure the engine, or, where it cannot be run, the graph; see `check_graph`."""
        found = self._measure(folder, "tensorrt", "AP of the engine")
        if "unable" in found:
            return self.check_graph(f"the engine could not be run here: {found['unable']}")
        return {**self._judge(found), "measured": "engine", "why": None}

    def measure_float(self) -> float:
        """Return the AP of the float model at the engine's size, measured once."""
        if self._float_ap is None:
            found = self._measure(self.paths.detector.parent, "onnxruntime", "AP of the FP32 model")
            self._float_ap = float(found["ap"])
        return self._float_ap

    def _measure(self, model: Path, backend: str, title: str, **values: Any) -> dict[str, Any]:
        self.listener({"event": "stage", "text": title})
        return self._run("measure", model=str(model), backend=backend, **values)

    def _run(self, job: str, **values: Any) -> dict[str, Any]:
        given = {
            "request": self.request.to_dict(),
            "detector": str(self.paths.detector),
            "pose": str(self.paths.pose),
            "record": self.prepared["model"],
            "size": self.prepared["size"],
            "max_people": self.prepared["max_people"],
        }
        return run_job({"job": job, **given, **values, **self.flags}, self.listener)

    def _judge(self, found: dict[str, Any]) -> dict[str, Any]:
        before, after, most = self.measure_float(), float(found["ap"]), self.request.max_ap_drop
        assert most is not None
        drop = 100 * (before - after)
        if drop > most:
            raise GcposeError(
                f"keypoint AP falls by {drop:.2f} points ({before:.4f} in FP32, {after:.4f} in "
                f"{self.request.precision}, {found['images']} images), more than {most:g}: no engine was written; "
                + self._advice()
            )
        assert self.request.annotations is not None
        return {
            "max_ap_drop": most,
            "ap_drop": round(drop, 4),
            "ap": {"fp32": before, self.request.precision: after},
            "images": found["images"],
            "annotations_sha256": file_sha256(self.request.annotations),
        }

    def _advice(self) -> str:
        if self.prepared["int8"] is None:
            return "build in a higher --precision, or allow more"
        self.listener({"event": "stage", "text": "looking for the blocks that INT8 harms most"})
        try:
            blocks = self._run("rank")["blocks"][:_NAMED]
        except GcposeError as error:  # the verdict stands, whatever became of its explanation
            return f"which blocks do the harm could not be found ({error})"
        if not blocks:
            return "build with --precision fp16"
        worst = ", ".join(f"{item['block']} ({item['harm']:.3f})" for item in blocks)
        return (
            f"INT8 harms most {worst}; leave them out with --exclude {blocks[0]['block']} and so on, choose another "
            "--calibration-method, or see gcpose-trt calibrate --sensitivity"
        )
