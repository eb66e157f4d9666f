"""Recorded machines: what files, commands and libraries answer there, in the place of `Probe`'s door to this one.

The texts have the form that the real machines give (NVIDIA's documentation and users' reports); where a field's value
matters to no check it is shortened.
"""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from gcpose_trt.doctor import Status
from gcpose_trt.doctor.probe import Inspection, Interpreter, Output, Probe

GIB = 1 << 30
# How a machine is made; and a machine, a check of it, its status, words of the detail and words of the fix.
Make = Callable[[], "RecordedProbe"]
Fault = tuple[Make, str, Status, str, str]
CPUINFO_X86 = "model name\t: Intel(R) Core(TM) i7-12700K CPU @ 3.60GHz\nflags\t\t: fpu sse2 avx2 fma avx_vnni\n"
CPUINFO_ORIN = (
    "processor\t: 0\nFeatures\t: fp asimd aes crc32 atomics fphp asimdhp asimdrdm lrcpc asimddp\n"
    "CPU implementer\t: 0x41\nCPU part\t: 0xd42\n"
)
BUILD = """
General configuration for OpenCV 4.11.0 =====================================
  GUI:                           {gui}
  Media I/O:
    JPEG:                        build
  Video I/O:
    FFMPEG:                      YES
      avcodec:                   YES (59.37.100)
    GStreamer:                   {gstreamer}
    v4l/v4l2:                    YES (linux/videodev2.h)
"""
PACKAGES = {
    "gcpose-trt": "0.1.0",
    "numpy": "2.2.6",
    "opencv-python-headless": "4.11.0.86",
    "onnxruntime": "1.23.2",
    "av": "17.0.0",
    "tqdm": "4.67.1",
}
CREATORS = ["MultiLevelRoiAlign", "GcmAttention", "Nms", "KeypointDecode"]


UBUNTU = Interpreter("3.12.3", "/app/.venv/bin/python", "/app/.venv", False, "x86_64", "6.8.0", 8)


@dataclass
class RecordedProbe(Probe):
    """A machine of answers.

    Attributes:
        files: text by path; these are also the paths that exist.
        commands: answers by command line, "nvpmodel -q"; a key that ends in "*" matches what begins like it.
        inspections: answers by subject, or "subject argument".
        installed: distributions.
        modules: file by top-level module.
        variables: environment.
        closed: paths that this user may not open.
        free: bytes of disk.
        python: the interpreter.
    """

    files: dict[str, str] = field(default_factory=dict)
    commands: dict[str, Output] = field(default_factory=dict)
    inspections: dict[str, Inspection] = field(default_factory=dict)
    installed: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    free: int = 100 * GIB
    python: Interpreter = UBUNTU

    def read(self, path: str) -> str | None:
        return self.files.get(path)

    def exists(self, path: str) -> bool:
        return any(name == path or name.startswith(f"{path.rstrip('/')}/") for name in self.files) or path == "/"

    def paths(self, pattern: str) -> list[str]:
        depth = pattern.count("/")
        found = {"/".join(name.split("/")[: depth + 1]) for name in self.files}
        return sorted(name for name in found if fnmatch.fnmatchcase(name, pattern))

    def usable(self, path: str) -> bool:
        return path not in self.closed

    def which(self, command: str) -> str | None:
        return f"/usr/bin/{command}" if f"/usr/bin/{command}" in self.files else None

    def env(self, name: str) -> str | None:
        return self.variables.get(name)

    def run(self, *command: str, timeout: float = 2.0) -> Output:
        line = " ".join(command)
        for key, output in self.commands.items():
            if line == key or (key.endswith("*") and line.startswith(key[:-1])):
                return output
        return Output(None, problem="missing")

    def inspect(self, subject: str, *arguments: str, timeout: float = 20.0) -> Inspection:
        key = " ".join((subject, *arguments))
        return self.inspections[key if key in self.inspections else subject]

    def packages(self) -> dict[str, str]:
        return dict(self.installed)

    def requirements(self) -> list[tuple[str, str]]:
        bounds = ("numpy", ">=1.26,<3"), ("opencv-python-headless", "<6,>=4.8"), ("onnxruntime", "<2,>=1.18")
        return [*bounds, ("av", "<20,>=17"), ("tqdm", "<5,>=4.60")]

    def module(self, name: str) -> str | None:
        return self.modules.get(name)

    def space(self, path: str) -> int | None:
        return self.free

    def interpreter(self) -> Interpreter:
        return self.python


def driver(*devices: dict[str, Any], cuda: str = "13.0", code: int = 0) -> Inspection:
    """What the CUDA driver answers."""
    library = "/usr/lib/x86_64-linux-gnu/libcuda.so.580.82.07"
    return Inspection({"found": True, "code": code, "cuda": cuda, "library": library, "devices": list(devices)})


def device(name: str, capability: str, gib: float, integrated: bool = False) -> dict[str, Any]:
    """A GPU as the driver describes it."""
    memory = int(gib * GIB)
    return {"name": name, "compute_capability": capability, "memory": memory, "integrated": integrated}


def tensorrt(version: str, library: str, inside: str | None = None) -> Inspection:
    """What a TensorRT that loads answers."""
    inner = inside or ".".join(version.split(".")[:3])
    return Inspection(
        {"version": version, "file": "x", "libraries": [library], "library": library, "library_version": inner}
    )


def opencv(gstreamer: str = "NO", gui: str = "NONE", version: str = "4.11.0") -> Inspection:
    """What an OpenCV that loads answers."""
    build = BUILD.format(gstreamer=gstreamer, gui=gui)
    return Inspection({"version": version, "file": "/app/cv2/__init__.py", "build": build})


def cpu_laptop() -> RecordedProbe:
    """A newcomer's laptop after `make demo`: Ubuntu, no NVIDIA GPU, no torch."""
    return RecordedProbe(
        files={
            "/etc/os-release": 'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nID=ubuntu\nID_LIKE=debian\n',
            "/proc/cpuinfo": CPUINFO_X86,
            "/proc/meminfo": "MemTotal: 16316412 kB\nMemAvailable: 11316412 kB\nSwapTotal: 2097148 kB\n",
            "/sys/bus/pci/devices/0000:00:02.0/vendor": "0x8086\n",
            "/sys/bus/pci/devices/0000:00:02.0/class": "0x030000\n",
            "/dev/video0": "",
            "/dev/video1": "",
            "/sys/class/video4linux/video0/name": "Integrated Camera: Integrated C\n",
            "/sys/class/video4linux/video0/index": "0\n",
            "/sys/class/video4linux/video1/name": "Integrated Camera: Integrated C\n",
            "/sys/class/video4linux/video1/index": "1\n",
        },
        inspections={
            "cuda_driver": Inspection({"found": False, "reason": "libcuda.so.1: cannot open shared object file"}),
            "cuda_runtime": Inspection({"cuda": None}),
            "opencv": opencv(),
            "pyav": Inspection(
                {
                    "version": "17.0.0",
                    "ffmpeg": "8.0.1",
                    "libraries": {"libavcodec": "62.11.100"},
                    "encoders": ["libx264"],
                }
            ),
            "onnxruntime": Inspection(
                {
                    "version": "1.23.2",
                    "providers": ["AzureExecutionProvider", "CPUExecutionProvider"],
                    "file": "x",
                    "milliseconds": 14.2,
                    "size": [128, 128],
                    "finite": True,
                    "model": "mobile",
                }
            ),
            "plugin_library": Inspection(
                {"path": "/home/me/.cache/gcpose-trt/plugins/libgcpose_plugins.so", "exists": False}
            ),
            "headers": Inspection({"failure": "TensorRT's headers are missing; install them with: sudo apt install x"}),
        },
        installed=dict(PACKAGES),
        modules={name: f"/app/.venv/{name}/__init__.py" for name in ("cv2", "av", "onnxruntime", "numpy", "tqdm")},
        variables={"HOME": "/home/me"},
    )


def desktop() -> RecordedProbe:
    """A desktop with an RTX 4090, CUDA 13, TensorRT, the plugin library, torch with CUDA: all well."""
    probe = cpu_laptop()
    libs = "/app/.venv/lib/python3.12/site-packages/tensorrt_libs/libnvinfer.so.11"
    probe.files |= {
        "/proc/driver/nvidia/version": "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release\n",
        "/usr/bin/nvcc": "",
        "/app/.venv/torch/version.py": "__version__ = '2.9.1+cu130'\ncuda: Optional[str] = '13.0'\n",
    }
    row = "0, NVIDIA GeForce RTX 4090, 22017, 41, 23.51, 210, 3105\n"
    probe.commands = {
        "nvidia-smi*": Output(0, row),
        "/usr/bin/nvcc --version": Output(0, "Cuda compilation tools, release 13.0, V13.0.88\n"),
    }
    probe.installed |= {
        "cuda-bindings": "13.0.3",
        "torch": "2.9.1",
        "onnx": "1.19.0",
        "onnxscript": "0.5.6",
        "onnx-graphsurgeon": "0.5.8",
        "tensorrt-cu13-libs": "11.4.0.106",
    }
    probe.modules |= {name: f"/app/.venv/{name}/__init__.py" for name in ("torch", "tensorrt")}
    library = "/home/me/.cache/gcpose-trt/plugins/libgcpose_plugins.so"
    probe.inspections |= {
        "cuda_driver": driver(device("NVIDIA GeForce RTX 4090", "8.9", 23.5)),
        "cuda_runtime": Inspection({"cuda": "13.0", "library": "libcudart.so.13"}),
        "cuda_python": Inspection(),
        "tensorrt tensorrt": tensorrt("11.4.0.106", libs),
        "plugin_library": Inspection(
            {
                "path": library,
                "exists": True,
                "sha256": "ab" * 32,
                "build": {"version": "0.1.0", "architectures": "89", "tensorrt": "11.4.0", "interface": "v3"},
                "record": {"sha256": "ab" * 32},
            }
        ),
        f"creators tensorrt {library}": Inspection(
            {"found": CREATORS, "missing": [], "failure": None, "tensorrt": "11.4.0.106"}
        ),
        "headers": Inspection({"folder": "/usr/include/x86_64-linux-gnu", "version": "11.4.0", "borrowed": False}),
    }
    return probe


# release file, JetPack, CUDA, TensorRT, its Python; the texts of JetPack 5.1.4, 6.2 and 7.1.
_JETPACKS = {
    5: ("# R35 (release), REVISION: 6.0, GCID: 1, BOARD: t186ref, EABI: aarch64", "5.1.4-b17", "11.4", "8.5.2.2", 8),
    6: ("# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, EABI: aarch64", "6.2+b77", "12.6", "10.3.0", 10),
    7: ("# R38 (release), REVISION: 4.0, GCID: 1, BOARD: generic, EABI: aarch64", "7.1-b1", "13.0", "10.13.3", 12),
}


def orin(jetpack: int = 6) -> RecordedProbe:
    """An Orin Nano (Thor for JetPack 7) in a virtual environment that sees JetPack's packages, plugins built.

    JetPack 5's own Python is too old for us; there TensorRT's module was built for Python 3.10.
    """
    release, package, cuda, version, minor = _JETPACKS[jetpack]
    probe = cpu_laptop()
    name, gpu = (
        ("NVIDIA Jetson AGX Thor Developer Kit", "NVIDIA Thor")
        if jetpack == 7
        else ("NVIDIA Jetson Orin Nano Developer Kit", "Orin")
    )
    capability = "11.0" if jetpack == 7 else "8.7"
    system = (
        f"/usr/lib/python3.{minor}/dist-packages/tensorrt"
        if jetpack == 5
        else "/usr/lib/python3/dist-packages/tensorrt"
    )
    modes = "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >\n"
    gpu_folder = "/sys/class/devfreq/gpu-gpc-0" if jetpack == 7 else "/sys/class/devfreq/17000000.gpu"
    cpu_folder = "/sys/devices/system/cpu/cpu0/cpufreq/scaling"
    probe.files = {
        "/etc/os-release": 'PRETTY_NAME="Ubuntu 22.04.5 LTS"\nID=ubuntu\nID_LIKE=debian\n',
        "/etc/nv_tegra_release": f"{release}, DATE: Wed Jan  8 01:49:37 UTC 2025\n",
        "/proc/device-tree/model": f"{name}\0",
        "/proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0",
        "/proc/cpuinfo": CPUINFO_ORIN,
        "/proc/meminfo": "MemTotal: 7802780 kB\nMemAvailable: 5302780 kB\nSwapTotal: 3901376 kB\n",
        "/etc/nvpmodel.conf": modes,
        f"{gpu_folder}/cur_freq": "306000000\n",
        f"{gpu_folder}/min_freq": "306000000\n",
        f"{gpu_folder}/max_freq": "1020000000\n",
        f"{cpu_folder}_cur_freq": "1344000\n",
        f"{cpu_folder}_min_freq": "729600\n",
        f"{cpu_folder}_max_freq": "1728000\n",
        "/usr/local/cuda/bin/nvcc": "",
        f"{system}/__init__.py": "",
        f"{system}/tensorrt.cpython-3{minor}-aarch64-linux-gnu.so": "",
    }
    probe.commands = {
        "dpkg-query*": Output(0, package),
        "nvpmodel -q": Output(0, "NV Power Mode: MAXN_SUPER\n2\n"),
        "/usr/local/cuda/bin/nvcc --version": Output(0, f"release {cuda}, V{cuda}.68\n"),
    }
    probe.python = Interpreter(
        f"3.{max(minor, 10)}.12", "/app/.venv/bin/python", "/app/.venv", True, "aarch64", "5.15-tegra", 6
    )
    probe.installed |= {"cuda-bindings": f"{cuda}.0"}
    probe.modules["tensorrt"] = f"{system}/__init__.py"
    library = "/home/me/.cache/gcpose-trt/plugins/libgcpose_plugins.so"
    interface = "v2" if jetpack == 5 else "v3"
    target = capability.replace(".", "")
    probe.inspections |= {
        "cuda_driver": driver(device(gpu, capability, 7.4, integrated=True), cuda=cuda),
        "cuda_runtime": Inspection({"cuda": cuda, "library": "libcudart.so.12"}),
        "cuda_python": Inspection(),
        "tensorrt tensorrt": tensorrt(version, f"/usr/lib/aarch64-linux-gnu/libnvinfer.so.{version}"),
        "plugin_library": Inspection(
            {
                "path": library,
                "exists": True,
                "build": {"version": "0.1.0", "architectures": target, "tensorrt": version, "interface": interface},
                "record": {},
            }
        ),
        f"creators tensorrt {library}": Inspection(
            {"found": CREATORS, "missing": [], "failure": None, "tensorrt": version}
        ),
        "headers": Inspection({"folder": "/usr/include/aarch64-linux-gnu", "version": version, "borrowed": False}),
    }
    return probe


def container_without_driver() -> RecordedProbe:
    """A container on a machine with a GPU, started without --gpus: the driver is in the kernel only."""
    probe = cpu_laptop()
    probe.files["/.dockerenv"] = ""
    probe.files["/proc/driver/nvidia/version"] = desktop().files["/proc/driver/nvidia/version"]
    return probe


def changed(probe: RecordedProbe, **inspections: Inspection) -> RecordedProbe:
    """Return a copy of a machine on which some inspections answer differently."""
    other = copy.deepcopy(probe)
    other.inspections |= inspections
    return other


def without(inspection: Inspection, *keys: str, **values: Any) -> Inspection:
    """Return an inspection with facts left out or changed."""
    kept = {key: value for key, value in inspection.facts.items() if key not in keys}
    return replace(inspection, facts={**kept, **values})


def altered(probe: RecordedProbe, **changes: object) -> RecordedProbe:
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
