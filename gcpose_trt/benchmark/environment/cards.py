"""Energy of NVIDIA cards: NVML's counter, or its watts summed over time on GPUs before Volta."""

from __future__ import annotations

from gcpose_trt.benchmark.environment import jetson, nvml
from gcpose_trt.benchmark.environment.power import Polled, Source
from gcpose_trt.doctor.probe import Probe

NAME = "NVML"
_CARD = "the whole card"


class Cards:
    """The cards of an open library, which is closed with this.

    The counter moves in steps of some 20 to 100 ms: energy over less time than that is coarse.

    Args:
        library: the open library.
        counters: GPUs that count joules, by the sensor's name.
        meters: GPUs that tell watts only, by the sensor's name.
    """

    def __init__(self, library: nvml.Nvml, counters: dict[str, int], meters: dict[str, int]) -> None:
        self._library, self._counters = library, counters
        self._first = {name: library.joules(index) or 0.0 for name, index in counters.items()}
        summed = f"{_CARD}, from watts read twenty times a second"
        self.covers = dict.fromkeys(counters, _CARD) | dict.fromkeys(meters, summed)
        self.lost: dict[str, str] = {}

        def watts() -> dict[str, float]:
            found = {name: library.watts(index) for name, index in meters.items()}
            return {name: value for name, value in found.items() if value is not None}

        self._polled = Polled(watts, dict.fromkeys(meters, summed))
        if meters:
            self._polled.start()

    def read(self) -> dict[str, float]:
        """See `Source.read`."""
        found = {}
        for name, index in self._counters.items():
            value = self._library.joules(index)
            if value is None or value < self._first[name]:
                self.lost.setdefault(name, "NVML does not tell its energy any more")
            elif name not in self.lost:
                found[name] = value - self._first[name]
        found |= self._polled.read()
        self.lost |= self._polled.lost
        return found

    def close(self) -> None:
        """See `Source.close`."""
        self._polled.close()
        self._library.close()


def open_source(probe: Probe) -> tuple[list[Source], dict[str, str]]:
    """Return the source, counting, and why cards are left out."""
    if jetson.is_jetson(probe):
        return [], {NAME: "a Jetson's GPU has no sensor of its own there; its rail tells its power"}
    library, why = nvml.connect(probe)
    if library is None:
        return [], {NAME: why}
    counters, meters, absent = {}, {}, {}
    for index in range(len(library)):
        name = f"{NAME} GPU {index}"
        if library.joules(index) is not None:
            counters[name] = index
        elif library.watts(index) is not None:
            meters[name] = index
        else:
            absent[name] = "this GPU tells neither energy nor power"
    if counters or meters:
        return [Cards(library, counters, meters)], absent
    library.close()
    return [], absent or {NAME: "it sees no GPU"}
