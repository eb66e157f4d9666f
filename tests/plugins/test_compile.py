"""The glue compiles for TensorRT 8.5 and 8.6 too, as far as can be told without their headers; CMake finds its way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import sources, toolchain
from tests.plugins.native import compile_all, development_headers, require_gxx

# A stand-in for the headers of TensorRT 8.5 and 8.6: 10.14's, with the older version numbers, and with everything
# that came later out of reach. It shows that the glue's branches name nothing newer; the types stay 10.14's.
STANDIN = """
#include "{headers}/NvInferRuntime.h"
#undef NV_TENSORRT_MAJOR
#undef NV_TENSORRT_MINOR
#define NV_TENSORRT_MAJOR 8
#define NV_TENSORRT_MINOR {minor}
#pragma GCC poison kINT64 kBF16 kUINT8 IPluginV3 IPluginV3OneCore IPluginV3OneBuild IPluginV3OneRuntime
#pragma GCC poison IPluginCreatorV3One IPluginCreatorInterface TensorRTPhase getCreator getAllCreators
"""
POISON_85 = "#pragma GCC poison ILoggerFinder loadLibrary\n"


@pytest.mark.parametrize("minor", [5, 6])
def test_v2_glue_names_nothing_newer_than_tensorrt_8(tmp_path: Path, minor: int) -> None:
    headers = development_headers()
    standin = tmp_path / "standin"
    standin.mkdir()
    text = STANDIN.format(headers=headers, minor=minor) + (POISON_85 if minor == 5 else "")
    (standin / "NvInferRuntime.h").write_text(f"#pragma once\n#pragma GCC system_header\n{text}")
    glue = [name for name in sources.library_sources("v2") if name.startswith("tensorrt/")]
    if minor == 6:  # these alone have branches on 8.6
        glue = ["tensorrt/log.cpp", "tensorrt/library.cpp"]
    objects = compile_all(glue, tmp_path / "objects", standin, ["-O0"])
    names = subprocess.run(["nm", "-C", *map(str, objects)], capture_output=True, text=True, check=True).stdout
    assert " T getPluginCreators" in names
    assert " T gcpose_register_creators" in names
    assert " T getCreators" not in names
    assert (" T setLoggerFinder" in names) == (minor == 6)
    if minor == 5:
        check_registers_itself(objects, tmp_path)


# A program in the place of trtexec: opens the library, and counts how often it was asked for TensorRT's registry.
OPENER = """
#include <dlfcn.h>
static int asked;
extern "C" void *getPluginRegistry() { ++asked; return 0; }
int main(int count, char **words) { return dlopen(words[1], RTLD_LAZY) ? asked : 9; }
"""


def check_registers_itself(objects: list[Path], folder: Path) -> None:
    """TensorRT 8.5 cannot ask a library for its creators, so opening it must be enough."""
    built = folder / "lib85.so"
    # The kernels are not needed before a plugin is made.
    subprocess.run([require_gxx(), "-shared", *map(str, objects), "-ldl", "-o", str(built)], check=True)
    (folder / "opener.cpp").write_text(OPENER)
    opener = folder / "opener"
    subprocess.run([require_gxx(), "-rdynamic", str(folder / "opener.cpp"), "-o", str(opener), "-ldl"], check=True)
    assert subprocess.run([str(opener), str(built)]).returncode == 1


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_configures_for_cuda(tmp_path: Path) -> None:
    try:
        nvcc = toolchain.find_nvcc()
    except GcposeError as error:
        pytest.skip(str(error))
    command = ["cmake", "-S", str(sources.source_folder()), "-B", str(tmp_path), "-DCMAKE_CUDA_ARCHITECTURES=87"]
    options = [f"-DTENSORRT_INCLUDE_DIR={development_headers()}", f"-DCMAKE_CUDA_COMPILER={nvcc.path}"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "interface v3" in done.stdout
