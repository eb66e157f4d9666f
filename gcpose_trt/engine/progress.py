"""What the user sees while an engine is built."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import IO, Any

_WIDTH = 30
_SPINNER = "|/-\\"
_REDRAW_SECONDS = 0.1


@dataclass
class Phase:
    """A phase that the builder is in: `done` of its `steps`, and the phases within the step that it is at."""

    steps: int
    done: int = 0
    children: dict[str, Phase] = field(default_factory=dict)

    def fraction(self) -> float:
        """How much of the phase is done, 0 to 1; the phases within it count as one of its steps."""
        inner = max((child.fraction() for child in self.children.values()), default=0.0)
        return min(1.0, (self.done + inner) / max(1, self.steps))


class Progress:
    """Draws the events of a build: a bar where TensorRT reports progress, a spinner where it only logs.

    Args:
        stream: where to draw; on anything but a terminal one line a stage.
        verbose: print TensorRT's log too.
    """

    def __init__(self, stream: IO[str] | None = None, verbose: bool = False) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._verbose = verbose
        self._phases: dict[str, Phase] = {}
        self._root: Phase | None = None
        self._name = self._stage = ""
        self._start = self._drawn = time.monotonic()
        self._ticks = 0
        self._best = 0.0
        self._parts = ""

    def __call__(self, event: dict[str, Any]) -> None:
        """Take one event of the worker."""
        getattr(self, f"_on_{event['event']}", self._on_tick)(event)

    def close(self) -> None:
        """Remove the bar."""
        self._clear()

    def _on_part(self, event: dict[str, Any]) -> None:
        """A whole of several builds goes on to its next one."""
        self._clear()
        number, parts = int(event["number"]), int(event["parts"])
        self._parts = f"{'#' * number}{'.' * (parts - number)} {number + 1}/{parts} {event['name']} "
        self._print(f"{number + 1} of {parts}: {event['name']}")

    def _on_stage(self, event: dict[str, Any]) -> None:
        self._clear()
        self._stage = str(event["text"])
        self._phases, self._root, self._name, self._best = {}, None, "", 0.0
        self._start = time.monotonic()
        self._print(f"{self._stage} ...")

    def _on_stage_done(self, event: dict[str, Any]) -> None:
        self._clear()
        self._print(f"{event['text']} built in {time.monotonic() - self._start:.1f} s")

    def _on_log(self, event: dict[str, Any]) -> None:
        if self._verbose or "error" in event["severity"]:
            self._clear()
            self._print(f"[{event['severity']}] {event['text']}")
        self._on_tick(event)

    def _on_phase(self, event: dict[str, Any]) -> None:
        phase = Phase(int(event["steps"]))
        parent = self._phases.get(event["parent"] or "")
        if parent is not None:
            parent.children[event["name"]] = phase
        elif self._root is None:
            self._root = phase
        self._phases[event["name"]] = phase
        self._name = str(event["name"])
        self._draw()

    def _on_step(self, event: dict[str, Any]) -> None:
        phase = self._phases.get(event["name"])
        if phase is not None:
            phase.done = int(event["step"]) + 1
            phase.children.clear()
        self._draw()

    def _on_finish(self, event: dict[str, Any]) -> None:
        phase = self._phases.pop(event["name"], None)
        if phase is not None:
            phase.done, phase.children = phase.steps, {}
        self._draw()

    def _on_tick(self, event: dict[str, Any]) -> None:
        self._ticks += 1
        self._draw()

    @property
    def fraction(self) -> float:
        """How much of the stage is done; never falls, although TensorRT repeats some phases."""
        if self._root is not None:
            self._best = max(self._best, self._root.fraction())
        return self._best

    def _draw(self) -> None:
        now = time.monotonic()
        if not self._terminal or now - self._drawn < _REDRAW_SECONDS:
            return
        self._drawn = now
        if self._root is None:
            mark = _SPINNER[self._ticks % len(_SPINNER)]
            line = f"{mark} {self._stage}, {now - self._start:.0f} s"
        else:
            full = round(self.fraction * _WIDTH)
            line = f"[{'#' * full}{'.' * (_WIDTH - full)}] {self.fraction:4.0%} {now - self._start:.0f} s {self._name}"
        self._stream.write(f"\r\033[K{(self._parts + line)[:100]}")
        self._stream.flush()

    def _clear(self) -> None:
        if self._terminal:
            self._stream.write("\r\033[K")
            self._stream.flush()

    def _print(self, line: str) -> None:
        self._stream.write(f"{line}\n")
        self._stream.flush()
