"""What a run tells while it goes: progress bar and TensorBoard scalars."""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from gcpose_trt.errors import MissingDependencyError


class Reporter:
    """Averages the losses over `every` iterations, then writes them; a silent one (not `active`) does nothing.

    Args:
        folder: of the TensorBoard events.
        total: iterations of the run; None if the clock decides.
        start: iterations done before.
        every: iterations between reports.
        active: whether this process reports.
    """

    def __init__(self, folder: Path, *, total: int | None, start: int, every: int, active: bool) -> None:
        self.every, self.active = every, active
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
        for name, mean in means.items():
            self._writer.add_scalar(f"loss/{name}", mean, iteration)
        self._writer.add_scalar("learning_rate", learning_rate, iteration)
        self._writer.add_scalar("seconds_per_iteration", seconds, iteration)
        shown = " ".join(f"{name} {mean:.3f}" for name, mean in means.items())
        self._bar.set_postfix_str(shown)
        if self._lines:
            line = f"iteration {iteration}: {shown} lr {learning_rate:.2e} {seconds:.2f} s"
            print(line, file=sys.stderr, flush=True)
        self._sums.clear()
        self._count, self._since = 0, time.perf_counter()

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
