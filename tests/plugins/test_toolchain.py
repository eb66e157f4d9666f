"""Finding nvcc, TensorRT's headers and the GPU's architecture; what is missing ends in the line that installs it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import toolchain

HEADERS_8 = "#define NV_TENSORRT_MAJOR 8 //!< major\n#define NV_TENSORRT_MINOR 5\n#define NV_TENSORRT_PATCH 2\n"
HEADERS_11 = """
#define TRT_MAJOR_ENTERPRISE 11
#define TRT_MINOR_ENTERPRISE 4
#define TRT_PATCH_ENTERPRISE 0
#define NV_TENSORRT_MAJOR TRT_MAJOR_ENTERPRISE //!< TensorRT major version.
#define NV_TENSORRT_MINOR TRT_MINOR_ENTERPRISE //!< TensorRT minor version.
#define NV_TENSORRT_PATCH TRT_PATCH_ENTERPRISE //!< TensorRT patch version.
"""


def write_program(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def write_nvcc(path: Path, version: str = "12.6.68", architectures: str = "50 72 87 90") -> Path:
    lines = "\n".join(f"compute_{one}" for one in architectures.split())
    return write_program(
        path,
        f"""case "$1" in
--version) echo 'Cuda compilation tools, release 12.6, V{version}';;
--list-gpu-arch) printf '%s\\n' '{lines}';;
esac""",
    )


def write_headers(folder: Path, text: str = HEADERS_8) -> Path:
    folder.mkdir(parents=True)
    (folder / "NvInferRuntime.h").write_text("")
    (folder / "NvInferVersion.h").write_text(text)
    return folder


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing installed; what tests put into tmp_path/bin is on PATH."""
    for name in ("CUDA_HOME", "CUDA_PATH", "TENSORRT_ROOT", "TENSORRT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    monkeypatch.setattr(toolchain, "_site_folders", lambda: [tmp_path / "site"])
    monkeypatch.setattr(toolchain, "_read", _reader({}))
    real = Path.is_file

    def is_file(self: Path) -> bool:
        return real(self) and self.is_relative_to(tmp_path)

    monkeypatch.setattr(Path, "is_file", is_file)
    return tmp_path


def _reader(files: dict[str, str]) -> Callable[[str], str]:
    def read(path: str) -> str:
        if path in files:
            return files[path]
        return "" if path.startswith(("/etc", "/proc")) else Path(path).read_text()

    return read


def test_nvcc_on_path_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nvcc(bare / "bin" / "nvcc", version="12.6.1")
    write_nvcc(bare / "cuda" / "bin" / "nvcc", version="11.4.2")
    monkeypatch.setenv("CUDA_HOME", str(bare / "cuda"))
    nvcc = toolchain.find_nvcc()
    assert nvcc.version == "12.6.1"
    assert nvcc.path == bare / "bin" / "nvcc"
    assert nvcc.architectures == ("72", "87", "90")  # 50 is too old for the kernels


def test_nvcc_of_cuda_home_and_of_pip(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_site = write_nvcc(bare / "site" / "nvidia" / "cu13" / "bin" / "nvcc")
    assert toolchain.find_nvcc().path == in_site
    at_home = write_nvcc(bare / "cuda" / "bin" / "nvcc")
    monkeypatch.setenv("CUDA_HOME", str(bare / "cuda"))
    assert toolchain.find_nvcc().path == at_home


def test_a_program_that_is_no_nvcc_is_passed_over(bare: Path) -> None:
    write_program(bare / "bin" / "nvcc", "exit 1")
    good = write_nvcc(bare / "site" / "nvidia" / "cu13" / "bin" / "nvcc")
    assert toolchain.find_nvcc().path == good
    with pytest.raises(GcposeError, match=r"does not run as nvcc; give --nvcc"):
        toolchain.find_nvcc(bare / "bin" / "nvcc")
    with pytest.raises(GcposeError, match=r"does not run as nvcc; give --nvcc"):
        toolchain.find_nvcc(bare / "nothing")


def test_missing_nvcc_names_the_package_of_this_machine(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GcposeError, match=r"pip install nvidia-cuda-nvcc nvidia-cuda-cccl"):
        toolchain.find_nvcc()
    for release, package in (("35", "cuda-nvcc-11-4"), ("36", "cuda-nvcc-12-6"), ("38", "cuda-nvcc-13-0")):
        monkeypatch.setattr(toolchain, "_read", _reader({"/etc/nv_tegra_release": f"# R{release} (release), REVISION"}))
        with pytest.raises(GcposeError, match=f"sudo apt install {package} "):
            toolchain.find_nvcc()


@pytest.mark.parametrize(("text", "version"), [(HEADERS_8, "8.5.2"), (HEADERS_11, "11.4.0")])
def test_headers_and_their_version(bare: Path, text: str, version: str) -> None:
    folder = write_headers(bare / "trt" / "include", text)
    for given in (folder, folder.parent):
        headers = toolchain.find_headers(given)
        assert (headers.folder, headers.text, headers.borrowed) == (folder, version, False)


def test_headers_of_the_environment_come_before_those_of_pip(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    borrowed = write_headers(bare / "site" / "kernel_lens" / "include" / "tensorrt", HEADERS_11)
    assert toolchain.find_headers() == toolchain.Headers(borrowed, (11, 4, 0), borrowed=True)
    in_site = write_headers(bare / "site" / "tensorrt_libs" / "include", HEADERS_11)
    assert toolchain.find_headers().folder == in_site
    own = write_headers(bare / "root" / "include")
    monkeypatch.setenv("TENSORRT_ROOT", str(bare / "root"))
    assert toolchain.find_headers().folder == own


def test_missing_and_old_headers(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GcposeError, match=r"missing; install them with: sudo apt install libnvinfer-headers-dev"):
        toolchain.find_headers()
    monkeypatch.setattr(toolchain, "_read", _reader({"/proc/device-tree/model": "NVIDIA Jetson Orin Nano\0"}))
    with pytest.raises(GcposeError, match=r"missing; install them with: sudo apt install libnvinfer-dev$"):
        toolchain.find_headers()
    with pytest.raises(GcposeError, match=r"has no NvInferRuntime.h; give --tensorrt-include"):
        toolchain.find_headers(bare)
    old = write_headers(bare / "old", HEADERS_8.replace("MINOR 5", "MINOR 4"))
    with pytest.raises(GcposeError, match=r"8\.4\.2; the plugins need 8\.5"):
        toolchain.find_headers(old)


def test_missing_host_compiler(bare: Path) -> None:
    with pytest.raises(GcposeError, match=r"sudo apt install g\+\+"):
        toolchain.check_host_compiler()
    write_program(bare / "bin" / "g++", "true")
    toolchain.check_host_compiler()


@pytest.mark.parametrize(
    ("model", "release", "smi", "expected"),
    [
        ("NVIDIA Jetson AGX Xavier", "35", None, "72"),
        ("NVIDIA Jetson Orin Nano Developer Kit\0", "36", "[N/A]", "87"),
        ("NVIDIA Jetson AGX Thor Developer Kit", "38", "11.0", "110"),
        ("", "36", None, "87"),  # in a container, where the device tree is hidden
        ("", None, "9.0", "90"),
        ("", None, "12.0\n8.6\n", "86"),  # runs on both
        ("", None, None, None),
        ("", None, "No devices were found", None),
    ],
)
def test_architecture_of_this_machine(
    bare: Path, monkeypatch: pytest.MonkeyPatch, model: str, release: str | None, smi: str | None, expected: str | None
) -> None:
    files = {"/proc/device-tree/model": model}
    if release is not None:
        files["/etc/nv_tegra_release"] = f"# R{release} (release), REVISION: 4.1, GCID: 1, BOARD: t186ref"
    monkeypatch.setattr(toolchain, "_read", _reader(files))
    if smi is not None:
        write_program(bare / "bin" / "nvidia-smi", f"printf '%s\\n' '{smi}'")
    assert toolchain.gpu_architecture() == expected
    assert toolchain.is_jetson() == (release is not None or "Jetson" in model)


def test_driver_cuda(bare: Path) -> None:
    assert toolchain.driver_cuda() is None
    write_program(
        bare / "bin" / "nvidia-smi", "echo '| NVIDIA-SMI 550.54  Driver Version: 550.54  CUDA Version: 12.4 |'"
    )
    assert toolchain.driver_cuda() == 12


def test_choice_of_architectures(monkeypatch: pytest.MonkeyPatch) -> None:
    nvcc = toolchain.Nvcc(Path("nvcc"), "12.6.68", ("72", "87", "90"))
    choose = toolchain.choose_architectures
    assert choose("all", nvcc) == ["72", "87", "90"]
    assert choose("8.7", nvcc) == ["87"]
    assert choose("90, sm_87,87", nvcc) == ["87", "90"]
    monkeypatch.setattr(toolchain, "gpu_architecture", lambda: "87")
    assert choose("native", nvcc) == ["87"]
    monkeypatch.setattr(toolchain, "gpu_architecture", lambda: None)
    with pytest.raises(GcposeError, match=r"no NVIDIA GPU found to build for; name one, such as --arch 87"):
        choose("native", nvcc)
    with pytest.raises(GcposeError, match=r"compiles for 72 87 90, not for 110; install a CUDA"):
        choose("110", nvcc)
    with pytest.raises(GcposeError, match=r"need architecture 72 and up, not 61"):
        choose("61,87", nvcc)
    for bad in ("", "orin", "87,", "8", "1234"):
        with pytest.raises(GcposeError, match=r"is not native, all, or numbers"):
            choose(bad, nvcc)


def test_silent_nvcc_needs_named_architectures() -> None:
    nvcc = toolchain.Nvcc(Path("nvcc"), "11.0.1", ())
    assert toolchain.choose_architectures("72", nvcc) == ["72"]
    with pytest.raises(GcposeError, match=r"does not list its architectures; name them"):
        toolchain.choose_architectures("all", nvcc)


def test_this_machine_gives_a_result_or_one_line() -> None:
    # Whatever is installed here: the answer is a usable toolchain, or our own error.
    try:
        nvcc = toolchain.find_nvcc()
        headers = toolchain.find_headers()
    except GcposeError as error:
        assert "install" in str(error)
        assert "\n" not in str(error)
    else:
        assert os.access(nvcc.path, os.X_OK)
        assert (headers.folder / "NvInferRuntime.h").is_file()
