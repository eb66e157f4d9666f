"""The driver and the GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gcpose_trt.doctor import remedies
from gcpose_trt.doctor.check import Check, absent, green, red, yellow
from gcpose_trt.doctor.checks.storage import size
from gcpose_trt.doctor.machine import CPU, JETSON, Machine, Situation
from gcpose_trt.doctor.probe import Output, Probe

# Results of cuInit that have a remedy of their own (cuda.h, CUresult).
_FAULTS = {
    34: ("the libcuda found is the toolkit's stub", "unset LD_LIBRARY_PATH"),
    802: ("NVLink's fabric manager is not running", "sudo systemctl start nvidia-fabricmanager"),
    803: ("kernel module and libcuda are of different versions", "sudo reboot"),
    804: ("the CUDA compatibility package does not serve this GPU", "unset LD_LIBRARY_PATH"),
    999: ("unknown error, often after sleep", "sudo rmmod nvidia_uvm; sudo modprobe nvidia_uvm"),
}
_NO_DEVICE = 100
# The kernels are compiled for Xavier and later; TensorRT 10 and 11 want 7.5.
_OLDEST = (7, 2)
_GPU_FREE_LOW = 1 << 30
_QUERY = "index,name,memory.free,temperature.gpu,power.draw,clocks.sm,clocks.max.sm"
_HUNG = "sudo dmesg | grep -iE 'nvrm|xid' | tail (then: sudo reboot)"


def check_driver(situation: Situation) -> Iterator[Check]:
    """Tell whether CUDA's driver starts."""
    machine = situation.machine
    driver = machine.driver
    facts = {"cuda": driver.cuda, "kernel_module": driver.kernel_module, "library": driver.library, "code": driver.code}
    if driver.error:
        yield red("Driver", f"CUDA does not start: {driver.error}", _HUNG, **facts)
    elif not driver.found:
        yield _no_library(machine, facts)
    elif driver.usable:
        module = f"{driver.kernel_module}, " if driver.kernel_module else ""
        yield green("Driver", f"{module}serves CUDA up to {driver.cuda} ({driver.library})", **facts)
    elif driver.code == _NO_DEVICE or driver.code == 0:
        yield _no_device(situation, facts)
    else:
        text, remedy = _FAULTS.get(driver.code or -1, ("the driver does not start", remedies.driver(machine)))
        if machine.container and driver.code in (803, 999):
            remedy = f"on the host: {remedy}"
        yield red("Driver", f"{text} (cuInit returns {driver.code})", remedy, **facts)


def _no_library(machine: Machine, facts: dict[str, Any]) -> Check:
    if machine.kind == CPU:
        return absent("Driver", "none, and no NVIDIA GPU to drive", **facts)
    if machine.driver.kernel_module is not None:
        text = f"{machine.driver.kernel_module} is in the kernel, but its library libcuda.so.1 is not here"
    elif machine.kind == JETSON:
        text = "its library libcuda.so.1 is not here"
    else:
        text = "none for the NVIDIA GPU of this machine; the CPU is used"
    remedy = remedies.driver(machine)
    if machine.driver.kernel_module is not None and not machine.container and "Ubuntu" in machine.system:
        remedy = f"sudo apt install libnvidia-compute-{machine.driver.kernel_module.split('.')[0]}"
    return yellow("Driver", text, remedy, blocks=True, **facts)


def _no_device(situation: Situation, facts: dict[str, Any]) -> Check:
    machine = situation.machine
    visible = situation.probe.env("CUDA_VISIBLE_DEVICES")
    if visible is not None and machine.kind != CPU:
        text = f"shows no GPU: CUDA_VISIBLE_DEVICES is {visible!r}"
        return yellow("Driver", text, "unset CUDA_VISIBLE_DEVICES", blocks=True, **facts)
    if machine.kind == CPU:
        return absent("Driver", f"there for CUDA {machine.driver.cuda}, but no NVIDIA GPU to drive", **facts)
    if machine.container:
        remedy = remedies.driver(machine)
    elif machine.kind == JETSON:
        remedy = "sudo usermod -aG video,render $USER, then log in again"
    else:
        remedy = _HUNG
    return red("Driver", "starts, but shows no GPU", remedy, **facts)


def check_gpus(situation: Situation) -> Iterator[Check]:
    """Describe each GPU; nvidia-smi adds what CUDA does not tell."""
    machine = situation.machine
    devices = machine.driver.devices
    if not devices:
        text = "none" if machine.kind == CPU else "none that programs can use"
        yield absent("GPU", text)
        return
    # Jetson has the command from JetPack 6.2 on, and it tells little there.
    answer = _ask_smi(situation.probe) if machine.kind != JETSON else Output(None, problem="missing")
    readings = _readings(answer)
    for index, device in enumerate(devices):
        yield _describe("GPU" if len(devices) == 1 else f"GPU {index}", device, readings.get(str(device["name"]), {}))
    if answer.problem == "timeout":
        yield red("nvidia-smi", "does not answer within 2 s: the driver hangs", _HUNG)
    elif machine.kind != JETSON and not answer.ok:
        why = "is not here" if answer.problem == "missing" else f"fails: {answer.last_words or answer.problem}"
        yield yellow(
            "nvidia-smi",
            f"{why}; clocks and temperatures stay unknown",
            "docker run -e NVIDIA_DRIVER_CAPABILITIES=compute,utility,video ..."
            if machine.container
            else remedies.driver(machine),
        )


def _ask_smi(probe: Probe) -> Output:
    return probe.run("nvidia-smi", f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits")


def _readings(answer: Output) -> dict[str, dict[str, float]]:
    """Return the numbers of each GPU by its name; fields that it does not support stay away.

    By name, since nvidia-smi counts the GPUs in another order than CUDA; of equal ones the busiest is told.
    """
    names = _QUERY.split(",")
    found: dict[str, dict[str, float]] = {}
    for line in answer.text.splitlines() if answer.ok else []:
        values = [value.strip() for value in line.split(",")]
        if len(values) != len(names):
            continue
        numbers = {
            name: float(value) for name, value in zip(names, values, strict=True) if re.fullmatch(r"\d+(\.\d+)?", value)
        }
        known = found.get(values[1])
        if known is None or numbers.get("memory.free", 0) < known.get("memory.free", 0):
            found[values[1]] = numbers
    return found


def _describe(name: str, device: Mapping[str, Any], numbers: Mapping[str, float]) -> Check:
    capability = str(device["compute_capability"])
    memory = int(device["memory"])
    text = f"{device['name']}, compute capability {capability}, {size(memory)}"
    text += " shared with the CPU" if device.get("integrated") else ""
    free = int(numbers["memory.free"]) << 20 if "memory.free" in numbers else None
    text += f", {size(free)} free" if free is not None else ""
    if "clocks.sm" in numbers and "clocks.max.sm" in numbers:
        text += f", {numbers['clocks.sm']:.0f} of {numbers['clocks.max.sm']:.0f} MHz"
    text += f", {numbers['temperature.gpu']:.0f} °C" if "temperature.gpu" in numbers else ""
    text += f", {numbers['power.draw']:.0f} W" if "power.draw" in numbers else ""
    facts = {**device, "free": free, "readings": dict(numbers)}
    if tuple(int(part) for part in capability.split(".")) < _OLDEST:
        wanted = ".".join(map(str, _OLDEST))
        return yellow(
            name,
            f"{text}: too old, TensorRT and our kernels need {wanted}",
            "use the CPU: --backend onnxruntime",
            blocks=True,
            **facts,
        )
    if free is not None and free < _GPU_FREE_LOW:
        return yellow(name, f"{text}: other programs hold its memory", "nvidia-smi (shows which; end them)", **facts)
    return green(name, text, **facts)
