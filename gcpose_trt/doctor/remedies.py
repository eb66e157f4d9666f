"""The commands that put things right, by the kind of machine; one line each, short enough to copy."""

from __future__ import annotations

from gcpose_trt.doctor.machine import JETSON, Machine

BUILD_PLUGINS = "gcpose-trt plugins build"
_BEFORE_COMMANDS = (
    "build it again with: ",
    "build it again: ",
    "build it with: ",
    "make one with: ",
    "install it with: ",
    "install them with: ",
)


def driver(machine: Machine) -> str:
    """Return how to get a driver."""
    if machine.container:
        options = "--runtime nvidia" if machine.kind == JETSON else "--gpus all"
        return f"start the container with: docker run {options} ..."
    return "sudo apt install nvidia-jetpack" if machine.kind == JETSON else newer_driver(machine)


def newer_driver(machine: Machine) -> str:
    """Return how to get a newer driver than there is."""
    if machine.kind == JETSON:
        return "flash a newer JetPack with SDK Manager"
    if machine.container:
        return "on the host: sudo ubuntu-drivers install && sudo reboot"
    if "Ubuntu" in machine.system:
        return "sudo ubuntu-drivers install && sudo reboot"
    return "install it: https://docs.nvidia.com/datacenter/tesla/driver-installation-guide"


def tensorrt(machine: Machine) -> str:
    """Return how to get TensorRT."""
    if machine.kind == JETSON:
        return "sudo apt install python3-libnvinfer"
    return f"pip install tensorrt-cu{cuda_of_packages(machine)}"


def cuda_of_packages(machine: Machine) -> int:
    """Return the CUDA, 12 or 13, whose pip packages the driver serves."""
    return 12 if (machine.driver.cuda_major or 13) < 13 else 13


def bindings(machine: Machine) -> str:
    """Return how to get cuda-python, of the driver's CUDA."""
    return f"pip install 'cuda-bindings=={cuda_of_packages(machine)}.*'"


def nvcc(machine: Machine) -> str:
    """Return how to get the CUDA compiler."""
    version = (machine.driver.cuda or "12.6").replace(".", "-")
    if machine.kind == JETSON:
        return f"sudo apt install cuda-nvcc-{version} cuda-cudart-dev-{version}"
    if cuda_of_packages(machine) == 13:
        return "pip install nvidia-cuda-nvcc nvidia-cuda-cccl"
    return "sudo apt install cuda-nvcc-12-9 cuda-cudart-dev-12-9 (from NVIDIA's apt repository)"


def split(message: str) -> tuple[str, str]:
    """Return what is wrong and what to do of our errors' messages, which have both, with a semicolon between."""
    text, _, remedy = message.rpartition("; ")
    if not text:
        return message, "gcpose-trt doctor --json, and report what it prints"
    for start in _BEFORE_COMMANDS:
        remedy = remedy.removeprefix(start)
    return text, remedy
