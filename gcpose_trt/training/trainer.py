"""The training loop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gcpose_trt.errors import GcposeError
from gcpose_trt.model import GCPoseRCNN, build_model, load_checkpoint
from gcpose_trt.training import checkpointing, optim
from gcpose_trt.training.config import ScheduleConfig, TrainConfig
from gcpose_trt.training.distributed import ProcessGroup
from gcpose_trt.training.interruption import StopSignal
from gcpose_trt.training.loading import Batch, BatchPlan, iterate_batches
from gcpose_trt.training.objective import PoseObjective
from gcpose_trt.training.reporting import Reporter
from gcpose_trt.training.validation import Validator, make_validator

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_STREAM = 3  # of random numbers; see `loading` for the others


@dataclass(frozen=True)
class Outcome:
    """How a run ended: at its end or by a signal, after how many iterations, and the file to go on with."""

    finished: bool
    iteration: int
    path: Path


def rescale_schedule(schedule: ScheduleConfig, iterations: int) -> ScheduleConfig:
    """Return `schedule` with another length; the steps stay at the same fractions of the run."""
    steps = tuple(max(round(step * iterations / schedule.iterations), 1) for step in schedule.steps)
    return replace(schedule, iterations=iterations, steps=steps, warmup=min(schedule.warmup, iterations))


class Trainer:
    """One run.

    Args:
        config: the recipe.
        roots: folders with the data.
        output: folder of the run.
        init: weights to start from, anything that `load_checkpoint` reads; None starts from random weights.
        resume: go on from `output/last.pt` if it is there.
        minutes: end the run, schedule included, after this much time of training; None: after `schedule.iterations`.
        processes: this process among its fellows.
        validator: replaces the validation that the recipe describes.
        clock: tells the seconds that `minutes` are counted in; it never goes back.

    Raises:
        GcposeError: anything wrong with data, recipe, checkpoint or folder.
    """

    def __init__(
        self,
        config: TrainConfig,
        roots: Sequence[Path],
        output: Path,
        *,
        init: Path | None = None,
        resume: bool = False,
        minutes: float | None = None,
        processes: ProcessGroup,
        validator: Validator | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.output, self.minutes, self.processes = config, output, minutes, processes
        self._clock = clock
        self.device = processes.device
        self.last = output / "last.pt"
        resuming = self._check_output(resume)
        state = checkpointing.load_state(self.last, config) if resuming else None
        torch.manual_seed(config.seed)
        model = build_model(config.model)
        if init is not None and state is None:
            load_checkpoint(model, init)
        self.model: GCPoseRCNN = model.to(self.device)
        self.plan = BatchPlan(
            config, roots, divisor=model.config.divisor, rank=processes.rank, world_size=processes.world_size
        )
        self.validator = validator
        if validator is None and config.validation.every:
            self.validator = make_validator(config.validation, roots)
        optim.freeze(model, config.optimizer)
        self.optimizer = optim.build_optimizer(model, config.optimizer)
        self.average = optim.AveragedWeights(model, config.ema) if config.ema else None
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.generator = torch.Generator(device=self.device)
        self.iteration = 0
        self.elapsed = 0.0
        self.best: float | None = None
        self.learning_rate = 0.0
        if state is not None:
            self._restore(state)
        objective = PoseObjective(model, config)
        self.objective: nn.Module = objective
        if processes.world_size > 1:
            # Which branches take part depends on the data of each process.
            self.objective = nn.parallel.DistributedDataParallel(objective, find_unused_parameters=True)

    def _check_output(self, resume: bool) -> bool:
        """Return whether there is a run to resume."""
        if self.last.is_file() and not resume:
            raise GcposeError(f"{self.output} holds a run already; add --resume, or choose another --output")
        try:
            self.output.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GcposeError(f"cannot make {self.output} ({error.strerror}); choose another --output") from error
        return self.last.is_file()

    @property
    def shipped(self) -> GCPoseRCNN:
        """The network to evaluate and to ship: the averaged one if there is one."""
        if self.average is None:
            return self.model
        module = self.average.module
        assert isinstance(module, GCPoseRCNN)
        return module

    def _state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "average": self.average.module.state_dict() if self.average else None,
            "average_updates": self.average.updates if self.average else 0,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            # Random numbers and the data position follow from the seed and the iteration; see `_seed_iteration`.
            "iteration": self.iteration,
            "elapsed": self.elapsed,
            "best": self.best,
        }

    def _restore(self, state: dict[str, Any]) -> None:
        checkpointing.restore(self.model, state["model"], self.last)
        if self.average is not None:
            checkpointing.restore(self.average.module, state["average"], self.last)
            self.average.updates = state["average_updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.iteration, self.elapsed, self.best = state["iteration"], state["elapsed"], state["best"]

    def _seed_iteration(self) -> None:
        """Make all randomness of an iteration a function of its number, so that no generator's state need be saved."""
        words = [self.config.seed, _STREAM, self.iteration, self.processes.rank]
        seed = int(np.random.SeedSequence(words).generate_state(1)[0])
        torch.manual_seed(seed)
        self.generator.manual_seed(seed)

    def _progress(self) -> float:
        done = self.iteration / self.config.schedule.iterations
        return done if self.minutes is None else self.elapsed / (60 * self.minutes)

    def step(self, batches: list[Batch], progress: float) -> dict[str, float]:
        """Do one iteration and return the terms of its loss.

        Raises:
            GcposeError: a term or the gradient is not a finite number; the weights are not touched then.
        """
        self._seed_iteration()
        factor = optim.learning_rate_factor(self.config.schedule, self.iteration, progress)
        self.learning_rate = self.config.optimizer.lr * factor
        optim.set_learning_rate(self.optimizer, self.learning_rate)
        precision = self.config.precision
        with torch.autocast(self.device.type, _DTYPES[precision], enabled=precision != "fp32"):
            terms = self.objective(batches, self.generator)
        values = dict(zip(terms, torch.stack(list(terms.values())).detach().cpu().tolist(), strict=True))
        for name, value in values.items():
            if not np.isfinite(value):
                self._refuse(f"the loss {name} is {value}")
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(torch.stack(list(terms.values())).sum()).backward()
        self.scaler.unscale_(self.optimizer)
        trained = [parameter for parameter in self.model.parameters() if parameter.grad is not None]
        limit = self.config.optimizer.clip_norm or float("inf")
        norm = float(nn.utils.clip_grad_norm_(trained, limit))
        # In float16 the scaler skips such iterations and lowers its scale.
        if not np.isfinite(norm) and not self.scaler.is_enabled():
            self._refuse(f"the gradient is {norm}")
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update(self.model)
        return values

    def _refuse(self, what: str) -> None:
        kept = f"{self.last} is from before" if self.last.is_file() else "there is no checkpoint yet"
        raise GcposeError(
            f"{what} in iteration {self.iteration + 1} ({kept}); lower optimizer.lr or set optimizer.clip_norm, "
            "and check the annotations"
        )

    def save(self) -> None:
        """Write `last.pt`."""
        if self.processes.is_main:
            checkpointing.save_state(self.last, self.config, self._state())

    def validate(self, reporter: Reporter) -> None:
        """Evaluate, and keep the weights if they are the best yet."""
        if self.validator is None:
            return
        if self.processes.is_main:
            metrics = self.validator(self.shipped)
            optim.train_mode(self.model)
            reporter.scalars(self.iteration, metrics)
            value = metrics.get(self.config.validation.metric)
            if value is None:
                names = ", ".join(metrics)
                raise GcposeError(f"validation has no metric {self.config.validation.metric}; choose from {names}")
            if self.best is None or value > self.best:
                self.best = value
                self._save_model("best.pt", metrics=metrics)
        self.processes.wait()

    def _save_model(self, name: str, **facts: Any) -> Path:
        path = self.output / name
        weights = {key: value.detach().cpu() for key, value in self.shipped.state_dict().items()}
        checkpointing.save_model(path, weights, self.config, iteration=self.iteration, **facts)
        return path

    def run(self) -> Outcome:
        """Train to the end, or until a signal asks to stop.

        Raises:
            GcposeError: bad data on the way, a loss that is not finite, or no memory.
        """
        total = None if self.minutes is not None else self.config.schedule.iterations
        reporter = Reporter(
            self.output / "events",
            total=total,
            start=self.iteration,
            every=self.config.log_every,
            active=self.processes.is_main,
            seconds=None if self.minutes is None else 60 * self.minutes - self.elapsed,
            device=self.device,
        )
        optim.train_mode(self.model)
        with contextlib.closing(reporter), StopSignal() as stop, _out_of_memory_as_error():
            finished = self._loop(reporter, stop)
            self.save()
            if not finished:
                return Outcome(False, self.iteration, self.last)
            if self.iteration % max(self.config.validation.every, 1) or not self.config.validation.every:
                self.validate(reporter)
            if self.processes.is_main:
                self._save_model("model.pt")
            self.processes.wait()
        return Outcome(True, self.iteration, self.output / "model.pt")

    def _loop(self, reporter: Reporter, stop: StopSignal) -> bool:
        """Iterate; return False if a signal ended it."""
        stream = iterate_batches(self.plan, self.iteration, self.config.workers)
        started = self._clock() - self.elapsed
        while True:
            self.elapsed, stopped = self.processes.agree([self._clock() - started, float(stop.received)])
            progress = self._progress()
            if progress >= 1 or stopped:
                return not stopped
            values = self.step(next(stream), progress)
            self.iteration += 1
            reporter.step(self.iteration, values, self.learning_rate)
            if self.iteration % self.config.checkpoint_every == 0:
                self.save()
            if self.config.validation.every and self.iteration % self.config.validation.every == 0:
                self.validate(reporter)


@contextlib.contextmanager
def _out_of_memory_as_error() -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise GcposeError("out of memory; lower datasets.N.batch, the canvas or box.samples") from error
    except RuntimeError as error:
        # The CPU's allocator has no exception of its own.
        if "can't allocate memory" not in str(error):
            raise
        raise GcposeError("out of memory; lower datasets.N.batch, the canvas or box.samples") from error
