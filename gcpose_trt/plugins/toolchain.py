"""What building the plugins needs of this machine: nvcc, a host compiler, TensorRT's headers, the GPU's architecture.

Everything is looked for where JetPack, NVIDIA's packages and pip put it. What is missing ends in the exact line that
installs it here. Nothing is imported that needs a GPU.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import site
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gcpose_trt.errors import GcposeError

LOWEST_ARCHITECTURE = 72  # Xavier; the kernels want __half arithmetic and independent thread scheduling
LOWEST_TENSORRT = (8, 5)
# Jetson's integrated GPUs, by a word of the device tree's model; nvidia-smi is missing there or says [N/A].
_JETSON_ARCHITECTURES = {"xavier": "72", "orin": "87", "thor": "110"}
# By the release of L4T where the model is not readable (in containers): the boards each one is mostly found on.
_L4T_ARCHITECTURES = {"36": "87", "38": "110", "39": "110"}
# The CUDA of each L4T release, for the name of the package that brings nvcc.
_L4T_CUDA = {"35": "11-4", "36": "12-6", "38": "13-0"}
_MULTIARCH = {"x86_64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}


@dataclass(frozen=True)
class Nvcc:
    """A CUDA compiler.

    Attributes:
        path: the program.
        version: "13.0.88".
        architectures: the ones it compiles for, lowest first, such as "87"; empty where it does not say.
    """

    path: Path
    version: str
    architectures: tuple[str, ...]


@dataclass(frozen=True)
class Headers:
    """A folder with TensorRT's headers.

    Attributes:
        folder: holds NvInferRuntime.h.
        version: (major, minor, patch).
        borrowed: they are those that a development package carries, not those of an installed TensorRT.
    """

    folder: Path
    version: tuple[int, int, int]
    borrowed: bool = False

    @property
    def text(self) -> str:
        """The version as text, "10.14.1"."""
        return ".".join(map(str, self.version))


def _run(command: list[str]) -> str | None:
    """Return what a program prints, or None where it is missing or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _site_folders() -> list[Path]:
    """Folders that pip installs into, of this Python."""
    named = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    if hasattr(site, "getsitepackages"):
        named += site.getsitepackages()
    if site.ENABLE_USER_SITE:
        named.append(site.getusersitepackages())
    return [Path(name) for name in dict.fromkeys(named) if name]


def l4t_release() -> str | None:
    """Return the major release of NVIDIA's Linux for Tegra ("36" is JetPack 6), None on any other machine."""
    found = re.search(r"#\s*R(\d+)", _read("/etc/nv_tegra_release"))
    return found.group(1) if found else None


def _jetson_model() -> str:
    return _read("/proc/device-tree/model").replace("\0", "").strip()


def is_jetson() -> bool:
    """Tell whether this is an NVIDIA Jetson."""
    return l4t_release() is not None or "jetson" in _jetson_model().lower()


def _nvcc_candidates() -> Iterator[Path]:
    on_path = shutil.which("nvcc")
    if on_path:
        yield Path(on_path)
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            yield Path(os.environ[variable]) / "bin" / "nvcc"
    yield Path("/usr/local/cuda/bin/nvcc")
    yield from sorted(Path("/usr/local").glob("cuda-*/bin/nvcc"), reverse=True)
    for folder in _site_folders():
        yield from sorted(folder.glob("nvidia/cu*/bin/nvcc"), reverse=True)


def _describe_nvcc(path: Path) -> Nvcc | None:
    text = _run([str(path), "--version"])
    found = re.search(r"V(\d+\.\d+\.\d+)", text or "")
    if found is None:
        return None
    listed = re.findall(r"compute_(\d+)", _run([str(path), "--list-gpu-arch"]) or "")
    able = sorted({int(number) for number in listed if int(number) >= LOWEST_ARCHITECTURE})
    return Nvcc(path.absolute(), found.group(1), tuple(map(str, able)))


def find_nvcc(explicit: str | os.PathLike[str] | None = None) -> Nvcc:
    """Find the CUDA compiler: on PATH, at CUDA_HOME, under /usr/local, or from pip.

    Args:
        explicit: the program to use instead.

    Raises:
        GcposeError: there is none, or `explicit` does not run; says what installs one on this machine.
    """
    if explicit is not None:
        nvcc = _describe_nvcc(Path(explicit))
        if nvcc is None:
            raise GcposeError(f"{explicit} does not run as nvcc; give --nvcc the path of the program itself")
        return nvcc
    for candidate in _nvcc_candidates():
        if candidate.is_file() and (nvcc := _describe_nvcc(candidate)):
            return nvcc
    raise GcposeError(f"nvcc, the CUDA compiler, is missing; install it with: {nvcc_hint()}")


def nvcc_hint() -> str:
    """Return the line that installs nvcc on this machine."""
    if is_jetson():
        cuda = _L4T_CUDA.get(l4t_release() or "", "12-6")
        return f"sudo apt install cuda-nvcc-{cuda} cuda-cudart-dev-{cuda}"
    return (
        "pip install nvidia-cuda-nvcc nvidia-cuda-cccl (for a driver of CUDA 12, from NVIDIA's apt repository: "
        "sudo apt install cuda-nvcc-12-9 cuda-cudart-dev-12-9)"
    )


def check_host_compiler() -> None:
    """Raise GcposeError unless the C++ compiler is there that nvcc calls."""
    if shutil.which("g++") is None and shutil.which("c++") is None:
        raise GcposeError("g++, which nvcc needs, is missing; install it with: sudo apt install g++")


def _header_candidates() -> Iterator[tuple[Path, bool]]:
    for variable in ("TENSORRT_ROOT", "TENSORRT_HOME"):
        if os.environ.get(variable):
            yield Path(os.environ[variable]), False
    yield Path("/usr/include") / _MULTIARCH.get(platform.machine(), ""), False
    yield Path("/usr/include"), False
    for root in ("/usr/local", "/opt", str(Path.home())):
        for pattern in ("tensorrt*", "TensorRT*"):
            yield from ((folder, False) for folder in sorted(Path(root).glob(pattern), reverse=True))
    for folder in _site_folders():
        yield from ((found, False) for found in sorted(folder.glob("tensorrt*/include")))
    for folder in _site_folders():
        yield folder / "kernel_lens" / "include" / "tensorrt", True


def _headers_at(folder: Path, borrowed: bool = False) -> Headers | None:
    for place in (folder, folder / "include"):
        if (place / "NvInferRuntime.h").is_file() and (version := _header_version(place / "NvInferVersion.h")):
            return Headers(place.absolute(), version, borrowed)
    return None


def _header_version(path: Path) -> tuple[int, int, int] | None:
    """Read NV_TENSORRT_MAJOR and so on; newer headers define them by way of another macro."""
    macros: dict[str, str] = dict(re.findall(r"#define\s+(\w+)\s+(\w+)", _read(str(path))))
    numbers = []
    for part in ("MAJOR", "MINOR", "PATCH"):
        value = macros.get(f"NV_TENSORRT_{part}", "")
        value = macros.get(value, value)
        if not value.isdigit():
            return None
        numbers.append(int(value))
    return numbers[0], numbers[1], numbers[2]


def find_headers(explicit: str | os.PathLike[str] | None = None) -> Headers:
    """Find TensorRT's headers, those of an installed TensorRT first.

    Args:
        explicit: the folder to use instead, or the root of a TensorRT whose `include` it is.

    Raises:
        GcposeError: there are none, or they are too old; says what installs them on this machine.
    """
    if explicit is not None:
        headers = _headers_at(Path(explicit))
        if headers is None:
            raise GcposeError(f"{explicit} has no NvInferRuntime.h; give --tensorrt-include the folder that has it")
    else:
        found = (_headers_at(folder, borrowed) for folder, borrowed in _header_candidates())
        headers = next((one for one in found if one is not None), None)
        if headers is None:
            raise GcposeError(f"TensorRT's headers (NvInferRuntime.h) are missing; install them with: {headers_hint()}")
    if headers.version[:2] < LOWEST_TENSORRT:
        raise GcposeError(
            f"{headers.folder} has TensorRT {headers.text}; the plugins need 8.5 or later, give another "
            "--tensorrt-include"
        )
    return headers


def headers_hint() -> str:
    """Return the line that installs TensorRT's headers on this machine."""
    if is_jetson():
        return "sudo apt install libnvinfer-dev"
    return (
        "sudo apt install libnvinfer-headers-dev (NVIDIA's apt repository), or unpack NVIDIA's TensorRT archive and "
        "give --tensorrt-include its include folder"
    )


def gpu_architecture() -> str | None:
    """Return the architecture of this machine's GPU, such as "87"; the lowest where there are several; or None."""
    model = _jetson_model().lower()
    for word, architecture in _JETSON_ARCHITECTURES.items():
        if word in model:
            return architecture
    listed = re.findall(
        r"^\s*(\d+)\.(\d)\s*$",
        _run(["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]) or "",
        re.MULTILINE,
    )
    if listed:
        return str(min(int(major) * 10 + int(minor) for major, minor in listed))
    return _L4T_ARCHITECTURES.get(l4t_release() or "")


def driver_cuda() -> int | None:
    """Return the major version of the newest CUDA that the driver runs, None where there is no driver."""
    found = re.search(r"CUDA Version:\s*(\d+)", _run(["nvidia-smi"]) or "")
    return int(found.group(1)) if found else None


def choose_architectures(request: str, nvcc: Nvcc) -> list[str]:
    """Turn `--arch` into architectures.

    Args:
        request: "native", "all", or numbers such as "87" or "8.7,90".
        nvcc: the compiler, which knows only some.

    Returns:
        Numbers as text, lowest first.

    Raises:
        GcposeError: no GPU to take "native" from, an architecture that nvcc or the kernels do not know, or bad text.
    """
    if request == "all":
        if not nvcc.architectures:
            raise GcposeError(f"nvcc {nvcc.version} does not list its architectures; name them, such as --arch 72,87")
        return list(nvcc.architectures)
    if request == "native":
        own = gpu_architecture()
        if own is None:
            raise GcposeError("no NVIDIA GPU found to build for; name one, such as --arch 87 (Jetson Orin)")
        request = own
    chosen = sorted({_parse_architecture(part) for part in request.split(",")})
    for number in chosen:
        if number < LOWEST_ARCHITECTURE:
            raise GcposeError(
                f"the kernels need architecture {LOWEST_ARCHITECTURE} and up, not {number}; change --arch"
            )
        if nvcc.architectures and str(number) not in nvcc.architectures:
            raise GcposeError(
                f"nvcc {nvcc.version} compiles for {' '.join(nvcc.architectures)}, not for {number}; install a CUDA "
                "that does and give --nvcc, or change --arch"
            )
    return [str(number) for number in chosen]


def _parse_architecture(text: str) -> int:
    found = re.fullmatch(r"(?:sm_|compute_)?(\d{1,2})\.?(\d)", text.strip())
    if found is None:
        raise GcposeError(f"--arch {text!r} is not native, all, or numbers such as 87,90; change it")
    return int(found.group(1) + found.group(2))
