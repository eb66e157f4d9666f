"""Which samples make up an iteration, and preparing them in worker processes.

An iteration's data is a pure function of (seed, iteration, rank). That is what makes resuming exact: nothing about the
workers has to be saved, and their timing cannot matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from gcpose_trt.errors import GcposeError
from gcpose_trt.training.augment import Sample, make_sample
from gcpose_trt.training.config import TrainConfig
from gcpose_trt.training.datasets import Array, CocoDataset

# Streams of random numbers that must not coincide.
_ORDER, _SAMPLE = 1, 2


@dataclass(frozen=True)
class Batch:
    """The images of one data set in one iteration.

    Attributes:
        dataset: index in the recipe's `datasets`.
        images: (B, H, W, 3) uint8 BGR.
        image_size: (B, 2) int64, valid (height, width).
        boxes, keypoints, ignore: for each image as in `Sample`.
    """

    dataset: int
    images: npt.NDArray[np.uint8]
    image_size: npt.NDArray[np.int64]
    boxes: list[Array]
    keypoints: list[Array]
    ignore: list[Array]


def collate(samples: Sequence[Sample], dataset: int, divisor: int, fill: int) -> Batch:
    """Pad samples at the right and bottom to a common size, a multiple of `divisor`."""
    height, width = (-(-max(sample.image.shape[axis] for sample in samples) // divisor) * divisor for axis in (0, 1))
    images = np.full((len(samples), height, width, 3), fill, np.uint8)
    for row, sample in zip(images, samples, strict=True):
        row[: sample.image.shape[0], : sample.image.shape[1]] = sample.image
    return Batch(
        dataset,
        images,
        np.array([sample.image_size for sample in samples], np.int64),
        [sample.boxes for sample in samples],
        [sample.keypoints for sample in samples],
        [sample.ignore for sample in samples],
    )


class BatchPlan:
    """Makes the batches of any iteration.

    Args:
        config: the recipe.
        roots: folders with the data.
        divisor: image sides are padded to a multiple of this.
        rank, world_size: this process and how many share each iteration's images.

    Raises:
        GcposeError: the data is not there or not what it should be.
    """

    def __init__(
        self, config: TrainConfig, roots: Sequence[Path], *, divisor: int = 32, rank: int = 0, world_size: int = 1
    ) -> None:
        self.datasets = [CocoDataset(dataset, roots) for dataset in config.datasets]
        self.seed, self.divisor, self.rank, self.world_size = config.seed, divisor, rank, world_size
        for n, dataset in enumerate(self.datasets):
            if dataset.config.batch % world_size:
                raise GcposeError(
                    f"datasets.{n}.batch is {dataset.config.batch}, which {world_size} processes cannot share; "
                    "give a multiple"
                )
        self._order = lru_cache(maxsize=4 * len(self.datasets))(self._shuffle)

    def _shuffle(self, index: int, epoch: int) -> npt.NDArray[np.int64]:
        """Return the order of one epoch; neighbours have like aspect ratios where whole images are padded together."""
        dataset = self.datasets[index]
        rng = np.random.default_rng([self.seed, _ORDER, index, epoch])
        order = rng.permutation(len(dataset.units))
        if dataset.config.augment.canvas is not None:
            return order
        upright = np.array([dataset.records[n].height > dataset.records[n].width for n, _ in dataset.units])[order]
        order = np.concatenate([order[~upright], order[upright]])
        batch = dataset.config.batch
        # Whole batches in any order; the remainder last, so that it does not shift the others.
        full = len(order) // batch
        starts = np.append(rng.permutation(full), full) * batch
        return np.concatenate([order[start : start + batch] for start in starts])

    def _unit(self, index: int, position: int) -> tuple[int, int]:
        dataset = self.datasets[index]
        epoch, place = divmod(position, len(dataset.units))
        return dataset.units[int(self._order(index, epoch)[place])]

    def batches(self, iteration: int) -> list[Batch]:
        """Return one batch for each data set.

        Raises:
            GcposeError: an image cannot be read.
        """
        out = []
        for index, dataset in enumerate(self.datasets):
            share = dataset.config.batch // self.world_size
            first = iteration * dataset.config.batch + self.rank * share
            samples = []
            for position in range(first, first + share):
                record, person = self._unit(index, position)
                rng = np.random.default_rng([self.seed, _SAMPLE, index, position])
                samples.append(make_sample(dataset.records[record], person, dataset.config.augment, rng))
            out.append(collate(samples, index, self.divisor, dataset.config.augment.fill))
        return out


class _Iterations:
    """Map-style data set for PyTorch's loader: item n is iteration n, or the error that it ran into."""

    def __init__(self, plan: BatchPlan) -> None:
        self.plan = plan

    def __getitem__(self, iteration: int) -> list[Batch] | GcposeError:
        try:
            return self.plan.batches(iteration)
        except GcposeError as error:
            # PyTorch would wrap an exception of a worker in its traceback; ours must stay one line.
            return error


class _CountFrom:
    """Sampler that counts up for ever, without state."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return itertools.count(self.start)


def _start_worker(_: int) -> None:
    import signal

    cv2.setNumThreads(0)
    # A Ctrl-C reaches the whole process group; only the trainer reacts, by finishing its iteration.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _identity(value: Any) -> Any:
    return value


def iterate_batches(plan: BatchPlan, start: int, workers: int) -> Iterator[list[Batch]]:
    """Yield the batches of iterations `start`, `start + 1`, ... for ever.

    Args:
        plan: what to make.
        start: first iteration.
        workers: processes that prepare batches ahead; 0 prepares each when asked.

    Raises:
        GcposeError: an image cannot be read, or a worker died.
    """
    from torch.utils.data import DataLoader

    loader: Any = DataLoader(
        _Iterations(plan),  # type: ignore[arg-type]
        batch_size=None,
        sampler=_CountFrom(start),
        num_workers=workers,
        collate_fn=_identity,
        worker_init_fn=_start_worker,
        prefetch_factor=3 if workers else None,
    )
    try:
        for item in loader:
            if isinstance(item, GcposeError):
                raise item
            yield item
    except RuntimeError as error:
        if "worker" not in str(error):
            raise
        raise GcposeError(
            "a data worker was killed, probably for lack of memory; set workers to a smaller number"
        ) from error
