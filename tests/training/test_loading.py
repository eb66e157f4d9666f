"""Batches are a function of seed and iteration, and every image gets its turn."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.training.config import AugmentConfig, DatasetConfig, TrainConfig
from gcpose_trt.training.loading import Batch, BatchPlan, iterate_batches


def recipe(**changes: object) -> TrainConfig:
    whole = AugmentConfig(short=(48, 64), long=128)
    crop = AugmentConfig(canvas=(64, 64), person_size=(20, 40))
    files = {"images": "images", "annotations": "annotations.json"}
    datasets = (
        DatasetConfig(**files, batch=2, augment=whole),  # type: ignore[arg-type]
        DatasetConfig(**files, batch=4, detection=False, augment=crop),  # type: ignore[arg-type]
    )
    return replace(TrainConfig(datasets=datasets, seed=3), **changes)  # type: ignore[arg-type]


def same(a: list[Batch], b: list[Batch]) -> bool:
    return all(
        np.array_equal(x.images, y.images)
        and np.array_equal(x.image_size, y.image_size)
        and all(np.array_equal(p, q) for p, q in zip(x.keypoints, y.keypoints, strict=True))
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_do_not_matter_nor_where_one_starts(figures: Path, workers: int) -> None:
    plan = BatchPlan(recipe(), [figures])
    expected = [plan.batches(n) for n in range(6)]
    stream = iterate_batches(BatchPlan(recipe(), [figures]), 2, workers)
    for wanted, found in zip(expected[2:], islice(stream, 4), strict=True):
        assert same(wanted, found)
    assert not same(expected[0], expected[1])


def test_seed_matters(figures: Path) -> None:
    first, second = (BatchPlan(recipe(seed=seed), [figures]).batches(0) for seed in (3, 4))
    assert not same(first, second)


def test_an_epoch_shows_every_image_once(figures: Path) -> None:
    plan = BatchPlan(recipe(), [figures])
    for epoch in range(3):
        shown = [plan._unit(0, position) for position in range(6 * epoch, 6 * epoch + 6)]
        assert sorted(shown) == [(n, -1) for n in range(6)]


def test_processes_share_what_one_would_see(figures: Path) -> None:
    whole = BatchPlan(recipe(), [figures]).batches(1)
    parts = [BatchPlan(recipe(), [figures], rank=rank, world_size=2).batches(1) for rank in (0, 1)]
    for n, batch in enumerate(whole):
        keypoints = [array for part in parts for array in part[n].keypoints]
        assert len(keypoints) == len(batch.keypoints)
        assert all(np.array_equal(a, b) for a, b in zip(keypoints, batch.keypoints, strict=True))
    with pytest.raises(GcposeError, match="which 3 processes cannot share"):
        BatchPlan(recipe(), [figures], world_size=3)


def test_padding_is_at_the_right_and_bottom(figures: Path) -> None:
    batch = BatchPlan(recipe(), [figures]).batches(0)[0]
    assert batch.images.shape[0] == 2
    assert batch.images.shape[1] % 32 == batch.images.shape[2] % 32 == 0
    for image, (height, width) in zip(batch.images, batch.image_size, strict=True):
        assert (image[height:] == 127).all()
        assert (image[:, width:] == 127).all()


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_image_is_one_line_from_any_process(figures: Path, tmp_path: Path, workers: int) -> None:
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(figures, folder)
    plan = BatchPlan(recipe(), [folder])
    for path in (folder / "images").iterdir():
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(GcposeError, match="cannot decode the image") as error:
        next(iterate_batches(plan, 0, workers))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_killed_worker_is_one_line(figures: Path) -> None:
    import multiprocessing
    import os
    import signal

    stream = iterate_batches(BatchPlan(recipe(), [figures]), 0, 1)
    next(stream)
    (worker,) = multiprocessing.active_children()
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(GcposeError, match="a data worker was killed"):
        for _ in range(20):
            next(stream)
