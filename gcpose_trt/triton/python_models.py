"""What the models of an exported repository do in Triton's Python backend; each `model.py` there only names one.

Triton's module `triton_python_backend_utils`, here `utils`, exists inside the server only.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import Image
from gcpose_trt.triton.serving import Job, PoseService, Settings, pack
from gcpose_trt.video.images import decode_image

PICTURE, FRAME = "image", "frame"  # names of the inputs
OUTPUTS = ("count", "boxes", "scores", "keypoints")


class PythonModel:
    """What all of them share.

    Attributes:
        utils: `triton_python_backend_utils`; set by the subclass in `model.py`.
    """

    utils: Any

    def initialize(self, args: Mapping[str, str]) -> None:
        """Called once an instance, when the model is loaded.

        Args:
            args: Triton's: "model_config" (JSON), "model_name", "model_repository", "model_version".

        Raises:
            Exception: `TritonModelException` with one line; the model is not loaded then.
        """
        self.config = json.loads(args["model_config"])
        self.name = args["model_name"]
        self.folder = Path(args["model_repository"]) / args["model_version"]
        entries = self.config.get("parameters", {})
        self.parameters = {key: str(entry.get("string_value", "")) for key, entry in entries.items()}
        try:
            self.open()
        except GcposeError as error:
            raise self.utils.TritonModelException(str(error)) from error

    def open(self) -> None:
        """Make ready; overridden."""

    def error(self, error: Exception, client: bool = False) -> Any:
        """Return the response to a request that failed.

        Args:
            error: its message is one line.
            client: the request is at fault, not the server.
        """
        kind = getattr(self.utils.TritonError, "INVALID_ARG" if client else "INTERNAL", None)
        text = " ".join(str(error).split())
        wrong = self.utils.TritonError(text) if kind is None else self.utils.TritonError(text, kind)
        return self.utils.InferenceResponse(output_tensors=[], error=wrong)

    def response(self, outputs: Mapping[str, NDArray[Any]]) -> Any:
        """Return the response with these outputs."""
        tensors = [self.utils.Tensor(name, np.ascontiguousarray(array)) for name, array in outputs.items()]
        return self.utils.InferenceResponse(output_tensors=tensors)

    def input(self, request: Any, name: str) -> NDArray[Any]:
        """Return an input of a request as an array."""
        array: NDArray[Any] = self.utils.get_input_tensor_by_name(request, name).as_numpy()
        return array


class ServiceModel(PythonModel):
    """A model that clients call: requests with frames in, people out."""

    def open(self) -> None:
        """See `PythonModel.open`."""
        self._settings = Settings.from_parameters(self.parameters, self.name)
        self._service = PoseService(self._infer, self._settings)

    def frames(self, request: Any) -> list[Image]:
        """Return the frames of a request; overridden.

        Raises:
            GcposeError: one of them cannot be read.
        """
        raise self.utils.TritonModelException(f"{type(self).__name__} reads no requests")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests that Triton gathered; one that cannot be answered gets an error, the others do not."""
        jobs: list[Job | None] = []
        responses: list[Any] = []
        for request in requests:
            try:
                jobs.append(self._service.job(self.frames(request), self._request_parameters(request)))
                responses.append(None)
            except GcposeError as error:
                jobs.append(None)
                responses.append(self.error(error, client=True))
        wanted = [job for job in jobs if job is not None]
        if wanted:
            self._service.answer(wanted)
        for place, job in enumerate(jobs):
            if job is not None:
                responses[place] = self._respond(job)
        return responses

    def _respond(self, job: Job) -> Any:
        if job.error is not None:
            return self.error(job.error)
        return self.response(pack(pose for pose in job.poses if pose is not None))

    def _request_parameters(self, request: Any) -> dict[str, Any]:
        text = request.parameters() if hasattr(request, "parameters") else ""
        found = json.loads(text) if text else {}
        return found if isinstance(found, dict) else {}

    def _infer(self, model: str, inputs: Mapping[str, Any], outputs: Sequence[str]) -> dict[str, Any]:
        """See `gcpose_trt.triton.serving.Infer`; "p2" stays the server's tensor."""
        utils = self.utils
        tensors = [
            utils.Tensor(name, np.ascontiguousarray(value)) if isinstance(value, np.ndarray) else value
            for name, value in inputs.items()
        ]
        options = {}
        with contextlib.suppress(AttributeError):  # servers that leave outputs on the CPU anyway do not have it
            options["preferred_memory"] = utils.PreferredMemory(utils.TRITONSERVER_MEMORY_CPU, 0)
        request = utils.InferenceRequest(
            model_name=model, requested_output_names=list(outputs), inputs=tensors, **options
        )
        try:
            response = request.exec()
            reason = response.error().message() if response.has_error() else None
        except utils.TritonModelException as error:  # the server is not ready yet, or is about to end
            reason = str(error)
        if reason is not None:
            raise GcposeError(f"{model} failed ({' '.join(reason.split())}); see the server's log")
        found = {tensor.name(): tensor for tensor in response.output_tensors()}
        return {name: found[name] if name == "p2" else found[name].as_numpy() for name in outputs}


class PictureModel(ServiceModel):
    """Encoded pictures, BYTES [B, 1], to people."""

    def frames(self, request: Any) -> list[Image]:
        """See `ServiceModel.frames`."""
        elements = self.input(request, PICTURE).reshape(-1)
        name = f"input {PICTURE}"
        return [
            decode_image(bytes(element), name if len(elements) == 1 else f"{name}[{place}]")
            for place, element in enumerate(elements)
        ]


class FrameModel(ServiceModel):
    """Raw BGR frames, UINT8 [B, H, W, 3], to people."""

    def frames(self, request: Any) -> list[Image]:
        """See `ServiceModel.frames`."""
        frames = self.input(request, FRAME)
        if frames.size == 0:
            raise GcposeError(f"input {FRAME} is empty, shape {frames.shape}; pass at least one pixel")
        return list(frames)


class DetectorModel(PythonModel):
    """The first half of the network with ONNX Runtime; requests that Triton gathered run in one call."""

    def open(self) -> None:
        """See `PythonModel.open`."""
        self._graph = open_graph(self, "detector.onnx")
        self._batched = int(self.config.get("max_batch_size", 0)) > 0

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests that Triton gathered."""
        inputs = {name: [self.input(request, name) for request in requests] for name in ("image", "image_size")}
        groups: dict[tuple[int, ...], list[int]] = {}
        for place, image in enumerate(inputs["image"]):
            # Without batches each request is a call of its own.
            groups.setdefault(image.shape[1:] if self._batched else (place,), []).append(place)
        responses: list[Any] = [None] * len(requests)
        for places in groups.values():
            try:
                feeds = {name: np.concatenate([arrays[place] for place in places]) for name, arrays in inputs.items()}
                found = self._graph.run(feeds)
            except GcposeError as error:
                for place in places:
                    responses[place] = self.error(error)
                continue
            start = 0
            for place in places:
                rows = slice(start, start + len(inputs["image"][place]))
                start = rows.stop
                outputs = {name: array[rows] for name, array in found.items()}
                if self._batched:
                    outputs["count"] = outputs["count"].reshape(-1, 1)  # Triton has no outputs of batch alone
                responses[place] = self.response(outputs)
        return responses


class PoseModel(PythonModel):
    """The second half of the network with ONNX Runtime."""

    def open(self) -> None:
        """See `PythonModel.open`."""
        self._graph = open_graph(self, "pose.onnx")

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, one after the other: each has features of its own."""
        responses = []
        for request in requests:
            try:
                feeds = {name: self.input(request, name) for name in ("p2", "boxes", "batch_index")}
                responses.append(self.response(self._graph.run(feeds)))
            except GcposeError as error:
                responses.append(self.error(error))
        return responses


def open_graph(model: PythonModel, name: str) -> Any:
    """Return the graph beside a model's `model.py`, with its share of the machine's cores.

    Raises:
        GcposeError: it cannot be loaded, or the parameter "threads" is no number.
    """
    from gcpose_trt.triton.graphs import Graph, threads_of

    instances = sum(int(group.get("count", 1)) for group in model.config.get("instance_group", [{}]))
    asked = model.parameters.get("threads", "0")
    if not asked.isdecimal():
        raise GcposeError(f"parameter threads of {model.name} is {asked!r}; give a whole number, 0 for all cores")
    return Graph(model.folder / name, int(asked) or threads_of(instances))
