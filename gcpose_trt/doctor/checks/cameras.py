"""Cameras that the kernel shows."""

from __future__ import annotations

from collections.abc import Iterator

from gcpose_trt.doctor.check import Check, absent, green, yellow
from gcpose_trt.doctor.machine import Situation


def check(situation: Situation) -> Iterator[Check]:
    """List /dev/video* by name and try whether this user may open them."""
    probe = situation.probe
    names: dict[str, str] = {}
    for path in probe.paths("/dev/video*"):
        folder = f"/sys/class/video4linux/{path.rsplit('/', 1)[-1]}"
        # A USB camera has a second node with metadata only.
        if (probe.read(f"{folder}/index") or "0").strip() == "0":
            names[path] = (probe.read(f"{folder}/name") or "").strip() or "unnamed"
    if not names:
        hint = "; in a container: docker run --device /dev/video0 ..." if situation.machine.container else ""
        yield absent("Cameras", f"none{hint}")
        return
    closed = [path for path in names if not probe.usable(path)]
    text = ", ".join(f"{path} {name}" for path, name in names.items())
    if closed:
        yield yellow(
            "Cameras",
            f"{text}; this user may not open {', '.join(closed)}",
            "sudo usermod -aG video $USER, then log in again",
            cameras=names,
            closed=closed,
        )
    else:
        yield green("Cameras", text, cameras=names)
