"""Power of a Jetson by NVIDIA's program tegrastats, where sysfs does not show the monitors.

Written after recorded output of JetPack 4 to 7; not run on a board.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
import time

from gcpose_trt.benchmark.environment import rails
from gcpose_trt.benchmark.environment.power import LONGEST_GAP, Clock, Integral, Source
from gcpose_trt.doctor.probe import Probe

_INTERVAL_MS = 100
_PATIENCE = 5.0
# "VDD_IN 4824mW/4790mW": now and on average; JetPack 4 leaves the unit out. Calibrated monitors may go below zero.
_RAIL = re.compile(r"(?<!\S)([A-Z][A-Z0-9_]*) (-?\d+)(?:mW(?:/-?\d+mW)?|/-?\d+)(?!\S)")


def parse(line: str) -> dict[str, float]:
    """Return watts by rail from a line of tegrastats; empty if it has none. Of equal names the first counts."""
    found: dict[str, float] = {}
    for name, milliwatts in _RAIL.findall(line):
        found.setdefault(name, int(milliwatts) / 1000)
    return found


class Tegrastats:
    """The program, running; its lines are added up as they come.

    Args:
        command: path of the program.
        clock: seconds, monotonic.

    Raises:
        ValueError: it tells no power; with the reason.
    """

    def __init__(self, command: str, clock: Clock = time.monotonic) -> None:
        self.covers: dict[str, str] = {}
        self.lost: dict[str, str] = {}
        self._clock = clock
        self._integrals: dict[str, Integral] = {}
        self._lock, self._told = threading.Lock(), threading.Event()
        self._process = subprocess.Popen(
            [command, "--interval", str(_INTERVAL_MS)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            # Ctrl-C is for us; we end it.
            start_new_session=True,
        )
        self._thread = threading.Thread(target=self._listen, name="tegrastats", daemon=True)
        self._thread.start()
        self._told.wait(_PATIENCE)
        if not self._integrals:
            self.close()
            raise ValueError(
                "tegrastats tells this user no power; if sudo tegrastats does, run the benchmark with sudo"
            )

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError, OSError):  # closed under our hands
            for line in self._process.stdout:
                self.take(line)
        # Nothing will come any more.
        self._told.set()

    def take(self, line: str) -> None:
        """Add a line up."""
        watts = rails.named(parse(line))
        with self._lock:
            now = self._clock()
            if watts and not self._integrals:
                self._integrals = {name: Integral(held=True) for name in watts}
                self.covers = {name: rails.covers(name) for name in watts}
            for name, integral in self._integrals.items():
                if name in watts:
                    integral.add(now, watts[name])
        if watts:
            self._told.set()

    def read(self) -> dict[str, float]:
        """See `Source.read`; the last line holds until the next one."""
        with self._lock:
            now = self._clock()
            for name, integral in self._integrals.items():
                if integral.age(now) > LONGEST_GAP:
                    self.lost.setdefault(name, f"tegrastats said nothing for {LONGEST_GAP:.0f} s")
            return {name: total.joules(now) for name, total in self._integrals.items() if name not in self.lost}

    def close(self) -> None:
        """See `Source.close`."""
        self._process.terminate()
        try:
            self._process.wait(2.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(1.0)
        if self._process.stdout is not None and not self._thread.is_alive():
            self._process.stdout.close()


def open_source(probe: Probe) -> tuple[list[Source], str]:
    """Return the source, running, and "", or why there is none."""
    command = probe.which("tegrastats")
    if command is None:
        return [], "neither power monitors in /sys/class/hwmon nor tegrastats; run on the host, not in a container"
    try:
        return [Tegrastats(command)], ""
    except (OSError, ValueError) as error:
        return [], str(error)
