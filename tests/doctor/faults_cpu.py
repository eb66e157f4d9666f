"""Machines on which something is wrong with the board, the memory or the packages, and what is said of each."""

from __future__ import annotations

from dataclasses import replace

from gcpose_trt.doctor import Status
from gcpose_trt.doctor.probe import Inspection, Output
from tests.doctor import recorded
from tests.doctor.recorded import Fault, Make, RecordedProbe, altered, changed, without


def _csi() -> RecordedProbe:
    return altered(
        recorded.orin(), files={"/dev/video0": "", "/sys/class/video4linux/video0/name": "vi-output, imx219 9-0010\n"}
    )


def _broken(subject: str, error: str) -> Make:
    return lambda: changed(recorded.cpu_laptop(), **{subject: Inspection(error=error)})


def _model_fails() -> RecordedProbe:
    probe = recorded.cpu_laptop()
    failure = "detector.onnx is empty; make one with: gcpose-trt export mobile"
    return changed(probe, onnxruntime=without(probe.inspections["onnxruntime"], failure=failure))


FAULTS: dict[str, Fault] = {
    "OpenCV without libGL": (
        _broken("opencv", "libGL.so.1: cannot open shared object file"),
        "running.opencv",
        Status.RED,
        "libGL.so.1",
        "pip uninstall -y opencv-python-headless",
    ),
    "two OpenCVs": (
        lambda: altered(recorded.cpu_laptop(), installed={"opencv-python": "4.11.0.86"}),
        "running.opencv",
        Status.YELLOW,
        "the one installed last wins",
        "uninstall -y opencv-python-headless opencv-python;",
    ),
    "no OpenCV": (
        lambda: altered(recorded.cpu_laptop(), installed={"opencv-python-headless": None}, modules={"cv2": None}),
        "running.opencv",
        Status.RED,
        "not installed",
        "pip install opencv-python-headless",
    ),
    "CSI camera without GStreamer": (_csi, "running.opencv", Status.YELLOW, "CSI", "apt install python3-opencv"),
    "camera of another group": (
        lambda: altered(recorded.cpu_laptop(), closed={"/dev/video0"}),
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
        lambda: altered(recorded.cpu_laptop(), installed={"onnxruntime-gpu": "1.23.2"}),
        "running.onnx-runtime",
        Status.YELLOW,
        "onnxruntime-gpu",
        "pip uninstall -y onnxruntime onnxruntime-gpu",
    ),
    "package missing": (
        lambda: altered(recorded.cpu_laptop(), installed={"av": None}, modules={"av": None}),
        "running.packages",
        Status.RED,
        "missing: av",
        "pip install av",
    ),
    "package too old": (
        lambda: altered(recorded.cpu_laptop(), installed={"numpy": "1.21.0"}),
        "running.packages",
        Status.YELLOW,
        "numpy 1.21.0",
        "pip install 'numpy",
    ),
    "little memory": (
        lambda: altered(recorded.orin(), files={"/proc/meminfo": "MemTotal: 7802780 kB\nMemAvailable: 1302780 kB\n"}),
        "machine.memory",
        Status.YELLOW,
        "building an engine",
        "isolate multi-user",
    ),
    "no memory": (
        lambda: altered(
            recorded.cpu_laptop(), files={"/proc/meminfo": "MemTotal: 902780 kB\nMemAvailable: 202780 kB\n"}
        ),
        "machine.memory",
        Status.RED,
        "198 MiB free",
        "ps aux",
    ),
    "container with little memory": (
        lambda: altered(
            recorded.cpu_laptop(),
            files={"/sys/fs/cgroup/memory.max": f"{1 << 30}\n", "/sys/fs/cgroup/memory.current": f"{200 << 20}\n"},
        ),
        "machine.memory",
        Status.YELLOW,
        "824 MiB free of 1.0 GiB",
        "ps aux",
    ),
    "full disk": (
        lambda: altered(recorded.cpu_laptop(), free=50 << 20),
        "machine.disk",
        Status.RED,
        "50 MiB free",
        "du -xh",
    ),
    "small disk": (
        lambda: altered(recorded.cpu_laptop(), free=1 << 30),
        "machine.disk",
        Status.YELLOW,
        "1.0 GiB free",
        "du -xh",
    ),
    "weak power mode": (
        lambda: altered(recorded.orin(), commands={"nvpmodel -q": Output(0, "NV Power Mode: 15W\n0\n")}),
        "machine.power-mode",
        Status.YELLOW,
        "MAXN_SUPER is faster",
        "sudo nvpmodel -m 2",
    ),
    "power mode from the file": (
        lambda: altered(
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
        lambda: altered(recorded.orin(), commands={"nvpmodel -q": Output(None, problem="timeout")}),
        "machine.power-mode",
        Status.RED,
        "does not answer",
        "restart nvpmodel",
    ),
    "old JetPack": (
        lambda: altered(recorded.orin(), commands={"dpkg-query*": Output(0, "4.6.1-b110")}),
        "machine.jetson",
        Status.YELLOW,
        "older than 8.5",
        "flash JetPack",
    ),
    "old Python": (
        lambda: altered(recorded.cpu_laptop(), python=replace(recorded.UBUNTU, version="3.8.10")),
        "running.python",
        Status.RED,
        "3.8.10 is older than 3.10",
        "venv",
    ),
}
