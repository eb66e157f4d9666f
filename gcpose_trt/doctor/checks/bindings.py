"""cuda-python and pycuda, of which the TensorRT backend needs one."""

from __future__ import annotations

from collections.abc import Iterator

from gcpose_trt.doctor import remedies
from gcpose_trt.doctor.check import Check, absent, green, red, yellow
from gcpose_trt.doctor.checks.cuda import too_new
from gcpose_trt.doctor.machine import Situation

NAME = "CUDA in Python"


def check(situation: Situation) -> Iterator[Check]:
    """Import whichever is installed."""
    installed, machine = situation.probe.packages(), situation.machine
    version = installed.get("cuda-bindings") or installed.get("cuda-python")
    found: list[tuple[str, str, str]] = []
    if version is not None:
        found.append(("cuda-python", version, situation.probe.inspect("cuda_python").error))
    if "pycuda" in installed:
        found.append(("pycuda", installed["pycuda"], situation.probe.inspect("pycuda").error))
    facts = {name: {"version": number, "error": error or None} for name, number, error in found}
    if not found:
        text = "neither cuda-python nor pycuda; the TensorRT backend needs one"
        if machine.driver.usable:
            yield yellow(NAME, text, remedies.bindings(machine), blocks=True)
        else:
            yield absent(NAME, text)
        return
    working = [f"{name} {number}" for name, number, error in found if not error]
    broken = [f"{name} {number} cannot be loaded: {error}" for name, number, error in found if error]
    if not working:
        if machine.driver.usable:
            yield red(NAME, "; ".join(broken), remedies.bindings(machine), **facts)
        else:  # pycuda cannot be imported without libcuda, and nothing is wrong with that
            yield absent(
                NAME, f"{', '.join(f'{name} {number}' for name, number, _ in found)}; no driver to use it with", **facts
            )
        return
    if version is not None and too_new(version, machine) and working[0].startswith("cuda-python"):
        yield yellow(
            NAME,
            f"cuda-python {version} is newer than the driver's CUDA {machine.driver.cuda}: some calls are missing",
            remedies.bindings(machine),
            **facts,
        )
        return
    yield green(NAME, ", ".join(working) + (f" ({'; '.join(broken)})" if broken else ""), **facts)
