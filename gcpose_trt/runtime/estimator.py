"""Poses of the people in a frame: one class, whatever library runs the network."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from gcpose_trt.runtime.backends import Backend, FusedBackend
from gcpose_trt.runtime.backends.opening import BACKENDS, PRECISIONS, open_backend
from gcpose_trt.runtime.halves import CHUNK, estimate
from gcpose_trt.runtime.info import ModelInfo
from gcpose_trt.runtime.preprocess import Image, Placed, SizeRule, fit, parse_size, to_bgr8
from gcpose_trt.runtime.timing import Timing

__all__ = ["BACKENDS", "PRECISIONS", "PoseEstimator", "Timing"]


class PoseEstimator:
    """Finds the people in frames and their 17 joints.

    One estimator may be called from several threads at once.

    Args:
        model: a shipped name ("mobile"), a folder with detector.onnx and pose.onnx or either file, a checkpoint
            (.pth, .pt), a built `GCPoseRCNN`, or a folder of TensorRT engines.
        backend: "onnxruntime", "torch", "tensorrt", or "auto": torch for a module or a checkpoint, tensorrt for a
            folder of engines, else onnxruntime.
        size: how large frames are for the network: None (the model's own rule), an int (long side), (H, W) or "HxW"
            (exact letterbox, multiples of 32).
        min_score: people below this score are left out; None takes the model's own.
        max_people: keep the best so many; None takes the model's own.
        threads: CPU threads of one call; None leaves it to the backend.
        precision: "fp32", "fp16" or "int8"; None is what the files were made in, fp16 in PyTorch on a GPU, else fp32.
            ONNX Runtime runs int8, by the model's INT8 form beside it ("mobile-int8"), fastest on the CPU, and fp16
            slowly: it serves to see what fp16 does.
        device: where PyTorch or TensorRT run: "cpu", "cuda", "cuda:1"; None leaves it to the backend.

    Raises:
        GcposeError: no such model, it cannot be loaded, or an option is out of range.
        MissingDependencyError: the backend is not installed.

    Example:
        >>> import numpy as np
        >>> from gcpose_trt import PoseEstimator
        >>> with PoseEstimator("mobile") as estimator:  # doctest: +SKIP
        ...     poses = estimator(np.zeros((480, 640, 3), np.uint8))
        ...     print(len(poses), poses.keypoints.shape)
        0 (0, 17, 3)
    """

    def __init__(
        self,
        model: Any = "mobile",
        backend: str = "auto",
        size: int | str | tuple[int, int] | None = None,
        min_score: float | None = None,
        max_people: int | None = None,
        threads: int | None = None,
        precision: str | None = None,
        device: str | None = None,
    ) -> None:
        _check_options(backend, min_score, max_people, threads)
        wanted = parse_size(size)
        opened = open_backend(model, backend, threads, precision, device)
        self._backend: Backend | None = opened
        self._idle = threading.Condition()
        self._calls = 0
        self.info: ModelInfo = opened.info
        self.backend: str = opened.name
        self._precision, self._device = opened.precision, opened.device_name
        self.min_score: float = self.info.min_score if min_score is None else float(min_score)
        self.max_people: int = self.info.max_people if max_people is None else int(max_people)
        try:
            self._rule = size_rule(self.info, wanted, size, engine=self.backend == "tensorrt")
        except GcposeError:
            opened.close()  # nobody else could: there is no estimator
            raise

    @property
    def precision(self) -> str:
        """What the network computes in: "fp32", "fp16" or "int8"."""
        return self._precision

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0"."""
        return self._device

    @property
    def rank(self) -> str:
        """How evaluation orders the people, "box" or "box*keypoints"."""
        return self.info.rank

    @property
    def keypoint_threshold(self) -> float:
        """Confidence from which a joint is worth drawing."""
        return self.info.keypoint_threshold

    @overload
    def __call__(self, frames: NDArray[Any] | Placed) -> PoseFrame: ...

    @overload
    def __call__(self, frames: Sequence[NDArray[Any] | Placed]) -> list[PoseFrame]: ...

    def __call__(self, frames: Any) -> Any:
        """Find the people.

        Args:
            frames: one frame (H, W, 3) BGR uint8, H and W from 1 up, or a batch: (B, H, W, 3) or a list of frames of
                any sizes. Grey, 16-bit, floating point (0..1) frames and frames with alpha are converted. Backend
                tensorrt also takes frames on the GPU, as objects with `__cuda_array_interface__`: (H, W, 3) BGR uint8;
                the others also what `preprocess.place_ahead` made of a frame elsewhere, by this estimator's size.

        Returns:
            A PoseFrame in pixels of that frame, or a list of them, one a frame of the batch.

        Raises:
            GcposeError: not a frame, one that was resized for another size, the estimator is closed, or the network
                fails (out of memory).
        """
        if _is_one_frame(frames):
            return self.run(frames)[0]
        return self.run_batch(frames)[0]

    def run(self, frame: NDArray[Any] | Placed) -> tuple[PoseFrame, Timing]:
        """Find the people of one frame and say what it took; see `__call__`."""
        poses, timing = self.run_batch([frame])
        return poses[0], timing

    def run_batch(self, frames: NDArray[Any] | Sequence[NDArray[Any] | Placed]) -> tuple[list[PoseFrame], Timing]:
        """Find the people of each frame of a batch and say what the whole took; see `__call__`."""
        poses: list[PoseFrame] = []
        timing = Timing(0.0, 0.0, 0.0, 0.0)
        with self._in_use() as backend:
            for found, took in self._run_chunks(backend, frames):
                poses += found
                timing += took
        return poses, timing

    def stream(self, frames: Iterable[NDArray[Any] | Placed]) -> Iterator[tuple[PoseFrame, Timing]]:
        """Find the people of one frame after the other.

        Backend tensorrt works on a frame before it gives the poses of the one before: more frames a second than `run`,
        each a little later. The others take the frames in turn.

        Args:
            frames: as `run` takes them.

        Yields:
            The poses of each frame and what it took, in order.

        Raises:
            GcposeError: see `__call__`.
        """
        with self._in_use() as backend:
            if not isinstance(backend, FusedBackend):
                for frame in frames:
                    poses, timing = self._run_chunk(backend, [frame])
                    yield poses[0], timing
                return
            with closing(self._fused(backend, frames)) as results:
                for found, took in results:
                    share = took / len(found)
                    for poses_of_frame in found:
                        yield poses_of_frame, share

    def _run_chunks(
        self, backend: Backend, frames: NDArray[Any] | Sequence[NDArray[Any] | Placed]
    ) -> Iterator[tuple[list[PoseFrame], Timing]]:
        if isinstance(backend, FusedBackend):
            yield from self._fused(backend, frames)
            return
        chunk = backend.batch_limit or CHUNK
        for start in range(0, len(frames), chunk):
            yield self._run_chunk(backend, list(frames[start : start + chunk]))

    def _fused(
        self, backend: FusedBackend, frames: Iterable[Any]
    ) -> Generator[tuple[list[PoseFrame], Timing], None, None]:
        return backend.estimate(_whole(frames, self.backend), self._rule, self.min_score, self.max_people)

    def _run_chunk(self, backend: Backend, frames: list[NDArray[Any] | Placed]) -> tuple[list[PoseFrame], Timing]:
        start = time.perf_counter()
        images = [_on_host(frame, backend.name) for frame in frames]
        return estimate(backend, images, self._rule, self.min_score, self.max_people, start)

    def warmup(self, calls: int = 1) -> None:
        """Run on a blank frame, so that the first real one does not pay for allocation and tuning.

        Both halves of the network run, although the frame is empty.
        """
        box = fit((480, 640), self._rule)
        person = np.array([[0, 0, box.content[1], box.content[0]]], np.float32)
        with self._in_use() as backend:
            if isinstance(backend, FusedBackend):
                backend.warmup()
                return
            batch = backend.batch_limit or 1
            image = np.full((batch, *box.canvas, 3), 127, np.uint8)
            for _ in range(calls):
                found = backend.detect(image, np.array([box.content] * batch, np.int64))
                backend.pose(found.p2, person, np.zeros(1, np.int64))

    def close(self) -> None:
        """Free the network, once the calls that still run in other threads have ended. Closing twice is harmless."""
        with self._idle:
            backend, self._backend = self._backend, None
            self._idle.wait_for(lambda: self._calls == 0)
        if backend is not None:
            backend.close()

    @contextmanager
    def _in_use(self) -> Iterator[Backend]:
        """Keep the network from being freed while a call runs; any number of calls may."""
        with self._idle:
            if self._backend is None:
                raise GcposeError("the estimator is closed; make a new PoseEstimator")
            backend = self._backend
            self._calls += 1
        try:
            yield backend
        finally:
            with self._idle:
                self._calls -= 1
                self._idle.notify_all()

    def __enter__(self) -> PoseEstimator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _check_options(backend: str, min_score: float | None, max_people: int | None, threads: int | None) -> None:
    if backend not in BACKENDS:
        raise GcposeError(f"no backend is called {backend!r}; choose one of {', '.join(BACKENDS)}")
    if min_score is not None and not 0 <= min_score <= 1:
        raise GcposeError(f"min_score {min_score} is out of range; choose a number from 0 to 1")
    if max_people is not None and max_people < 1:
        raise GcposeError(f"max_people {max_people} is out of range; choose a whole number of at least 1")
    if threads is not None and threads < 1:
        raise GcposeError(f"threads {threads} is out of range; choose a whole number of at least 1")


def _is_one_frame(frames: Any) -> bool:
    if isinstance(frames, np.ndarray):
        return frames.ndim != 4
    if isinstance(frames, Placed):
        return True
    described = getattr(frames, "__cuda_array_interface__", None)
    return described is not None and len(described["shape"]) != 4


def _on_host(frame: Any, backend: str) -> Image | Placed:
    if isinstance(frame, Placed):
        return frame
    if hasattr(frame, "__cuda_array_interface__"):
        raise GcposeError(
            f"a frame lies on the GPU, where backend {backend} does not take it; pass a NumPy array, or use engines"
        )
    return to_bgr8(frame)


def _whole(frames: Iterable[Any], backend: str) -> Iterator[Any]:
    for frame in frames:
        if isinstance(frame, Placed):
            raise GcposeError(f"backend {backend} resizes frames itself, on the GPU; pass the whole frame")
        yield frame


def size_rule(info: ModelInfo, wanted: SizeRule | None, size: Any, engine: bool = False) -> SizeRule:
    """Return how large frames become for a model.

    Args:
        info: the model.
        wanted: what `parse_size` made of `size`.
        size: as the user gave it, for the message.
        engine: the model is one of TensorRT engines.

    Raises:
        GcposeError: the model takes inputs of another size only.
    """
    if wanted is None or (info.size is not None and wanted.exact == info.size):
        return info.size_rule
    if info.size is not None:
        fixed = f"{info.size[0]}x{info.size[1]}"
        asked = f"{wanted.exact[0]}x{wanted.exact[1]}" if wanted.exact else "HxW"
        make = "build-engine" if engine else "export"
        raise GcposeError(
            f"this model takes inputs of {fixed} only, not {size}; leave the size out, or {make.split('-')[0]} another "
            f"with gcpose-trt {make} {info.model} --size {asked}"
        )
    return wanted
