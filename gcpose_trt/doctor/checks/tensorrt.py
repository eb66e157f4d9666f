"""TensorRT and its relatives: which module, which version, and which library file is really loaded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.doctor import remedies
from gcpose_trt.doctor.check import Check, absent, green, red, yellow
from gcpose_trt.doctor.machine import CPU, JETSON, Situation


def check_tensorrt(situation: Situation) -> Iterator[Check]:
    """Load TensorRT."""
    probe, machine = situation.probe, situation.machine
    if probe.module("tensorrt") is None:
        yield _missing(situation)
        return
    packaged = _packaged_cuda(situation)
    if packaged is not None and machine.driver.usable and packaged > (machine.driver.cuda_major or packaged):
        yield red(
            "TensorRT",
            f"the installed packages are for CUDA {packaged}, the driver serves only {machine.driver.cuda}",
            f"pip uninstall -y tensorrt-cu{packaged}; {remedies.tensorrt(machine)}",
        )
        return
    yield _loaded(situation, "TensorRT", "tensorrt", remedies.tensorrt(machine))


def check_rtx(situation: Situation) -> Iterator[Check]:
    """Load TensorRT-RTX if it is there."""
    if situation.probe.module("tensorrt_rtx") is None:
        if situation.machine.kind != JETSON:
            yield absent("TensorRT-RTX", "not installed; an alternative for RTX cards: pip install tensorrt-rtx-cu13")
        return
    yield _loaded(situation, "TensorRT-RTX", "tensorrt_rtx", "pip install --force-reinstall tensorrt-rtx-cu13")


def check_lean(situation: Situation) -> Iterator[Check]:
    """Load the lean runtime if it is there; the plugin library can be tried with it."""
    if situation.probe.module("tensorrt_lean") is not None:
        remedy = "pip install --force-reinstall tensorrt-lean-cu13"
        yield _loaded(situation, "Lean runtime", "tensorrt_lean", remedy)


def _loaded(situation: Situation, name: str, module: str, remedy: str) -> Check:
    result = situation.probe.inspect("tensorrt", module)
    facts = {"module": module, **result.facts}
    if result.error:
        if situation.machine.driver.usable or module != "tensorrt":
            return red(name, f"cannot be loaded: {result.error}", remedy, **facts)
        return absent(name, f"installed, but does not load here: {result.error}", **facts)
    version, library, inside = facts["version"], facts.get("library"), facts.get("library_version")
    text = f"{version}, {shorten(library, situation)}" if library else f"{version}, no library loaded yet"
    # The module's version may have a fourth number, the library's has three.
    if inside and version.split(".")[:3] != inside.split(".")[:3]:
        return red(
            name,
            f"the module is {version}, but {library} is {inside}: engines would be refused",
            "unset LD_LIBRARY_PATH" if situation.probe.env("LD_LIBRARY_PATH") else remedy,
            **facts,
        )
    note = "" if situation.machine.driver.usable else "; builds and runs engines with a GPU only"
    if module == "tensorrt_rtx":
        note = "" if situation.machine.driver.usable else "; builds here, runs with a GPU only"
    elif module == "tensorrt_lean":
        note = ""
    return green(name, text + note, **facts)


def shorten(path: str | None, situation: Situation) -> str:
    """Return a path with the environment's folder as `.venv/...` and the home folder as `~`."""
    text = path or ""
    environment = situation.probe.interpreter().environment
    if environment and text.startswith(f"{environment}/"):
        inside = re.sub(r"^lib/python[\d.]+/site-packages/", "", text[len(environment) + 1 :])
        return f".../{inside}"
    home = situation.probe.env("HOME")
    return f"~{text[len(home) :]}" if home and home != "/" and text.startswith(f"{home}/") else text


def _packaged_cuda(situation: Situation) -> int | None:
    """Return the CUDA that TensorRT's pip packages are for; None if none is installed."""
    found = [
        int(match[1]) for name in situation.probe.packages() if (match := re.fullmatch(r"tensorrt-cu(\d+)-libs", name))
    ]
    return max(found, default=None)


def _missing(situation: Situation) -> Check:
    probe, machine = situation.probe, situation.machine
    if machine.kind == CPU:
        return absent("TensorRT", "not installed; it needs an NVIDIA GPU")
    if not machine.driver.usable:
        return absent("TensorRT", "not installed; first the driver must show a GPU")
    system = probe.paths("/usr/lib/python3*/dist-packages/tensorrt/__init__.py")
    if machine.kind != JETSON or not system:
        return yellow(
            "TensorRT", "not installed; without it ONNX Runtime works", remedies.tensorrt(machine), blocks=True
        )
    # JetPack's module is made for the system's Python, whose version its file name carries.
    python = probe.interpreter()
    binary = " ".join(probe.paths("/usr/lib/python3*/dist-packages/tensorrt/tensorrt*.so"))
    match = re.search(r"cpython-3(\d+)", binary)
    ours = python.version.split(".")[1]
    if match and match[1] != ours:
        return yellow(
            "TensorRT",
            f"JetPack's is for Python 3.{match[1]}, this is 3.{ours}",
            f"python3.{match[1]} -m venv --system-site-packages .venv"
            if int(match[1]) >= 10
            else "flash JetPack 6 or later, or build its bindings: github.com/NVIDIA/TensorRT, folder python",
            blocks=True,
        )
    return yellow(
        "TensorRT",
        "JetPack's is installed, but this virtual environment does not see it",
        "python3 -m venv --system-site-packages .venv, and install gcpose-trt there",
        blocks=True,
    )
