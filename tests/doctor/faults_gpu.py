"""Machines on which something is wrong with the GPU, CUDA, TensorRT or the plugins, and what is said of each."""

from __future__ import annotations

from dataclasses import replace

from gcpose_trt.doctor import Status
from gcpose_trt.doctor.probe import Inspection, Output
from tests.doctor import recorded
from tests.doctor.recorded import Fault, Make, RecordedProbe, altered, changed, device, driver, without


def _no_gcpose_gpu(code: int) -> Make:
    return lambda: changed(recorded.desktop(), cuda_driver=driver(code=code))


def _jetson_venv() -> RecordedProbe:
    return altered(recorded.orin(), modules={"tensorrt": None})


def _other_python() -> RecordedProbe:
    probe = _jetson_venv()
    probe.python = replace(probe.python, version="3.12.3")
    return probe


def _old_driver() -> RecordedProbe:
    return changed(recorded.desktop(), cuda_driver=driver(device("NVIDIA L4", "8.9", 22), cuda="12.4"))


def _library(**values: object) -> RecordedProbe:
    probe = recorded.desktop()
    return changed(probe, plugin_library=without(probe.inspections["plugin_library"], **values))


def _creators(result: Inspection) -> RecordedProbe:
    probe = recorded.desktop()
    key = next(key for key in probe.inspections if key.startswith("creators"))
    return changed(probe, **{key: result})


FAULTS: dict[str, Fault] = {
    "container without the driver's library": (
        recorded.container_without_driver,
        "gpu.driver",
        Status.YELLOW,
        "libcuda.so.1",
        "docker run --gpus all",
    ),
    "jetson container without the runtime": (
        lambda: changed(altered(recorded.orin(), files={"/.dockerenv": ""}), cuda_driver=Inspection({"found": False})),
        "gpu.driver",
        Status.YELLOW,
        "libcuda.so.1",
        "--runtime nvidia",
    ),
    "card without a driver": (
        lambda: altered(recorded.cpu_laptop(), files={"/sys/bus/pci/devices/0000:00:02.0/vendor": "0x10de\n"}),
        "gpu.driver",
        Status.YELLOW,
        "the CPU is used",
        "ubuntu-drivers install",
    ),
    "kernel module without its library": (
        lambda: altered(recorded.container_without_driver(), files={"/.dockerenv": None}),
        "gpu.driver",
        Status.YELLOW,
        "580.82.07 is in the kernel",
        "libnvidia-compute-580",
    ),
    "driver of two versions": (_no_gcpose_gpu(803), "gpu.driver", Status.RED, "different versions", "sudo reboot"),
    "stub of the toolkit": (_no_gcpose_gpu(34), "gpu.driver", Status.RED, "stub", "unset LD_LIBRARY_PATH"),
    "unknown result": (_no_gcpose_gpu(46), "gpu.driver", Status.RED, "cuInit returns 46", "ubuntu-drivers"),
    "no device": (_no_gcpose_gpu(100), "gpu.driver", Status.RED, "shows no GPU", "dmesg"),
    "no device for this user of a Jetson": (
        lambda: changed(recorded.orin(), cuda_driver=driver(code=100)),
        "gpu.driver",
        Status.RED,
        "shows no GPU",
        "usermod -aG video,render",
    ),
    "hidden device": (
        lambda: altered(_no_gcpose_gpu(100)(), variables={"CUDA_VISIBLE_DEVICES": ""}),
        "gpu.driver",
        Status.YELLOW,
        "CUDA_VISIBLE_DEVICES is ''",
        "unset CUDA_VISIBLE_DEVICES",
    ),
    "driver that hangs": (
        lambda: changed(recorded.desktop(), cuda_driver=Inspection(error="no answer within 4 s")),
        "gpu.driver",
        Status.RED,
        "no answer within 4 s",
        "dmesg",
    ),
    "nvidia-smi that hangs": (
        lambda: altered(recorded.desktop(), commands={"nvidia-smi*": Output(None, problem="timeout")}),
        "gpu.nvidia-smi",
        Status.RED,
        "hangs",
        "dmesg",
    ),
    "old card": (
        lambda: changed(recorded.desktop(), cuda_driver=driver(device("GTX 1080", "6.1", 8))),
        "gpu.gpu",
        Status.YELLOW,
        "too old",
        "--backend onnxruntime",
    ),
    "full card": (
        lambda: altered(
            recorded.desktop(), commands={"nvidia-smi*": Output(0, "0, NVIDIA GeForce RTX 4090, 312, 41, 23, 1, 2\n")}
        ),
        "gpu.gpu",
        Status.YELLOW,
        "312 MiB free",
        "nvidia-smi",
    ),
    "toolkit newer than the driver": (_old_driver, "gpu.nvcc", Status.RED, "only CUDA 12.4", "ubuntu-drivers"),
    "runtime newer than the driver": (_old_driver, "gpu.cuda-runtime", Status.RED, "only CUDA 12.4", "ubuntu-drivers"),
    "TensorRT newer than the driver": (_old_driver, "tensorrt.tensorrt", Status.RED, "CUDA 13", "tensorrt-cu12"),
    "torch newer than the driver": (_old_driver, "developing.pytorch", Status.YELLOW, "CUDA 13.0", "cu126"),
    "cuda-python newer than the driver": (
        _old_driver,
        "gpu.cuda-in-python",
        Status.YELLOW,
        "newer",
        "cuda-bindings==12.*",
    ),
    "torch without CUDA": (
        lambda: altered(
            recorded.desktop(),
            files={"/app/.venv/torch/version.py": "__version__ = '2.9.1+cpu'\ncuda: Optional[str] = None\n"},
        ),
        "developing.pytorch",
        Status.YELLOW,
        "without CUDA",
        "/whl/cu130",
    ),
    "no nvcc": (
        lambda: altered(recorded.desktop(), files={"/usr/bin/nvcc": None}),
        "gpu.nvcc",
        Status.YELLOW,
        "plugins build",
        "nvidia-cuda-nvcc",
    ),
    "no nvcc on Jetson": (
        lambda: altered(recorded.orin(), files={"/usr/local/cuda/bin/nvcc": None}),
        "gpu.nvcc",
        Status.YELLOW,
        "plugins build",
        "cuda-nvcc-12-6",
    ),
    "no binding": (
        lambda: altered(recorded.desktop(), installed={"cuda-bindings": None}),
        "gpu.cuda-in-python",
        Status.YELLOW,
        "neither",
        "cuda-bindings==13.*",
    ),
    "broken binding": (
        lambda: changed(recorded.desktop(), cuda_python=Inspection(error="undefined symbol")),
        "gpu.cuda-in-python",
        Status.RED,
        "undefined symbol",
        "cuda-bindings",
    ),
    "no TensorRT": (
        lambda: altered(recorded.desktop(), modules={"tensorrt": None}),
        "tensorrt.tensorrt",
        Status.YELLOW,
        "not installed",
        "pip install tensorrt-cu13",
    ),
    "no TensorRT on Jetson": (
        lambda: altered(_jetson_venv(), files={key: None for key in recorded.orin().files if "dist-packages" in key}),
        "tensorrt.tensorrt",
        Status.YELLOW,
        "not installed",
        "apt install python3-libnvinfer",
    ),
    "JetPack's TensorRT unseen": (
        _jetson_venv,
        "tensorrt.tensorrt",
        Status.YELLOW,
        "does not see it",
        "--system-site-packages",
    ),
    "JetPack's TensorRT for another Python": (
        _other_python,
        "tensorrt.tensorrt",
        Status.YELLOW,
        "for Python 3.10, this is 3.12",
        "python3.10 -m venv",
    ),
    "TensorRT of two versions": (
        lambda: changed(
            recorded.desktop(),
            **{"tensorrt tensorrt": recorded.tensorrt("11.4.0.106", "/opt/lib/libnvinfer.so.11", "11.1.0")},
        ),
        "tensorrt.tensorrt",
        Status.RED,
        "/opt/lib/libnvinfer.so.11 is 11.1.0",
        "tensorrt-cu13",
    ),
    "TensorRT that does not load": (
        lambda: changed(recorded.desktop(), **{"tensorrt tensorrt": Inspection(error="libnvinfer.so.11: not found")}),
        "tensorrt.tensorrt",
        Status.RED,
        "libnvinfer.so.11",
        "pip install tensorrt-cu13",
    ),
    "no plugin library": (
        lambda: _library(exists=False),
        "tensorrt.plugin-library",
        Status.YELLOW,
        "not built",
        "gcpose-trt plugins build",
    ),
    "plugin library for another GPU": (
        lambda: _library(build={"architectures": "100 120", "tensorrt": "11.4.0", "interface": "v3"}),
        "tensorrt.plugin-library",
        Status.RED,
        "not for NVIDIA GeForce RTX 4090 (8.9)",
        "gcpose-trt plugins build",
    ),
    "plugin library without its record": (
        lambda: _library(record=None),
        "tensorrt.plugin-library",
        Status.YELLOW,
        "record",
        "gcpose-trt plugins build",
    ),
    "plugin library that is none": (
        lambda: _library(
            failure="x.so cannot be loaded (invalid ELF header); build it again with: gcpose-trt plugins build"
        ),
        "tensorrt.plugin-library",
        Status.RED,
        "invalid ELF header",
        "gcpose-trt plugins build",
    ),
    "plugin library named and missing": (
        lambda: altered(_library(exists=False), variables={"GCPOSE_PLUGINS": "/opt/x.so"}),
        "tensorrt.plugin-library",
        Status.RED,
        "GCPOSE_PLUGINS",
        "unset GCPOSE_PLUGINS",
    ),
    "creator missing": (
        lambda: _creators(
            Inspection({"found": [], "missing": ["Nms"], "failure": "does not bring Nms; build", "tensorrt": "11"})
        ),
        "tensorrt.creators",
        Status.RED,
        "does not bring Nms",
        "gcpose-trt plugins build",
    ),
    "TensorRT that crashes on the library": (
        lambda: _creators(Inspection(error="it crashed Python with SIGABRT")),
        "tensorrt.creators",
        Status.RED,
        "SIGABRT",
        "gcpose-trt plugins build",
    ),
}
