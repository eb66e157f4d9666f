"""What adapters of peers share, so that each refuses in the same words, counts time alike and returns our poses.

An adapter of the user's own may use it as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gcpose_trt.benchmark.contender import ContenderSpec
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import KEYPOINTS, PoseFrame
from gcpose_trt.runtime.preprocess import parse_size

# Networks trained on COCO's keypoints as they are annotated give indices of pixels; a PoseFrame has continuous
# coordinates, in which the centre of the first pixel is at 0.5.
PIXEL_CENTRE = 0.5


class Laps:
    """A stopwatch for the stages of one frame.

    Attributes:
        stages: milliseconds by stage; a stage that ends twice adds up.
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self._last = time.perf_counter()

    def end(self, stage: str) -> None:
        """Count the time since the last end, or since the start, as that stage's."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + 1e3 * (now - self._last)
        self._last = now


def missing_package(module: str, install: str) -> str | None:
    """Return that a package is missing and how to install it, or None; the package is not imported.

    Args:
        module: what is imported.
        install: what follows `pip install`.
    """
    found = importlib.util.find_spec(module) is not None
    return None if found else f"the package {module} is not installed; pip install {install}"


def missing_weights(path: str, what: str, source: str) -> str | None:
    """Return that a file of weights is missing and where to get it, or None.

    Args:
        path: the file; "" if none was given.
        what: "the ONNX file of MoveNet MultiPose".
        source: how to get it, as an order.
    """
    if not path:
        return f"{what} was not given; {source}"
    if not Path(path).is_file():
        # The name alone: the reason goes into reports, which hold no folders of the machine.
        return f"there is no {Path(path).name}, {what}; {source}"
    return None


def check_spec(
    spec: ContenderSpec,
    backends: Collection[str] = (),
    options: Collection[str] = (),
    devices: Collection[str] = ("cpu", "cuda"),
) -> None:
    """Check the settings that peers share; all of them run in FP32.

    Args:
        spec: what was asked for.
        backends: words for `spec.backend`; "" and "auto" are always right.
        options: names that `spec.options` may have.
        devices: kinds of device.

    Raises:
        GcposeError: the peer has no such backend, precision, device or option, or a number is out of range.
    """
    peer = Path(spec.peer).stem
    if spec.backend not in ("", "auto", *backends):
        raise GcposeError(f"peer {peer} has no backend {spec.backend!r}; {_choice('backend', backends)}")
    if spec.precision not in (None, "fp32"):
        raise GcposeError(f"peer {peer} runs in fp32 only, not {spec.precision}; leave its precision out")
    if spec.device is not None and spec.device.split(":")[0] not in devices:
        raise GcposeError(f"peer {peer} does not run on {spec.device!r}; {_choice('device', devices)}")
    if unknown := sorted(set(spec.options) - set(options)):
        raise GcposeError(f"peer {peer} has no setting {unknown[0]!r}; {_choice('setting', options)}")
    if spec.threads is not None and spec.threads < 1:
        raise GcposeError(f"threads {spec.threads} is out of range; choose a whole number of at least 1")
    if spec.min_score is not None and not 0 <= spec.min_score <= 1:
        raise GcposeError(f"min_score {spec.min_score} is out of range; choose a number from 0 to 1")


def _choice(what: str, words: Collection[str]) -> str:
    return f"choose {what} {' or '.join(words)}, or leave it out" if words else "leave it out"


def square_size(spec: ContenderSpec, divisor: int = 1) -> int | None:
    """Return the wanted long side of a peer that takes no other kind of size; None is the peer's own.

    Args:
        spec: what was asked for.
        divisor: what the side must be a multiple of.

    Raises:
        GcposeError: not a size, or one of two sides.
    """
    rule = parse_size(spec.size, divisor)
    if rule is None:
        return None
    if rule.exact is not None or rule.long % divisor:
        kind = "one number, the long side" + (f", a multiple of {divisor}" if divisor > 1 else "")
        raise GcposeError(f"peer {Path(spec.peer).stem} cannot take size {spec.size}; give {kind}, or leave it out")
    return rule.long


def session_options(threads: int | None) -> ort.SessionOptions:
    """Return what our own backend gives ONNX Runtime too, so that both wait for their threads alike.

    Args:
        threads: of one call; None is one a physical core.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 4  # our errors are one line; it would print its own as well
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options


@contextlib.contextmanager
def ort_threads(threads: int | None) -> Iterator[None]:
    """Make libraries that open ONNX Runtime's sessions themselves, and have no setting for it, keep to our threads.

    Only for a process of its own: it stands in for `onnxruntime.InferenceSession` while the block runs.

    Args:
        threads: of one call; None is one a physical core.
    """
    original, options = ort.InferenceSession, session_options(threads)

    def opened(*args: Any, **words: Any) -> ort.InferenceSession:
        if len(args) > 1:
            return original(args[0], options, *args[2:], **words)
        return original(*args, **{**words, "sess_options": options})

    ort.InferenceSession = opened
    try:
        yield
    finally:
        ort.InferenceSession = original


def open_onnx(spec: ContenderSpec, path: str, what: str) -> ort.InferenceSession:
    """Open an ONNX file with the threads and on the device of `spec`.

    Args:
        spec: what was asked for.
        path: the file.
        what: "the ONNX file of MoveNet MultiPose", for the error.

    Raises:
        GcposeError: the file cannot be read, or this ONNX Runtime has no such device.
    """
    wanted = onnx_providers(spec.device)
    try:
        session = ort.InferenceSession(path, session_options(spec.threads), providers=wanted)
    except MemoryError:
        raise
    except Exception as error:  # its exceptions have no public base class
        why = " ".join(str(error).split())
        raise GcposeError(f"{Path(path).name} cannot be opened ({why}); give {what}") from error
    check_provider(session, spec.device)
    return session


def check_provider(session: ort.InferenceSession, device: str | None) -> None:
    """Check where a session runs: without CUDA's libraries ONNX Runtime takes the CPU, and says so in its log only.

    Raises:
        GcposeError: not on the device that was asked for.
    """
    if (device or "cpu").startswith("cuda") and "CUDAExecutionProvider" not in session.get_providers():
        raise GcposeError("ONNX Runtime could not start CUDA; install the CUDA and cuDNN that it names, or choose cpu")


def onnx_providers(device: str | None) -> list[Any]:
    """Return ONNX Runtime's name of a device: "cpu" (None too), "cuda", "cuda:1".

    Raises:
        GcposeError: this ONNX Runtime cannot use it.
    """
    kind, _, index = (device or "cpu").partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise GcposeError("this ONNX Runtime cannot use CUDA; pip install onnxruntime-gpu, or choose device cpu")
    return [("CUDAExecutionProvider", {"device_id": int(index or 0)})]


def torch_device(device: str | None) -> Any:
    """Return PyTorch's device: "cpu" (None too), "cuda", "cuda:1".

    Raises:
        GcposeError: PyTorch sees no such device.
    """
    import torch

    try:
        wanted = torch.device(device or "cpu")
        there = wanted.type != "cuda" or (wanted.index or 0) < torch.cuda.device_count()
    except RuntimeError:
        there = False
    if not there:
        raise GcposeError(f"PyTorch sees no device {device!r} here; choose cpu, or install its CUDA build")
    return wanted


def poses(
    boxes: NDArray[Any], scores: NDArray[Any], joints: NDArray[Any], shape: tuple[int, ...], min_score: float
) -> PoseFrame:
    """Make a `PoseFrame` of what a network trained on COCO's keypoints as annotated says.

    Args:
        boxes: (N, 4) x1, y1, x2, y2, continuous pixels of the frame; clipped to it here.
        scores: (N,) 0..1.
        joints: (N, 17, 3) x, y as indices of pixels of the frame, confidence 0..1.
        shape: of the frame, (height, width, ...).
        min_score: people below are left out.
    """
    boxes, scores = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(scores, np.float64).reshape(-1)
    joints = np.array(joints, np.float64).reshape(-1, KEYPOINTS, 3)
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] >= min_score]
    joints[..., :2] += PIXEL_CENTRE
    limits = (shape[1], shape[0], shape[1], shape[0])
    return PoseFrame(boxes=np.clip(boxes[order], 0, limits), scores=scores[order], keypoints=joints[order])  # type: ignore[arg-type]


def sha256(*paths: str | Path) -> str:
    """Return the digest of a file, or of several one after the other: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def version(*packages: str) -> str:
    """Return "torchvision 0.28.0, torch 2.13.0" of installed packages; those that are not installed are left out."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
