"""Our plugin library, the record beside it, and the plugins that TensorRT finds in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gcpose_trt.doctor import remedies
from gcpose_trt.doctor.check import Check, absent, green, red, yellow
from gcpose_trt.doctor.checks.tensorrt import shorten
from gcpose_trt.doctor.machine import Situation

LIBRARY, CREATORS = "Plugin library", "Creators"


def check_library(situation: Situation) -> Iterator[Check]:
    """Load the library and compare it with its record and the GPU."""
    result = situation.probe.inspect("plugin_library")
    facts = result.facts
    if result.error:
        yield red(LIBRARY, f"cannot be loaded: {result.error}", remedies.BUILD_PLUGINS)
        return
    path = str(facts["path"])
    if not facts["exists"]:
        yield _not_built(situation, path)
        return
    if facts.get("failure"):
        yield red(LIBRARY, remedies.split(str(facts["failure"]))[0], remedies.BUILD_PLUGINS, path=path)
        return
    build: Mapping[str, Any] = facts["build"]
    listed = build.get("architectures") or ()
    targets = listed.replace(",", " ").split() if isinstance(listed, str) else [str(target) for target in listed]
    shown = _families(targets)
    text = (
        f"{shorten(path, situation)}, interface {build.get('interface')}, headers of TensorRT {build.get('tensorrt')}"
    )
    text += f", for {shown}" if shown else ""
    strangers = [
        f"{device['name']} ({device['compute_capability']})"
        for device in situation.machine.driver.devices
        if targets and not serves(targets, str(device["compute_capability"]))
    ]
    if strangers:
        yield red(LIBRARY, f"{text}: not for {', '.join(strangers)}", remedies.BUILD_PLUGINS, **facts)
    elif facts.get("record") is None:
        yield yellow(
            LIBRARY, f"{text}; the record beside it is missing or of another library", remedies.BUILD_PLUGINS, **facts
        )
    else:
        yield green(LIBRARY, text, **facts)


def _not_built(situation: Situation, path: str) -> Check:
    if situation.probe.env("GCPOSE_PLUGINS"):
        return red(LIBRARY, f"GCPOSE_PLUGINS names {path}, which is not there", "unset GCPOSE_PLUGINS", path=path)
    if situation.machine.driver.usable and situation.probe.module("tensorrt") is not None:
        text = f"not built ({shorten(path, situation)}); without it engines need --gcm native --roi-align native"
        return yellow(LIBRARY, text, remedies.BUILD_PLUGINS, blocks=True, path=path)
    return absent(LIBRARY, "not built; only TensorRT engines use it", path=path)


def check_creators(situation: Situation) -> Iterator[Check]:
    """Bring the library to TensorRT, or without it to the lean runtime, and count our plugins."""
    probe = situation.probe
    library = probe.inspect("plugin_library").facts
    if not library.get("exists") or library.get("failure"):
        return
    module = next((name for name in ("tensorrt", "tensorrt_lean") if probe.module(name) is not None), None)
    if module is None:
        yield absent(CREATORS, "not tried: no TensorRT to load the library")
        return
    result = probe.inspect("creators", module, str(library["path"]))
    facts = {"module": module, **result.facts}
    if result.error or facts.get("failure"):
        why = result.error or remedies.split(str(facts["failure"]))[0]
        if module == "tensorrt" and not situation.machine.driver.usable:
            yield absent(CREATORS, f"not tried: {why}", **facts)
        else:
            yield red(CREATORS, why, remedies.BUILD_PLUGINS, **facts)
        return
    which = "TensorRT" if module == "tensorrt" else "the lean runtime"
    yield green(CREATORS, f"{', '.join(facts['found'])} in {which} {facts['tensorrt']}", **facts)


def check_headers(situation: Situation) -> Iterator[Check]:
    """Find what building the library needs beside nvcc: TensorRT's headers and a C++ compiler."""
    result = situation.probe.inspect("headers")
    facts = result.facts
    if result.error:
        yield red("Headers", f"cannot be looked for: {result.error}", remedies.BUILD_PLUGINS)
    elif facts.get("failure"):
        text, remedy = remedies.split(str(facts["failure"]))
        if situation.machine.driver.usable:
            yield yellow("Headers", text, remedy, blocks=True)
        else:
            yield absent("Headers", text)
    else:
        borrowed = "; not those of an installed TensorRT" if facts["borrowed"] else ""
        yield green("Headers", f"{facts['version']}, {shorten(facts['folder'], situation)}{borrowed}", **facts)


def _numbers(targets: Sequence[str]) -> list[tuple[int, bool]]:
    """Return (number, whether it is PTX) of targets like "87", "sm_87", "120-real" and "compute_90"."""
    found = []
    for target in targets:
        match = re.search(r"(\d+)[af]?(-virtual)?", target)
        if match:
            found.append((int(match[1]), target.startswith("compute") or match[2] is not None))
    return found


def serves(targets: Sequence[str], capability: str) -> bool:
    """Tell whether a GPU can run code compiled for these targets.

    Machine code runs on later minor versions of its major version, PTX on everything later.
    """
    major, minor = (int(part) for part in capability.split("."))
    here = major * 10 + minor
    return any(number <= here and (portable or number // 10 == major) for number, portable in _numbers(targets))


def _families(targets: Sequence[str]) -> str:
    numbers = sorted({number for number, _ in _numbers(targets)})
    words = [f"{number // 10}.{number % 10}" for number in numbers]
    return ", ".join(words) if len(words) <= 3 else f"{words[0]} to {words[-1]}" if words else ""
