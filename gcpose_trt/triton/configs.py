"""The `config.pbtxt` of each model of an exported repository."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gcpose_trt import __version__
from gcpose_trt.pose.types import KEYPOINTS
from gcpose_trt.runtime.preprocess import fit
from gcpose_trt.triton.pbtxt import COMMENT, Message, Name, parameters, render
from gcpose_trt.triton.python_models import FRAME, PICTURE
from gcpose_trt.triton.serving import Settings
from gcpose_trt.triton.source import Half, Source, Tensor

MARK = "Made by gcpose-trt export-triton"
WARMUP_FRAME = (480, 640)
WARMUP_SIZE = "image_size"  # a file in the folder `warmup` of the detector
_POSE_COMMENT = """No batches here: the first dimension of the boxes counts the people of all frames of a call,
batch_index says in whose frame each is, and p2 has one row a frame. Two requests could not be joined along it."""
_FIXED_COMMENT = "The file takes exactly the shapes below, batch included, so Triton must not add one."


@dataclass(frozen=True)
class Plan:
    """What to write.

    Attributes:
        source: the model.
        settings: what the models that clients call know.
        name: of the first of these; the others' begin with it.
        instances: copies of the network.
        queue_delay: microseconds that a request may wait for others.
    """

    source: Source
    settings: Settings
    name: str = "gcpose"
    instances: int = 1
    queue_delay: int = 2000

    @property
    def frame(self) -> str:
        """Name of the model that takes raw frames."""
        return f"{self.name}_frame"


def service_config(plan: Plan, frames: bool) -> str:
    """Return the configuration of a model that clients call.

    Args:
        plan: see `Plan`.
        frames: of the one that takes raw frames, not encoded pictures.
    """
    settings = plan.settings
    if frames:
        taken: Message = [("name", FRAME), ("data_type", Name("TYPE_UINT8")), ("dims", [-1, -1, 3])]
        # The Python backend gets each request by itself, so that their frames need not be of one size.
        taken.append(("allow_ragged_batch", True))
    else:
        taken = [("name", PICTURE), ("data_type", Name("TYPE_STRING")), ("dims", [1])]
    what = "raw BGR frames, UINT8 [H, W, 3]" if frames else "encoded pictures (JPEG, PNG, WebP), BYTES of one element"
    return render(
        [
            (COMMENT, f"{MARK} {__version__}.\nPeople of {what}, through {settings.detector} and {settings.pose}."),
            ("name", plan.frame if frames else plan.name),
            ("backend", "python"),
            ("max_batch_size", settings.batch),
            ("input", [taken]),
            (COMMENT, "In pixels of the picture; of several, those with fewer people are filled up with zeros."),
            ("output", [_output(*output) for output in _SERVICE_OUTPUTS]),
            *_gather(settings.batch, plan.queue_delay),
            (COMMENT, "One more than copies of the network: pictures are decoded while the network is busy."),
            ("instance_group", [[("count", plan.instances + 1), ("kind", Name("KIND_CPU"))]]),
            ("version_policy", [("latest", [("num_versions", 1)])]),
            (
                COMMENT,
                "No warm-up: it would run before Triton lets models call others. The two networks have their own.",
            ),
            (COMMENT, "To be changed: min_score and max_people (requests may say others), size (empty: the model's)."),
            *parameters(_service_parameters(plan)),
        ]
    )


_SERVICE_OUTPUTS = (
    ("count", "INT32", [1]),
    ("boxes", "FP32", [-1, 4]),
    ("scores", "FP32", [-1]),
    ("keypoints", "FP32", [-1, KEYPOINTS, 3]),
)


def _service_parameters(plan: Plan) -> dict[str, str]:
    settings = plan.settings
    return {
        "min_score": str(settings.min_score),
        "max_people": str(settings.max_people),
        "size": settings.size or "",
        "detector": settings.detector,
        "pose": settings.pose,
        "batch": str(settings.batch),
        "batch_limit": str(settings.batch_limit or 0),
        "buckets": " ".join(map(str, settings.buckets)),
        "int64": "true" if settings.int64 else "false",
        "model": json.dumps(plan.source.record),
    }


def detector_config(plan: Plan) -> str:
    """Return the configuration of the model that finds people."""
    source, batch = plan.source, detector_batch(plan)
    canvas = fit(WARMUP_FRAME, plan.settings.rule).canvas
    lead = [] if batch else [source.batch_limit or 1]
    data: dict[str, tuple[list[int], tuple[str, Any]]] = {
        "image": ([*lead, *canvas, 3], ("zero_data", True)),
        "image_size": ([*lead, 2], ("input_data_file", WARMUP_SIZE)),
    }
    inputs = [
        _warm_input(tensor.name, [("data_type", _kind(tensor)), ("dims", data[tensor.name][0]), data[tensor.name][1]])
        for tensor in source.detector.inputs
    ]
    gathering: Message = []
    if batch > 1:
        gathering = [
            (COMMENT, "The models in front have gathered frames already: join what waits, wait for no more."),
            ("dynamic_batching", [("max_queue_delay_microseconds", 0)]),
        ]
    return render(
        [
            (COMMENT, f"{MARK} {__version__}.\nThe half of the network that finds people; made for {plan.name}."),
            ("name", plan.settings.detector),
            *_backend(source),
            *([] if batch else [(COMMENT, _FIXED_COMMENT)]),
            ("max_batch_size", batch),
            *_tensors(source, source.detector, batch > 0),
            *gathering,
            _instances(plan, []),
            ("version_policy", [("latest", [("num_versions", 1)])]),
            ("model_warmup", [[("name", "one"), ("batch_size", 1), *inputs]]),
            *_threads(source),
        ]
    )


def detector_batch(plan: Plan) -> int:
    """Return `max_batch_size` of the detector: 0 where its file takes one number of frames only."""
    return plan.settings.batch if plan.source.batch_limit is None else 0


def pose_config(plan: Plan) -> str:
    """Return the configuration of the model that finds joints."""
    source = plan.source
    canvas = fit(WARMUP_FRAME, plan.settings.rule).canvas
    channels = next(tensor.shape[1] for tensor in source.pose.inputs if tensor.name == "p2")
    rows = source.batch_limit or 1
    warm = []
    for people in source.buckets or (1,):
        shapes = {
            "p2": [rows, channels, canvas[0] // 4, canvas[1] // 4],
            "boxes": [people, 4],
            "batch_index": [people],
        }
        inputs = [
            _warm_input(tensor.name, [("data_type", _kind(tensor)), ("dims", shapes[tensor.name]), ("zero_data", True)])
            for tensor in source.pose.inputs
        ]
        warm.append([("name", f"{people}"), ("batch_size", 1), *inputs])
    return render(
        [
            (COMMENT, f"{MARK} {__version__}.\nThe half of the network that finds joints; made for {plan.name}."),
            ("name", plan.settings.pose),
            *_backend(source),
            (COMMENT, _POSE_COMMENT),
            ("max_batch_size", 0),
            *_tensors(source, source.pose, False),
            _instances(plan, [str(profile) for profile in range(len(source.buckets))]),
            ("version_policy", [("latest", [("num_versions", 1)])]),
            ("model_warmup", warm),
            *_threads(source),
        ]
    )


def _backend(source: Source) -> Message:
    file = {"onnxruntime": "model.onnx", "tensorrt": "model.plan", "python": "model.py"}[source.runtime]
    return [("backend", source.runtime), ("default_model_filename", file)]


def _threads(source: Source) -> Message:
    if source.runtime == "python":
        comment = "CPU threads of one instance; 0: all cores, shared among the instances."
        return [(COMMENT, comment), *parameters({"threads": "0"})]
    if source.runtime == "onnxruntime":
        comment = "CPU threads of one instance; 0: one a physical core."
        return [(COMMENT, comment), *parameters({"intra_op_thread_count": "0"})]
    return []


def _instances(plan: Plan, profiles: list[str]) -> tuple[str, list[Message]]:
    kind = {"onnxruntime": "KIND_AUTO", "tensorrt": "KIND_GPU", "python": "KIND_CPU"}[plan.source.runtime]
    group: Message = [("count", plan.instances), ("kind", Name(kind))]
    if profiles:
        group.append(("profile", profiles))
    return ("instance_group", [group])


def _gather(batch: int, delay: int) -> Message:
    if batch < 2:
        return []
    preferred = sorted({size for size in (batch // 2, batch) if size > 1})
    return [
        ("dynamic_batching", [("preferred_batch_size", preferred), ("max_queue_delay_microseconds", delay)]),
    ]


def _tensors(source: Source, half: Half, batched: bool) -> Message:
    return [
        ("input", [_tensor(tensor, batched, source.runtime) for tensor in half.inputs]),
        ("output", [_tensor(tensor, batched, source.runtime) for tensor in half.outputs]),
    ]


def _tensor(tensor: Tensor, batched: bool, runtime: str) -> Message:
    dims = list(tensor.shape[1:] if batched else tensor.shape)
    message: Message = [("name", tensor.name), ("data_type", _kind(tensor)), ("dims", dims or [1])]
    if not dims and runtime != "python":
        # One number a frame: Triton wants a dimension beside the batch, the file has none.
        message.append(("reshape", [("shape", [])]))
    return message


def _output(name: str, kind: str, dims: list[int]) -> Message:
    return [("name", name), ("data_type", Name(f"TYPE_{kind}")), ("dims", dims)]


def _kind(tensor: Tensor) -> Name:
    return Name(f"TYPE_{tensor.kind}")


def _warm_input(name: str, value: Message) -> tuple[str, Message]:
    return ("inputs", [("key", name), ("value", value)])
