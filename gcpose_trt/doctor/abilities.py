"""What can be done on this machine, from what the checks found: the question that a newcomer really has."""

from __future__ import annotations

from collections.abc import Sequence

from gcpose_trt.doctor.check import Check, Status
from gcpose_trt.doctor.machine import CPU, Machine
from gcpose_trt.doctor.report import Ability, Section

# (what, checks that must be green or yellow). A check that the report does not have stands in nobody's way.
_NEEDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "demo and eval with ONNX Runtime",
        ("running.python", "running.packages", "running.opencv", "running.pyav", "running.onnx-runtime"),
    ),
    ("TensorRT engines", ("gpu.driver", "gpu.gpu", "gpu.cuda-in-python", "tensorrt.tensorrt")),
    (
        "TensorRT with our plugins",
        (
            "gpu.driver",
            "gpu.gpu",
            "gpu.cuda-in-python",
            "tensorrt.tensorrt",
            "tensorrt.plugin-library",
            "tensorrt.creators",
        ),
    ),
    ("building the plugin library", ("gpu.nvcc", "tensorrt.headers")),
    ("training", ("developing.pytorch",)),
    ("export", ("developing.pytorch", "developing.onnx")),
)
_GPU_ONLY = {"TensorRT engines", "TensorRT with our plugins"}


def abilities(machine: Machine, sections: Sequence[Section]) -> tuple[Ability, ...]:
    """Return what can be done here, and what stands in the way of the rest."""
    checks = {section.identifier(check): check for section in sections for check in section.checks}
    return tuple(_judge(name, needs, checks, machine) for name, needs in _NEEDS)


def _judge(name: str, needs: tuple[str, ...], checks: dict[str, Check], machine: Machine) -> Ability:
    missing = tuple(key for key in needs if key in checks and not _serves(checks[key]))
    if not missing:
        return Ability(name, Status.GREEN, (), "ready")
    if name in _GPU_ONLY and machine.kind == CPU:
        return Ability(name, Status.ABSENT, missing, "needs an NVIDIA GPU")
    names = ", ".join(checks[key].name for key in missing)
    found = {checks[key].status for key in missing}
    status = Status.RED if Status.RED in found else Status.YELLOW if Status.YELLOW in found else Status.ABSENT
    return Ability(name, status, missing, f"not yet: {names}")


def _serves(check: Check) -> bool:
    """A yellow check that says so stands in the way; others only slow things down."""
    return check.status is Status.GREEN or (check.status is Status.YELLOW and not check.facts.get("blocks", False))
