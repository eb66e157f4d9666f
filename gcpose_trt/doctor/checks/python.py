"""Python itself and the packages of gcpose-trt."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.doctor.check import Check, absent, green, red, yellow
from gcpose_trt.doctor.machine import Situation

_OLDEST = (3, 10)
# Any of these brings the module cv2; which one, the check of OpenCV tells.
OPENCVS = (
    "opencv-python-headless",
    "opencv-python",
    "opencv-contrib-python-headless",
    "opencv-contrib-python",
)
ONNXRUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-migraphx")
_ALTERNATIVES = {"opencv-python-headless": OPENCVS, "onnxruntime": ONNXRUNTIMES}
_MODULES = {"opencv-python-headless": "cv2"}


def check_python(situation: Situation) -> Iterator[Check]:
    """Tell the version and the environment."""
    python = situation.probe.interpreter()
    where = python.environment or python.executable
    facts = {"version": python.version, "executable": python.executable, "environment": python.environment}
    version = tuple(int(number) for number in re.findall(r"\d+", python.version)[:2])
    if version < _OLDEST:
        yield red("Python", f"{python.version} is older than 3.10", "python3.12 -m venv .venv", **facts)
        return
    kind = "virtual environment" if python.environment else "no virtual environment"
    yield green("Python", f"{python.version}, {kind}: {where}", **facts)


def check_packages(situation: Situation) -> Iterator[Check]:
    """Compare the packages that gcpose-trt asks for with those that are installed."""
    installed = situation.probe.packages()
    missing, wrong, present = [], [], []
    for name, bounds in situation.probe.requirements():
        found = next((other for other in _ALTERNATIVES.get(name, (name,)) if other in installed), None)
        if found is None:
            # Jetson's own OpenCV is a module that no package claims.
            if situation.probe.module(_MODULES.get(name, name)) is None:
                missing.append(name)
            continue
        present.append(f"{found} {installed[found]}")
        if found == name and not within(installed[found], bounds):
            wrong.append((name, bounds, installed[found]))
    facts = {"installed": present, "missing": missing, "outside": [list(item) for item in wrong]}
    if missing:
        yield red("Packages", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}", **facts)
    elif wrong:
        text = ", ".join(f"{name} {version} is not {bounds}" for name, bounds, version in wrong)
        wanted = " ".join(f"'{name}{bounds}'" for name, bounds, _ in wrong)
        yield yellow("Packages", f"not tried: {text}", f"pip install {wanted}", **facts)
    else:
        yield green("Packages", ", ".join(present), **facts)


def check_export(situation: Situation) -> Iterator[Check]:
    """Look for what writes ONNX."""
    installed = situation.probe.packages()
    names = ("onnx", "onnxscript", "onnx-graphsurgeon")
    present = [f"{name} {installed[name]}" for name in names if name in installed]
    missing = [name for name in names if name not in installed]
    if not present:
        yield absent("ONNX", "not installed; only export needs it: pip install 'gcpose-trt[export]'")
    elif missing:
        yield yellow(
            "ONNX",
            f"{', '.join(present)}; export also needs {', '.join(missing)}",
            "pip install 'gcpose-trt[export]'",
            blocks=True,
        )
    else:
        yield green("ONNX", ", ".join(present))


def within(version: str, bounds: str) -> bool:
    """Tell whether a version satisfies bounds like ">=1.26,<3"; only >=, < and ==, by numbers."""
    have = _numbers(version)
    for operator, text in re.findall(r"(>=|==|<)\s*([\d.]+)", bounds):
        limit = _numbers(text)
        if (
            (operator == ">=" and have < limit)
            or (operator == "<" and have >= limit)
            or (operator == "==" and have != limit)
        ):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", version.split("+")[0])[:4]]
    return tuple(numbers + [0] * (4 - len(numbers)))
