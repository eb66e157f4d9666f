"""Opening libraries of kernels: what they say of themselves, and the line that each wrong file gives."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gcpose_trt
from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import cpu_build, kernels
from gcpose_trt.plugins.kernels import Kernels
from gcpose_trt.plugins.sources import source_folder
from tests.plugins.native import require_gxx

STRUCTS = {
    "MultiLevelRoiAlignParams": kernels._RoiAlignParams,
    "GcmAttentionParams": kernels._GcmAttentionParams,
    "NmsParams": kernels._NmsParams,
    "KeypointDecodeParams": kernels._KeypointDecodeParams,
    "LetterboxParams": kernels._LetterboxParams,
}


def test_build_info(cpu_kernels: Kernels) -> None:
    info = cpu_kernels.build_info
    assert info["cpu"] is True
    assert info["version"] == gcpose_trt.__version__
    assert info["compiler"].startswith("g++ ")
    assert (info["architectures"], info["tensorrt"], info["interface"]) == ([], None, None)


def test_structs_are_laid_out_as_in_c(tmp_path: Path) -> None:
    """Every field of every struct, by its offset: a field added on one side only shows here."""
    lines = []
    for name, struct in STRUCTS.items():
        lines.append(f'    std::printf("{name} %zu\\n", sizeof(gcpose::{name}));')
        for field, *_ in struct._fields_:
            lines.append(f'    std::printf("{name}.{field} %zu\\n", offsetof(gcpose::{name}, {field}));')
    source = tmp_path / "layout.cpp"
    body = "\n".join(lines)
    source.write_text(f'#include "c_api/gcpose_kernels.h"\n#include <cstdio>\nint main()\n{{\n{body}\n}}\n')
    program = tmp_path / "layout"
    subprocess.run(
        [require_gxx(), "-std=c++17", "-DGCPOSE_CPU", f"-I{source_folder()}", str(source), "-o", str(program)],
        check=True,
    )
    expected = []
    for name, struct in STRUCTS.items():
        expected.append(f"{name} {ctypes.sizeof(struct)}")
        expected += [f"{name}.{field} {getattr(struct, field).offset}" for field, *_ in struct._fields_]
    assert (
        subprocess.run([str(program)], check=True, capture_output=True, text=True).stdout.split("\n")[:-1] == expected
    )


def test_only_the_interface_is_exported(cpu_library: Path) -> None:
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", str(cpu_library)], capture_output=True, text=True, check=True
    )
    names = {line.split()[-1] for line in listed.stdout.splitlines()}
    header = (source_folder() / "c_api" / "gcpose_kernels.h").read_text()
    declared = set(re.findall(r"(gcpose_\w+)\(", header))
    assert names == declared


def one_line(error: pytest.ExceptionInfo[GcposeError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith("gcpose-trt plugins build")
    return text


def test_no_library(tmp_path: Path) -> None:
    with pytest.raises(GcposeError) as error:
        Kernels(tmp_path / "nothing.so")
    assert "there is no plugin library at" in one_line(error)


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    path = tmp_path / "text.so"
    path.write_text("no machine code\n")
    with pytest.raises(GcposeError) as error:
        Kernels(path)
    assert "is not a plugin library for this machine" in one_line(error)


@pytest.mark.parametrize("kept", [0.0, 0.0005, 0.002, 0.1, 0.5, 0.9])
def test_a_library_cut_short(tmp_path: Path, cpu_library: Path, kept: float) -> None:
    """The loader would map it and the process die when it reads past the end."""
    path = tmp_path / "short.so"
    content = cpu_library.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(GcposeError) as error:
        Kernels(path)
    one_line(error)


def test_a_library_of_something_else(tmp_path: Path) -> None:
    source = tmp_path / "other.cpp"
    source.write_text('extern "C" int other() { return 1; }\n')
    path = tmp_path / "other.so"
    subprocess.run([require_gxx(), "-shared", "-fPIC", str(source), "-o", str(path)], check=True)
    with pytest.raises(GcposeError) as error:
        Kernels(path)
    assert "is not a plugin library of gcpose-trt" in one_line(error)


def test_importing_takes_neither_torch_nor_tensorrt() -> None:
    code = (
        "import sys, gcpose_trt.plugins.kernels, gcpose_trt.plugins.cpu_build\n"
        "assert not {'torch', 'tensorrt', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_building_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GcposeError, match=r"sudo apt install g\+\+$"):
        cpu_build.build_cpu_library(tmp_path / "library.so")
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "g++"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'x.h:1: error: concepts' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    with pytest.raises(GcposeError, match=r"x.h:1: error: concepts\); update g\+\+ to 9 or later$"):
        cpu_build.build_cpu_library(tmp_path / "out" / "library.so")
    assert list((tmp_path / "out").iterdir()) == []
