"""All sensors of energy that this machine has, read together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType

from gcpose_trt.benchmark.environment import cards, jetson, rails, rapl, tegrastats
from gcpose_trt.benchmark.environment.power import Source
from gcpose_trt.benchmark.environment.reading import attempt
from gcpose_trt.doctor.probe import Probe

_Opened = tuple[list[Source], dict[str, str]]


class Sensors:
    """Open sensors; also a context manager that closes them.

    Args:
        sources: where joules come from.
        absent: why there are not more, {sensor: reason}.
    """

    def __init__(self, sources: Sequence[Source], absent: dict[str, str]) -> None:
        self._sources = list(sources)
        self.absent = dict(absent)
        self.covers = {name: what for source in sources for name, what in source.covers.items()}
        """What each sensor measures, in words; the widest of each kind first."""

    @property
    def names(self) -> list[str]:
        """The sensors that give joules."""
        return list(self.covers)

    def read(self) -> dict[str, float]:
        """Return the joules of each sensor since it was opened. Raises nothing; a few milliseconds.

        Sensors overlap (the processor is in the platform, a rail in the module): they must not be added up. A sensor
        that falls silent is left out from then on and gets a line in `absent`.
        """
        found: dict[str, float] = {}
        for source in self._sources:
            failures: dict[str, str] = {}
            found |= attempt(source.read, failures, "failed", {})
            for name in source.covers:
                if name not in found and name in self.covers:
                    self.absent[name] = source.lost.get(name) or failures.get("failed") or "gave no reading"
                    del self.covers[name]
        return {name: joules for name, joules in found.items() if name in self.covers}

    def close(self) -> None:
        """Stop threads and programs. May be called twice."""
        for source in self._sources:
            attempt(source.close, {}, "close", None)
        self._sources = []

    def __enter__(self) -> Sensors:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_sensors(probe: Probe | None = None) -> Sensors:
    """Open every sensor that this user may read. Raises nothing; what is missing is in `absent`.

    Args:
        probe: the machine; None: this one.
    """
    probe = probe or Probe()
    sources: list[Source] = []
    absent: dict[str, str] = {}
    kinds: list[tuple[str, Callable[[Probe], _Opened]]] = [
        (rails.NAME, _jetson),
        (rapl.NAME, rapl.open_source),
        (cards.NAME, cards.open_source),
    ]
    nothing: _Opened = [], {}
    for name, opening in kinds:
        found, why = attempt(lambda opening=opening: opening(probe), absent, name, nothing)  # type: ignore[misc]
        sources += found
        absent |= why
    return Sensors(sources, absent)


def _jetson(probe: Probe) -> _Opened:
    if not jetson.is_jetson(probe):
        return [], {rails.NAME: "this is no Jetson"}
    found = rails.open_source(probe)
    if found:
        return found, {}
    found, why = tegrastats.open_source(probe)
    return found, {rails.NAME: why} if why else {}


def look(probe: Probe) -> tuple[list[str], dict[str, str]]:
    """Return the names of the sensors, and why there are not more."""
    with open_sensors(probe) as sensors:
        return sensors.names, sensors.absent
