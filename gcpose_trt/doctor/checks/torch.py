"""PyTorch, which training and export use; looked at without importing it, which would take seconds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.doctor.check import Check, absent, green, red, yellow
from gcpose_trt.doctor.checks.cuda import too_new
from gcpose_trt.doctor.machine import JETSON, Machine, Situation


def check(situation: Situation) -> Iterator[Check]:
    """Read PyTorch's own record of its build."""
    probe, machine = situation.probe, situation.machine
    file = probe.module("torch")
    if file is None:
        yield absent("PyTorch", "not installed; only training and export need it: pip install 'gcpose-trt[train]'")
        return
    record = probe.read(file.replace("__init__.py", "version.py"))
    version = probe.packages().get("torch")
    if record is None:
        yield red("PyTorch", f"its folder {file} is damaged", "pip install --force-reinstall torch")
        return
    match = re.search(r"^cuda(?:: [^=]+)? = (?:'([\d.]+)'|None)", record, re.MULTILINE)
    named = re.search(r"^__version__ = '([^']+)'", record, re.MULTILINE)
    version = named[1] if named else version or "of unknown version"
    cuda = match[1] if match else None
    facts = {"version": version, "cuda": cuda}
    if cuda is not None and too_new(cuda, machine):
        yield yellow(
            "PyTorch",
            f"{version} is built for CUDA {cuda}, the driver serves only {machine.driver.cuda}: it uses the CPU",
            _with_cuda(machine),
            **facts,
        )
    elif cuda is None and machine.driver.usable:
        yield yellow(
            "PyTorch",
            f"{version} is built without CUDA: it does not use the GPU",
            _with_cuda(machine),
            **facts,
        )
    else:
        yield green("PyTorch", f"{version}, " + (f"CUDA {cuda}" if cuda else "for the CPU"), **facts)


def _with_cuda(machine: Machine) -> str:
    major = machine.driver.cuda_major or 13
    if machine.kind == JETSON and major < 13:
        # The wheels of PyPI for ARM servers do not run on Orin before JetPack 7.
        return "pip install --force-reinstall torch --index-url https://pypi.jetson-ai-lab.io/jp6/cu126/+simple/"
    build = "cu126" if major < 13 else "cu130"
    return f"pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/{build}"
