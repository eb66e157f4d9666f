"""Memory that this process takes, on the host and on GPUs."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gcpose_trt.benchmark.environment.nvml import Nvml, connect
from gcpose_trt.doctor.probe import Probe

_STATUS = Path("/proc/self/status")


def host_peak(status: Path = _STATUS) -> int | None:
    """Return the most bytes of RAM that this process has held, by Linux; None where it does not say.

    Libraries that other processes have loaded too count in full.
    """
    try:
        match = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
    except OSError:
        return None
    return 1024 * int(match.group(1)) if match else None


class GpuMemory:
    """The memory of this process on all GPUs, the driver's part included. Tested with a stand-in for the library.

    Args:
        nvml: NVIDIA's management library, or None.
        reason: why there is none.

    Attributes:
        peak: the most bytes that `look` has seen; None if they are not known.
        reason: why not; "" if they are.
    """

    def __init__(self, nvml: Nvml | None, reason: str = "") -> None:
        self._nvml, self.reason = nvml, reason
        self.peak: int | None = None

    @classmethod
    def connected(cls) -> GpuMemory:
        """Open the library of this machine."""
        return cls(*connect(Probe()))

    def look(self) -> None:
        """Read what is in use now."""
        if self._nvml is None:
            return
        used = 0
        for index in range(len(self._nvml)):
            for process in self._nvml.ask("DeviceGetComputeRunningProcesses", index) or ():
                if process.pid == os.getpid():
                    used += process.usedGpuMemory or 0
        if used:
            self.peak, self.reason = max(used, self.peak or 0), ""
        elif self.peak is None:
            # To who asks inside a container, drivers give the host's numbers of processes, or a memory of 0.
            self.reason = "NVML does not tell the memory of this process; in a container, start it with --pid=host"

    def close(self) -> None:
        """Let go of the library."""
        if self._nvml is not None:
            self._nvml.close()
