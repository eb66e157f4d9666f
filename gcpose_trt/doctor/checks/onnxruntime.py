"""ONNX Runtime, proved by running the shipped model."""

from __future__ import annotations

from collections.abc import Iterator

from gcpose_trt.doctor.check import Check, green, red, yellow
from gcpose_trt.doctor.checks.python import ONNXRUNTIMES
from gcpose_trt.doctor.machine import Situation

_INSTALL = "pip install --force-reinstall onnxruntime"
_AGAIN = "pip install --force-reinstall --no-deps gcpose-trt"
MODEL = "mobile"


def check(situation: Situation) -> Iterator[Check]:
    """Load ONNX Runtime and run both graphs of the shipped model."""
    owners = [name for name in ONNXRUNTIMES if name in situation.probe.packages()]
    if situation.probe.module("onnxruntime") is None:
        yield red("ONNX Runtime", "not installed", "pip install onnxruntime")
        return
    result = situation.probe.inspect("onnxruntime", MODEL)
    facts = {**result.facts, "owners": owners}
    if result.error:
        yield red("ONNX Runtime", f"cannot be loaded: {result.error}", _INSTALL, **facts)
        return
    providers = ", ".join(name.removesuffix("ExecutionProvider") for name in facts["providers"])
    text = f"{facts['version']}, providers {providers}"
    if facts.get("failure"):
        yield red("ONNX Runtime", f"{text}; the shipped model does not run: {facts['failure']}", _AGAIN, **facts)
    elif facts.get("untried"):
        remedy = "put that right first, then: gcpose-trt doctor"
        yield yellow("ONNX Runtime", f"{text}; the shipped model was not tried: {facts['untried']}", remedy, **facts)
    elif not facts["finite"]:
        yield red("ONNX Runtime", f"{text}; the shipped model gives values that are no numbers", _INSTALL, **facts)
    elif len(owners) > 1:
        yield yellow(
            "ONNX Runtime",
            f"{text}: {' and '.join(owners)} write the same folder, the one installed last wins",
            f"pip uninstall -y {' '.join(owners)}; pip install onnxruntime",
            **facts,
        )
    else:
        height, width = facts["size"]
        ran = f"{facts['model']} ran on {width}x{height} pixels in {facts['milliseconds']:.0f} ms"
        yield green("ONNX Runtime", f"{text}; {ran}", **facts)
