"""The CUDA runtime and its compiler, and whether the driver serves them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.doctor import remedies
from gcpose_trt.doctor.check import Check, absent, green, red, yellow
from gcpose_trt.doctor.machine import Machine, Situation
from gcpose_trt.doctor.probe import Probe


def check_runtime(situation: Situation) -> Iterator[Check]:
    """Find the runtime library that programs are linked with and compare it with the driver."""
    machine = situation.machine
    result = situation.probe.inspect("cuda_runtime", timeout=4.0)
    runtime = result.facts.get("cuda")
    facts = dict(result.facts)
    if result.error:
        yield red("CUDA runtime", f"cannot be loaded: {result.error}", remedies.nvcc(machine), **facts)
    elif runtime is None:
        # Nothing of ours is linked with it: the plugin library brings its own, TensorRT's packages too.
        yield absent("CUDA runtime", "no libcudart on the loader's path; nothing here needs one")
    elif too_new(str(runtime), machine):
        text = f"{runtime} ({facts['library']}), but the driver serves only CUDA {machine.driver.cuda}"
        yield red("CUDA runtime", text, remedies.newer_driver(machine), **facts)
    else:
        yield green("CUDA runtime", f"{runtime} ({facts['library']})", **facts)


def check_nvcc(situation: Situation) -> Iterator[Check]:
    """Find nvcc, which builds the plugin library, and compare it with the driver."""
    machine, probe = situation.machine, situation.probe
    path = find_nvcc(probe)
    if path is None:
        text = "no CUDA compiler; only `gcpose-trt plugins build` needs it"
        if machine.driver.usable:
            yield yellow("nvcc", text, remedies.nvcc(machine), blocks=True)
        else:
            yield absent("nvcc", text)
        return
    answer = probe.run(path, "--version")
    match = re.search(r"release (\d+\.\d+), V([\d.]+)", answer.text)
    if not answer.ok or match is None:
        why = f"does not answer ({answer.problem})" if answer.problem else f"fails: {answer.last_words}"
        yield red("nvcc", f"{path} {why}", remedies.nvcc(machine), path=path)
    elif too_new(match[1], machine):
        text = f"{match[2]} ({path}), but the driver serves only CUDA {machine.driver.cuda}"
        yield red(
            "nvcc",
            f"{text}: what it compiles would not load",
            remedies.newer_driver(machine),
            path=path,
            version=match[2],
        )
    else:
        yield green("nvcc", f"{match[2]} ({path})", path=path, version=match[2])


def find_nvcc(probe: Probe) -> str | None:
    """Return the compiler on the PATH, of CUDA_HOME, where NVIDIA puts it, or pip."""
    home = probe.env("CUDA_HOME") or probe.env("CUDA_PATH")
    places = [f"{home}/bin/nvcc"] if home else []
    places += ["/usr/local/cuda/bin/nvcc", *reversed(probe.paths("/usr/local/cuda-*/bin/nvcc"))]
    # The packages of pip put it beside the other modules.
    places += probe.paths(f"{probe.interpreter().environment or '/usr'}/lib/python3*/site-packages/nvidia/cu*/bin/nvcc")
    return probe.which("nvcc") or next((place for place in places if probe.exists(place)), None)


def too_new(version: str, machine: Machine) -> bool:
    """Tell whether CUDA of this version cannot run on the machine's driver.

    A driver serves every minor version of its own major version (CUDA's minor version compatibility).
    """
    driver = machine.driver
    return driver.usable and driver.cuda_major is not None and int(version.split(".")[0]) > driver.cuda_major
