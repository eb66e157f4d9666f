"""One process or several: torchrun's environment, and agreeing on when to stop."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist

from gcpose_trt.errors import GcposeError


@dataclass(frozen=True)
class ProcessGroup:
    """This process among those that train together.

    Attributes:
        rank: number of this process; 0 writes the files.
        world_size: how many there are.
        device: where this process computes.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes checkpoints, logs and progress."""
        return self.rank == 0

    def agree(self, values: Sequence[float]) -> list[float]:
        """Return the largest of each value over all processes, the same everywhere."""
        if self.world_size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return [float(value) for value in tensor]

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world_size > 1:
            dist.barrier()


def choose_device(name: str, local_rank: int = 0) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        GcposeError: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise GcposeError(f"there is no device {name}; give cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise GcposeError(f"training does not run on {name}; give cpu or cuda")
    if device.type == "cpu":
        return device
    if not torch.cuda.is_available():
        raise GcposeError(f"--device {name}: PyTorch sees no NVIDIA GPU; give --device cpu")
    index = local_rank if device.index is None else device.index
    if index >= torch.cuda.device_count():
        raise GcposeError(f"there is no GPU {index}, only {torch.cuda.device_count()}; start fewer processes")
    return torch.device("cuda", index)


def join_processes(device_name: str) -> ProcessGroup:
    """Join the processes that torchrun started; alone, without torchrun.

    Raises:
        GcposeError: no such device.
    """
    world_size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    device = choose_device(device_name, int(os.environ.get("LOCAL_RANK", "0")))
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world_size > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return ProcessGroup(rank, world_size, device)


def leave_processes() -> None:
    """Undo `join_processes`."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
