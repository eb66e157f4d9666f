"""What this machine has: the GPU, its driver, free memory. Asks the driver's C libraries, without a CUDA context."""

from __future__ import annotations

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import Gpu
from gcpose_trt.runtime.tensorrt_api import is_jetson

_MAJOR, _MINOR, _INTEGRATED = 75, 76, 18  # CUdevice_attribute
_NO_DEVICE, _NOT_INITIALISED = 100, 3  # CUresult
MIB = 1 << 20


@dataclass(frozen=True)
class Machine:
    """Facts of the first visible GPU and of the memory.

    Attributes:
        gpu: name and compute capability.
        driver: version of the driver, "580.82.07", None where it does not say (Jetson).
        cuda: newest CUDA that the driver serves, "13.0".
        gpu_total: bytes of GPU memory.
        gpu_free: bytes free, None where the driver does not say without a context.
        shared_memory: the GPU uses the host's memory (Jetson).
    """

    gpu: Gpu
    driver: str | None
    cuda: str
    gpu_total: int
    gpu_free: int | None
    shared_memory: bool


def find_gpu() -> Machine:
    """Return the first GPU that CUDA sees.

    Raises:
        GcposeError: no driver, or no GPU.
    """
    driver = "install NVIDIA's driver" if not is_jetson() else "install JetPack on this Jetson"
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise GcposeError(
            f"no NVIDIA driver on this machine (libcuda.so.1); {driver}, then: gcpose-trt doctor"
        ) from error
    code = cuda.cuInit(0)
    if code == _NO_DEVICE:
        raise GcposeError(
            "the NVIDIA driver sees no GPU; check nvidia-smi, CUDA_VISIBLE_DEVICES and, in a container, --gpus all"
        )
    if code != 0:
        raise GcposeError(f"the NVIDIA driver does not start (CUDA error {code}); restart the machine or {driver}")
    device, count = ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(count))
    if count.value < 1 or cuda.cuDeviceGet(ctypes.byref(device), 0) != 0:
        raise GcposeError("the NVIDIA driver sees no GPU; check nvidia-smi and CUDA_VISIBLE_DEVICES")
    return _describe(cuda, device)


def _describe(cuda: ctypes.CDLL, device: ctypes.c_int) -> Machine:
    name = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(name, 256, device)

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        cuda.cuDeviceGetAttribute(ctypes.byref(value), number, device)
        return value.value

    version, total = ctypes.c_int(), ctypes.c_size_t()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceTotalMem_v2(ctypes.byref(total), device)
    return Machine(
        Gpu(name.value.decode(errors="replace"), f"{attribute(_MAJOR)}.{attribute(_MINOR)}"),
        _driver_version(),
        f"{version.value // 1000}.{version.value % 1000 // 10}",
        total.value,
        _gpu_free(cuda, device),
        bool(attribute(_INTEGRATED)),
    )


def _driver_version() -> str | None:
    try:
        text = Path("/proc/driver/nvidia/version").read_text(errors="replace")
    except OSError:
        return None
    match = re.search(r"\s(\d+\.\d+(?:\.\d+)?)\s", text)
    return match.group(1) if match else None


class _NvmlMemory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def _gpu_free(cuda: ctypes.CDLL, device: ctypes.c_int) -> int | None:
    """Ask the management library, which unlike cuMemGetInfo needs no context; Jetson's has no answer."""
    bus, memory, handle = ctypes.create_string_buffer(32), _NvmlMemory(), ctypes.c_void_p()
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        if cuda.cuDeviceGetPCIBusId(bus, 32, device) != 0 or nvml.nvmlInit_v2() != 0:
            return None
        try:
            # By its address: NVML counts all GPUs, CUDA only the visible ones, in its own order.
            if nvml.nvmlDeviceGetHandleByPciBusId_v2(bus, ctypes.byref(handle)) != 0:
                return None
            return memory.free if nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory)) == 0 else None
        finally:
            nvml.nvmlShutdown()
    except (OSError, AttributeError):
        return None


def free_memory() -> int | None:
    """Return the bytes of host memory that programs may still take, None where the system does not say."""
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return None
    return None if match is None else int(match.group(1)) * 1024


@dataclass(frozen=True)
class Needs:
    """Estimated bytes of a build.

    Attributes:
        host: of the host's memory.
        gpu: of the GPU's.
    """

    host: int
    gpu: int


def estimate(
    onnx_bytes: int, pixels: int, batch: int, workspace: int | None, low_memory: bool, gpu: bool = True
) -> Needs:
    """Estimate the memory of a build, on the low side: a refusal must be right, a killed build has its own message.

    Args:
        onnx_bytes: size of both ONNX files.
        pixels: of the input, H x W.
        batch: frames in a call.
        workspace: MiB that a layer may use, None for all that is free.
        low_memory: one graph at a time.
        gpu: False for TensorRT-RTX, which builds without one: measured, mobile took 344 MiB and r50 1055.
    """
    # TensorRT's libraries and kernels take about 1 GiB of host memory and half of that on the GPU. The parsed network,
    # the builder's copies and the plan each hold the weights.
    weights = (2 if low_memory else 4) * onnx_bytes
    # Activations of the first stages dominate: 64 channels at half the input's size, some at a time, FP32.
    activations = batch * pixels * (64 // 4) * 4 * (2 if low_memory else 4)
    scratch = min(workspace or 256, 256) * MIB
    if not gpu:
        return Needs(200 * MIB + 3 * onnx_bytes, 0)
    base = (600 if low_memory else 1000) * MIB
    return Needs(base + weights, 400 * MIB + weights // 2 + activations + scratch)


def check_memory(needs: Needs, machine: Machine | None, low_memory: bool) -> None:
    """Refuse a build that would not fit.

    Args:
        needs: see `estimate`.
        machine: None for a build that uses no GPU.
        low_memory: whether that was asked for already, so that it is not suggested again.

    Raises:
        GcposeError: too little memory is free.
    """
    remedy = "close other programs" + ("" if low_memory else ", or build with --low-memory")
    host = free_memory()
    shared = machine is not None and machine.shared_memory
    need = needs.host + (needs.gpu if shared else 0)
    if host is not None and host < need:
        raise GcposeError(f"the build needs about {_gib(need)} of memory and {_gib(host)} are free; {remedy}")
    if machine is None or shared:
        return
    free = machine.gpu_total if machine.gpu_free is None else machine.gpu_free
    if free < needs.gpu:
        raise GcposeError(
            f"the build needs about {_gib(needs.gpu)} of GPU memory and {_gib(free)} are free on {machine.gpu.name}; "
            f"{remedy}"
        )


def _gib(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"
