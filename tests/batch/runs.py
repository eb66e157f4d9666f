"""Small batches with real networks, some of which die, and what they leave."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2

from gcpose_trt.batch.inference import Inference
from gcpose_trt.batch.local import LocalExecutor
from gcpose_trt.batch.types import Chunk, ChunkPoses, Recipe
from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.types import PoseFrame
from tests.support.clips import read_clip

SAMPLE = Path(__file__).resolve().parents[2] / "gcpose_trt/assets/sample.mp4"
OPTIONS: dict[str, Any] = {"precision": "int8", "size": 192, "segment_s": 0.7, "segment_images": 2}
ARGUMENTS = ["--precision", "int8", "--size", "192", "--segment", "0.7", "--segment-images", "2"]
PATIENCE_S = 120.0


def make_inputs(folder: Path) -> Path:
    """Make a folder with two clips of the sample (a: 20 frames in 3 segments), three pictures and a damaged clip."""
    images = [cv2.resize(image, (320, 180)) for image in read_clip(SAMPLE)[0][100:220:6]]
    (folder / "pictures").mkdir(parents=True)
    cut_clip(folder / "a.mp4", images)
    cut_clip(folder / "b.mp4", images[:9])
    (folder / "damaged.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + os.urandom(2000))
    for index in range(3):
        cv2.imwrite(str(folder / f"pictures/{index}.png"), images[3 * index])
    return folder


def cut_clip(path: Path, images: list[Any]) -> None:
    """Write a clip at 10 frames a second with a key frame every 8th."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "8", "sc_threshold": "0", "preset": "fast"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode(None))


def tree(folder: Path) -> dict[str, str]:
    """Return a digest of every result of a batch."""
    files = [path for path in folder.rglob("*") if path.is_file() and ".batch" not in path.parts]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def with_network(network: Any, workers: int = 1) -> Callable[..., LocalExecutor]:
    """Return what makes processes of this machine with another network."""
    return lambda recipe, on_frames: LocalExecutor(recipe, workers, None, on_frames, network)


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that must come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Say whether a process runs; one that waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def killed(marks: Path, source: str, times: int) -> Any:
    """Networks that are killed in segment 1 of a source, the first so many times; each leaves a line in `marks`."""
    return partial(_Killed, marks, source, times)


class _Killed:
    def __init__(self, marks: Path, source: str, times: int, recipe: Recipe, device: str | None) -> None:
        self._infer = Inference(recipe, device)
        self._marks, self._source, self._times = marks, source, times

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        before = self._marks.read_text().count("\n") if self._marks.exists() else 0
        hit = chunk.source_id.startswith(self._source) and chunk.segment == 1 and chunk.number == 2
        if hit and before < self._times:
            with self._marks.open("a") as stream:
                stream.write("killed\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return self._infer(chunk)


def stuck(marks: Path) -> Any:
    """Networks that write their process's number into `marks`, do one segment each and no more."""
    return partial(_Stuck, marks)


class _Stuck:
    def __init__(self, marks: Path, recipe: Recipe, device: str | None) -> None:
        self._infer = Inference(recipe, device)
        self._first: Any = None
        with marks.open("a") as stream:
            stream.write(f"{os.getpid()}\n")

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        self._first = self._first or (chunk.source_id, chunk.segment)
        while (chunk.source_id, chunk.segment) != self._first:
            time.sleep(0.05)
        return self._infer(chunk)


def hangs(marks: Path, times: int) -> Any:
    """Networks that find nobody, and hang in segment 0 of source "gone" so many times; each leaves its number."""
    return partial(_Hangs, marks, times)


class _Hangs:
    def __init__(self, marks: Path, times: int, recipe: Recipe, device: str | None) -> None:
        self._marks, self._times = marks, times

    def __call__(self, chunk: Chunk) -> ChunkPoses:
        before = self._marks.read_text().count("\n") if self._marks.exists() else 0
        if chunk.source_id == "gone" and before < self._times:
            with self._marks.open("a") as stream:
                stream.write(f"{os.getpid()}\n")
            while True:
                time.sleep(60)
        key = (chunk.source_id, chunk.segment, chunk.number, chunk.last)
        sizes = [image.shape[:2] for image in chunk.images]
        nobody = [PoseFrame.empty()] * len(sizes)
        found = (nobody, sizes, chunk.ordinals, chunk.times, chunk.warnings, chunk.failure, chunk.again)
        return ChunkPoses(*key, *found)


def refuses(recipe: Recipe, device: str | None) -> Any:
    """A network that cannot be opened."""
    raise GcposeError("there is no such model; give another")


def dies(marks: Path, recipe: Recipe, device: str | None) -> Any:
    """A network that takes its process with it as it is opened."""
    with marks.open("a") as stream:
        stream.write("died\n")
    os.abort()
