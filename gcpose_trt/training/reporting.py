"""What a run tells while it goes: progress bar or lines, and TensorBoard scalars."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch

from gcpose_trt.errors import MissingDependencyError
from gcpose_trt.training.progress import MIB, TimeLeft, duration, peak_memory


class Reporter:
    """Averages the losses over `every` iterations, then writes them; a silent one (not `active`) does nothing.

    Args:
        folder: of the TensorBoard events.
        total: iterations of the run; None if the clock decides.
        start: iterations done before.
        every: iterations between reports.
        active: whether this process reports.
        seconds: what is left of a run that the clock ends.
        device: where the run computes, whose memory is told.
    """

    def __init__(
        self,
        folder: Path,
        *,
        total: int | None,
        start: int,
        every: int,
        active: bool,
        seconds: float | None = None,
        device: torch.device | None = None,
    ) -> None:
        self.every, self.active, self.total = every, active, total
        self._device = device or torch.device("cpu")
        self._left = TimeLeft(total=total, start=start, seconds=seconds)
        self._sums: dict[str, float] = defaultdict(float)
        self._count = 0
        self._since = time.perf_counter()
        if not active:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
            from tqdm import tqdm
        except ImportError as error:
            raise MissingDependencyError("tensorboard", "train", "training") from error
        # Events past the checkpoint belong to iterations that are done again.
        self._writer: Any = SummaryWriter(str(folder), purge_step=start + 1 if start else None)
        # A log file keeps lines, not a bar that is painted over.
        self._lines = not sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=start, unit="it", desc="training", disable=self._lines, smoothing=0.1)

    def step(self, iteration: int, values: dict[str, float], learning_rate: float) -> None:
        """Take in the losses of one iteration; `iteration` counts from 1."""
        if not self.active:
            return
        for name, value in values.items():
            self._sums[name] += value
        self._count += 1
        self._bar.update()
        if iteration % self.every:
            return
        means = {name: value / self._count for name, value in self._sums.items()}
        seconds = (time.perf_counter() - self._since) / self._count
        memory = peak_memory(self._device)
        for name, mean in means.items():
            self._writer.add_scalar(f"loss/{name}", mean, iteration)
        self._writer.add_scalar("learning_rate", learning_rate, iteration)
        self._writer.add_scalar("seconds_per_iteration", seconds, iteration)
        if memory is not None:
            self._writer.add_scalar("peak_memory_mib", memory / MIB, iteration)
        losses = " ".join(f"{name} {mean:.3f}" for name, mean in means.items())
        self._show(iteration, losses, learning_rate, seconds, memory)
        self._sums.clear()
        self._count, self._since = 0, time.perf_counter()

    def _show(self, iteration: int, losses: str, learning_rate: float, seconds: float, memory: int | None) -> None:
        left = self._left.after(iteration)
        rest = [] if left is None else [f"{duration(left)} left"]
        peak = [] if memory is None else [f"peak {memory / MIB:.0f} MiB"]
        if self._lines:
            number = f"iteration {iteration}" + (f" of {self.total}" if self.total is not None else "")
            facts = ", ".join([f"lr {learning_rate:.2e}", f"{seconds:.2f} s/it", *rest, *peak])
            print(f"{number}: {losses}, {facts}", file=sys.stderr, flush=True)
        else:
            # The bar itself tells the pace, and the time left of a run of known length.
            facts = ", ".join([*(rest if self.total is None else []), *peak])
            self._bar.set_postfix_str(f"{losses}, {facts}" if facts else losses)

    def scalars(self, iteration: int, values: dict[str, float]) -> None:
        """Write the results of an evaluation."""
        if not self.active:
            return
        for name, value in values.items():
            self._writer.add_scalar(f"validation/{name}", value, iteration)
        shown = " ".join(f"{name} {value:.4f}" for name, value in values.items())
        self._bar.write(f"iteration {iteration}: validation {shown}", file=sys.stderr)
        self._since = time.perf_counter()

    def close(self) -> None:
        """Finish the bar and the events file."""
        if self.active:
            self._bar.close()
            self._writer.close()
