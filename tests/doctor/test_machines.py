"""Recorded machines: what is green, yellow, red and absent on each, and the command that puts it right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gcpose_trt.doctor import Check, Report, Status, examine
from gcpose_trt.doctor.probe import Inspection, Output
from tests.doctor import recorded
from tests.doctor.recorded import RecordedProbe, changed, device, driver, without

Make = Callable[[], RecordedProbe]


def checks(report: Report) -> dict[str, Check]:
    """The checks of a report by their identifier."""
    return {section.identifier(check): check for section in report.sections for check in section.checks}


def found(probe: RecordedProbe, identifier: str) -> Check:
    """One check of a machine."""
    return checks(examine(probe))[identifier]


def of_status(report: Report, status: Status) -> list[str]:
    """Identifiers of the checks of a status."""
    return [key for key, check in checks(report).items() if check.status is status]


def test_cpu_laptop() -> None:
    report = examine(recorded.cpu_laptop())
    assert of_status(report, Status.YELLOW) == of_status(report, Status.RED) == []
    assert {"gpu.driver", "gpu.gpu", "tensorrt.tensorrt", "developing.pytorch"} <= set(of_status(report, Status.ABSENT))
    assert report.exit_code(strict=True) == 0
    ready = {ability.name: ability.ready for ability in report.abilities}
    assert ready["demo and eval with ONNX Runtime"]
    assert not ready["TensorRT engines"]
    # The metadata node of the USB camera is no camera.
    assert checks(report)["running.cameras"].facts["cameras"] == {"/dev/video0": "Integrated Camera: Integrated C"}


@pytest.mark.parametrize(
    "make",
    [recorded.desktop, recorded.orin, lambda: recorded.orin(5), lambda: recorded.orin(7)],
    ids=["desktop", "jetpack6", "jetpack5", "jetpack7"],
)
def test_healthy_gpu_machines(make: Make) -> None:
    report = examine(make())
    assert of_status(report, Status.YELLOW) == of_status(report, Status.RED) == []
    assert next(ability for ability in report.abilities if ability.name == "TensorRT with our plugins").ready


@pytest.mark.parametrize(
    ("jetpack", "version", "l4t"), [(5, "5.1.4", "35.6.0"), (6, "6.2", "36.4.3"), (7, "7.1", "38.4.0")]
)
def test_jetson_names_its_jetpack(jetpack: int, version: str, l4t: str) -> None:
    check = found(recorded.orin(jetpack), "machine.jetson")
    assert (check.facts["jetpack"], check.facts["l4t"]) == (version, l4t)


def test_jetpack_without_its_package_is_derived_from_jetson_linux() -> None:
    probe = recorded.orin()
    probe.commands["dpkg-query*"] = Output(1, "", "no packages found matching nvidia-jetpack")
    assert found(probe, "machine.jetson").facts["jetpack"] == "6"


def test_desktop_readings() -> None:
    check = found(recorded.desktop(), "gpu.gpu")
    for words in ("RTX 4090", "8.9", "21.5 GiB free", "210 of 3105 MHz", "41 °C", "24 W"):
        assert words in check.detail


def test_two_gpus_are_two_lines() -> None:
    cards = (device("NVIDIA H200", "9.0", 140), device("NVIDIA T4", "7.5", 15))
    report = examine(changed(recorded.desktop(), cuda_driver=driver(*cards)))
    assert {"gpu.gpu-0", "gpu.gpu-1"} <= set(checks(report))
    assert report.machine.words == "NVIDIA H200, NVIDIA T4"


def _with(probe: RecordedProbe, **changes: object) -> RecordedProbe:
    """Change the parts of a machine in place: files, commands, variables ... are added, None takes an entry away."""
    for name, value in changes.items():
        part = getattr(probe, name)
        if isinstance(part, dict):
            assert isinstance(value, dict)
            part |= value
            for key in [key for key in part if part[key] is None]:
                del part[key]
        else:
            setattr(probe, name, value)
    return probe


def _no_gcpose_gpu(code: int) -> Make:
    return lambda: changed(recorded.desktop(), cuda_driver=driver(code=code))


def _jetson_venv() -> RecordedProbe:
    return _with(recorded.orin(), modules={"tensorrt": None})


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


def _csi() -> RecordedProbe:
    return _with(
        recorded.orin(), files={"/dev/video0": "", "/sys/class/video4linux/video0/name": "vi-output, imx219 9-0010\n"}
    )


def _broken(subject: str, error: str) -> Make:
    return lambda: changed(recorded.cpu_laptop(), **{subject: Inspection(error=error)})


def _model_fails() -> RecordedProbe:
    probe = recorded.cpu_laptop()
    failure = "detector.onnx is empty; make one with: gcpose-trt export mobile"
    return changed(probe, onnxruntime=without(probe.inspections["onnxruntime"], failure=failure))


# machine, check, status, words of the detail, words of the fix
FAULTS: dict[str, tuple[Make, str, Status, str, str]] = {
    "container without the driver's library": (
        recorded.container_without_driver,
        "gpu.driver",
        Status.YELLOW,
        "libcuda.so.1",
        "docker run --gpus all",
    ),
    "jetson container without the runtime": (
        lambda: changed(_with(recorded.orin(), files={"/.dockerenv": ""}), cuda_driver=Inspection({"found": False})),
        "gpu.driver",
        Status.YELLOW,
        "libcuda.so.1",
        "--runtime nvidia",
    ),
    "card without a driver": (
        lambda: _with(recorded.cpu_laptop(), files={"/sys/bus/pci/devices/0000:00:02.0/vendor": "0x10de\n"}),
        "gpu.driver",
        Status.YELLOW,
        "the CPU is used",
        "ubuntu-drivers install",
    ),
    "kernel module without its library": (
        lambda: _with(recorded.container_without_driver(), files={"/.dockerenv": None}),
        "gpu.driver",
        Status.YELLOW,
        "580.82.07 is in the kernel",
        "libnvidia-compute-580",
    ),
    "driver of two versions": (_no_gcpose_gpu(803), "gpu.driver", Status.RED, "different versions", "sudo reboot"),
    "stub of the toolkit": (_no_gcpose_gpu(34), "gpu.driver", Status.RED, "stub", "unset LD_LIBRARY_PATH"),
    "unknown result": (_no_gcpose_gpu(46), "gpu.driver", Status.RED, "cuInit returns 46", "ubuntu-drivers"),
    "no device": (_no_gcpose_gpu(100), "gpu.driver", Status.RED, "shows no GPU", "dmesg"),
    "hidden device": (
        lambda: _with(_no_gcpose_gpu(100)(), variables={"CUDA_VISIBLE_DEVICES": ""}),
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
        lambda: _with(recorded.desktop(), commands={"nvidia-smi*": Output(None, problem="timeout")}),
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
        lambda: _with(
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
        lambda: _with(
            recorded.desktop(),
            files={"/app/.venv/torch/version.py": "__version__ = '2.9.1+cpu'\ncuda: Optional[str] = None\n"},
        ),
        "developing.pytorch",
        Status.YELLOW,
        "without CUDA",
        "/whl/cu130",
    ),
    "no nvcc": (
        lambda: _with(recorded.desktop(), files={"/usr/bin/nvcc": None}),
        "gpu.nvcc",
        Status.YELLOW,
        "plugins build",
        "nvidia-cuda-nvcc",
    ),
    "no nvcc on Jetson": (
        lambda: _with(recorded.orin(), files={"/usr/local/cuda/bin/nvcc": None}),
        "gpu.nvcc",
        Status.YELLOW,
        "plugins build",
        "cuda-nvcc-12-6",
    ),
    "no binding": (
        lambda: _with(recorded.desktop(), installed={"cuda-bindings": None}),
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
        lambda: _with(recorded.desktop(), modules={"tensorrt": None}),
        "tensorrt.tensorrt",
        Status.YELLOW,
        "not installed",
        "pip install tensorrt-cu13",
    ),
    "no TensorRT on Jetson": (
        lambda: _with(_jetson_venv(), files={key: None for key in recorded.orin().files if "dist-packages" in key}),
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
        lambda: _with(_library(exists=False), variables={"GCPOSE_PLUGINS": "/opt/x.so"}),
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
    "OpenCV without libGL": (
        _broken("opencv", "libGL.so.1: cannot open shared object file"),
        "running.opencv",
        Status.RED,
        "libGL.so.1",
        "pip uninstall -y opencv-python-headless",
    ),
    "two OpenCVs": (
        lambda: _with(recorded.cpu_laptop(), installed={"opencv-python": "4.11.0.86"}),
        "running.opencv",
        Status.YELLOW,
        "the one installed last wins",
        "uninstall -y opencv-python-headless opencv-python;",
    ),
    "no OpenCV": (
        lambda: _with(recorded.cpu_laptop(), installed={"opencv-python-headless": None}, modules={"cv2": None}),
        "running.opencv",
        Status.RED,
        "not installed",
        "pip install opencv-python-headless",
    ),
    "CSI camera without GStreamer": (
        _csi,
        "running.opencv",
        Status.YELLOW,
        "CSI",
        "apt install python3-opencv",
    ),
    "camera of another group": (
        lambda: _with(recorded.cpu_laptop(), closed={"/dev/video0"}),
        "running.cameras",
        Status.YELLOW,
        "/dev/video0",
        "usermod -aG video",
    ),
    "PyAV that does not load": (_broken("pyav", "bad ELF"), "running.pyav", Status.RED, "bad ELF", "pip install"),
    "PyAV without H.264": (
        lambda: changed(recorded.cpu_laptop(), pyav=without(recorded.cpu_laptop().inspections["pyav"], encoders=[])),
        "running.pyav",
        Status.YELLOW,
        "MPEG-4",
        "pip install",
    ),
    "ONNX Runtime that crashes": (
        _broken("onnxruntime", "it crashed Python with SIGILL"),
        "running.onnx-runtime",
        Status.RED,
        "SIGILL",
        "pip install --force-reinstall onnxruntime",
    ),
    "shipped model damaged": (_model_fails, "running.onnx-runtime", Status.RED, "is empty", "pip install"),
    "two ONNX Runtimes": (
        lambda: _with(recorded.cpu_laptop(), installed={"onnxruntime-gpu": "1.23.2"}),
        "running.onnx-runtime",
        Status.YELLOW,
        "onnxruntime-gpu",
        "pip uninstall -y onnxruntime onnxruntime-gpu",
    ),
    "package missing": (
        lambda: _with(recorded.cpu_laptop(), installed={"av": None}, modules={"av": None}),
        "running.packages",
        Status.RED,
        "missing: av",
        "pip install av",
    ),
    "package too old": (
        lambda: _with(recorded.cpu_laptop(), installed={"numpy": "1.21.0"}),
        "running.packages",
        Status.YELLOW,
        "numpy 1.21.0",
        "pip install 'numpy",
    ),
    "little memory": (
        lambda: _with(recorded.orin(), files={"/proc/meminfo": "MemTotal: 7802780 kB\nMemAvailable: 1302780 kB\n"}),
        "machine.memory",
        Status.YELLOW,
        "building an engine",
        "isolate multi-user",
    ),
    "no memory": (
        lambda: _with(recorded.cpu_laptop(), files={"/proc/meminfo": "MemTotal: 902780 kB\nMemAvailable: 202780 kB\n"}),
        "machine.memory",
        Status.RED,
        "198 MiB free",
        "ps aux",
    ),
    "container with little memory": (
        lambda: _with(
            recorded.cpu_laptop(),
            files={"/sys/fs/cgroup/memory.max": f"{1 << 30}\n", "/sys/fs/cgroup/memory.current": f"{200 << 20}\n"},
        ),
        "machine.memory",
        Status.YELLOW,
        "824 MiB free of 1.0 GiB",
        "ps aux",
    ),
    "full disk": (
        lambda: _with(recorded.cpu_laptop(), free=50 << 20),
        "machine.disk",
        Status.RED,
        "50 MiB free",
        "du -xh",
    ),
    "small disk": (
        lambda: _with(recorded.cpu_laptop(), free=1 << 30),
        "machine.disk",
        Status.YELLOW,
        "1.0 GiB free",
        "du -xh",
    ),
    "weak power mode": (
        lambda: _with(recorded.orin(), commands={"nvpmodel -q": Output(0, "NV Power Mode: 15W\n0\n")}),
        "machine.power-mode",
        Status.YELLOW,
        "MAXN_SUPER is faster",
        "sudo nvpmodel -m 2",
    ),
    "power mode from the file": (
        lambda: _with(
            recorded.orin(),
            commands={"nvpmodel -q": Output(1, "", "NVPM ERROR")},
            files={"/var/lib/nvpmodel/status": "pmode:0001 fmode:fanNull\n"},
        ),
        "machine.power-mode",
        Status.YELLOW,
        "25W",
        "sudo nvpmodel -m 2",
    ),
    "nvpmodel that hangs": (
        lambda: _with(recorded.orin(), commands={"nvpmodel -q": Output(None, problem="timeout")}),
        "machine.power-mode",
        Status.RED,
        "does not answer",
        "restart nvpmodel",
    ),
    "old JetPack": (
        lambda: _with(recorded.orin(), commands={"dpkg-query*": Output(0, "4.6.1-b110")}),
        "machine.jetson",
        Status.YELLOW,
        "older than 8.5",
        "flash JetPack",
    ),
    "old Python": (
        lambda: _with(recorded.cpu_laptop(), python=replace(recorded.UBUNTU, version="3.8.10")),
        "running.python",
        Status.RED,
        "3.8.10 is older than 3.10",
        "venv",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_and_its_remedy(name: str) -> None:
    make, identifier, status, detail, fix = FAULTS[name]
    report = examine(make())
    check = checks(report)[identifier]
    assert check.status is status, check
    assert detail in check.detail
    assert check.fix is not None
    assert fix in check.fix
    assert report.exit_code() == int(bool(of_status(report, Status.RED)))
    assert report.exit_code(strict=True) == 1
    assert not [one for one in checks(report).values() if "itself failed" in one.detail]


def test_repairs_of_an_unusable_gpu_start_with_the_driver() -> None:
    report = examine(recorded.container_without_driver())
    assert of_status(report, Status.YELLOW) == ["gpu.driver"]
    assert of_status(report, Status.RED) == []
    engines = next(ability for ability in report.abilities if ability.name == "TensorRT engines")
    assert not engines.ready
    assert engines.missing[0] == "gpu.driver"


def test_pycuda_without_a_driver_is_no_fault() -> None:
    probe = _with(recorded.cpu_laptop(), installed={"pycuda": "2025.1"})
    probe.inspections["pycuda"] = Inspection(error="libcuda.so.1: cannot open shared object file")
    assert found(probe, "gpu.cuda-in-python").status is Status.ABSENT


def test_minor_versions_of_cuda_go_together() -> None:
    probe = changed(recorded.desktop(), cuda_driver=driver(device("NVIDIA L4", "8.9", 22), cuda="13.0"))
    probe.commands["/usr/bin/nvcc --version"] = Output(0, "release 13.2, V13.2.51\n")
    assert found(probe, "gpu.nvcc").status is Status.GREEN
