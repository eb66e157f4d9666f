"""The build command, against a compiler that only records what it is asked: commands, failures, what is left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import gcpose_trt
from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import build, library, sources

RECORD = """#!/bin/sh
case "$1" in
--version) echo 'release 12.6, V12.6.68'; exit;;
--list-gpu-arch) printf 'compute_72\\ncompute_87\\n'; exit;;
esac
printf '%s\\n' "$*" >> "$(dirname "$0")/calls"
for word; do [ "$previous" = -o ] && target=$word; previous=$word; done
"""


@pytest.fixture
def nvcc(tmp_path: Path) -> Path:
    """A compiler whose objects are empty files."""
    return write(tmp_path / "bin" / "nvcc", RECORD + 'echo object > "$target"\n')


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def headers(tmp_path: Path, version: tuple[int, int, int] = (8, 5, 2)) -> Path:
    folder = tmp_path / f"trt-{version[0]}"
    folder.mkdir(exist_ok=True)
    (folder / "NvInferRuntime.h").write_text("")
    lines = zip(("MAJOR", "MINOR", "PATCH"), version, strict=True)
    (folder / "NvInferVersion.h").write_text("".join(f"#define NV_TENSORRT_{name} {value}\n" for name, value in lines))
    return folder


def plan_for(nvcc: Path, include: Path, interface: str = "auto") -> build.Plan:
    return build.make_plan(architectures="72,87", interface=interface, nvcc=nvcc, tensorrt_include=include)


def calls(nvcc: Path) -> list[str]:
    return (nvcc.parent / "calls").read_text().splitlines()


def test_sources_are_those_of_the_clone() -> None:
    folder = sources.source_folder()
    for interface in ("v3", "v2"):
        names = sources.library_sources(interface)
        assert len(set(names)) == len(names)
        assert f"tensorrt/{interface}/plugin.cpp" in names
        assert [name for name in names if not (folder / name).is_file()] == []
    listed = subprocess.run(["git", "ls-files", "plugins"], cwd=folder.parent, capture_output=True, text=True).stdout
    kernels = {name for name in listed.split() if name.endswith("kernel.cu")}
    assert kernels <= {f"plugins/{name}" for name in sources.library_sources("v3")}


def test_digest_follows_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "plugins"
    shutil.copytree(sources.source_folder(), copy)
    monkeypatch.setattr(sources, "source_folder", lambda: copy)
    first = sources.sources_sha256()
    (copy / "README.md").write_text("words")
    (copy / "harness" / "main.cpp").write_text("other tests")
    assert sources.sources_sha256() == first
    with (copy / "nms" / "kernel.cu").open("a") as stream:
        stream.write("\n")
    assert sources.sources_sha256() != first


@pytest.mark.parametrize(
    ("version", "request_", "chosen"),
    [((8, 5, 2), "auto", "v2"), ((8, 6, 1), "v2", "v2"), ((10, 3, 0), "auto", "v3"), ((11, 4, 0), "v2", "v2")],
)
def test_interface_follows_the_headers(
    tmp_path: Path, nvcc: Path, version: tuple[int, int, int], request_: str, chosen: str
) -> None:
    plan = plan_for(nvcc, headers(tmp_path, version), request_)
    assert plan.interface == chosen
    assert plan.architectures == ("72", "87")
    command = " ".join(plan.compile_command("nms/kernel.cu", tmp_path / "x.o"))
    assert f"-DGCPOSE_PLUGIN_INTERFACE={chosen[1]} " in command


def test_v3_of_old_headers_is_refused(tmp_path: Path, nvcc: Path) -> None:
    with pytest.raises(GcposeError, match=r"--interface v3 needs TensorRT 10 or later.* is 8\.5\.2; use v2"):
        plan_for(nvcc, headers(tmp_path), "v3")


def test_commands(tmp_path: Path, nvcc: Path) -> None:
    plan = plan_for(nvcc, headers(tmp_path))
    kernel = plan.compile_command("nms/kernel.cu", tmp_path / "x.o")
    assert [flag for flag in kernel if flag.startswith("-gencode")] == [
        "-gencode=arch=compute_72,code=sm_72",
        "-gencode=arch=compute_87,code=sm_87",
        "-gencode=arch=compute_87,code=compute_87",  # PTX, for GPUs that come later
    ]
    assert not any("fast" in flag for flag in kernel)  # the kernels' arithmetic is IEEE's
    glue = plan.compile_command("tensorrt/log.cpp", tmp_path / "x.o")
    assert not any(flag.startswith("-gencode") for flag in glue)
    link = " ".join(plan.link_command([tmp_path / "x.o"], tmp_path / "x.so"))
    assert "-shared -cudart=static" in link
    assert "exports.map" in link
    assert "nvinfer" not in link


def test_build_installs_the_library_and_its_record(tmp_path: Path, nvcc: Path) -> None:
    plan = plan_for(nvcc, headers(tmp_path))
    built = build.build_library(plan, tmp_path / "out", jobs=2)
    assert built == tmp_path / "out" / "libgcpose_plugins.so"
    assert built.read_text() == "object\n"
    assert os.access(built, os.X_OK)
    record = json.loads((tmp_path / "out" / "libgcpose_plugins.json").read_text())
    assert record["sha256"] == library.sha256(built)
    assert record["sources_sha256"] == sources.sources_sha256()
    assert record["architectures"] == ["72", "87"]
    assert (record["tensorrt"], record["nvcc"], record["interface"]) == ("8.5.2", "12.6.68", "v2")
    lines = calls(nvcc)
    assert sum(" -c " in f" {line} " for line in lines) == len(sources.library_sources("v2"))
    assert "-shared" in lines[-1]
    assert sorted(path.name for path in built.parent.iterdir()) == ["libgcpose_plugins.json", "libgcpose_plugins.so"]
    again = build.build_library(plan, tmp_path / "own-name.so")
    assert again == tmp_path / "own-name.so"
    assert (tmp_path / "own-name.json").is_file()


def test_failed_compile_leaves_the_old_library(tmp_path: Path) -> None:
    failing = write(
        tmp_path / "bin" / "nvcc",
        RECORD + 'case "$*" in *nms/kernel.cu*) echo \'nms/kernel.cu(7): error: expected a ";"\'; '
        "echo '1 error detected'; exit 2;; esac\necho object > \"$target\"\n",
    )
    old = tmp_path / "out" / "libgcpose_plugins.so"
    old.parent.mkdir()
    old.write_text("old")
    with pytest.raises(GcposeError) as caught:
        build.build_library(plan_for(failing, headers(tmp_path)), old.parent)
    message = str(caught.value)
    assert "nvcc failed on kernel.cu: nms/kernel.cu(7): error: expected" in message
    assert message.endswith("run again with --verbose to see all it said")
    assert "\n" not in message
    assert [path.name for path in old.parent.iterdir()] == [old.name]
    assert old.read_text() == "old"


def test_failed_link_names_the_library(tmp_path: Path) -> None:
    failing = write(
        tmp_path / "bin" / "nvcc",
        RECORD + 'case "$*" in *-shared*) echo \'undefined reference to x\'; exit 1;; esac\necho object > "$target"\n',
    )
    with pytest.raises(GcposeError, match=r"nvcc failed on the library: undefined reference to x"):
        build.build_library(plan_for(failing, headers(tmp_path)), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_unwritable_output_is_found_before_the_compile(tmp_path: Path, nvcc: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GcposeError, match="choose another folder"):
        build.build_library(plan_for(nvcc, headers(tmp_path)), tmp_path / "file" / "out")
    assert not (nvcc.parent / "calls").exists()


def test_verbose_shows_commands_and_output(tmp_path: Path, nvcc: Path, capfd: pytest.CaptureFixture[str]) -> None:
    build.build_library(plan_for(nvcc, headers(tmp_path)), tmp_path / "out", jobs=1, verbose=True)
    shown = capfd.readouterr().err
    assert "-shared" in shown
    assert "nms/kernel.cu" in shown


def test_missing_sources_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "_PACKAGE", tmp_path / "site-packages" / "gcpose_trt")
    with pytest.raises(GcposeError, match="sources are missing from this installation; install gcpose-trt again"):
        sources.source_folder()


def test_a_wheels_own_sources_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carried = tmp_path / "gcpose_trt" / "plugin_sources"
    carried.mkdir(parents=True)
    (carried / "CMakeLists.txt").write_text("")
    monkeypatch.setattr(sources, "_PACKAGE", tmp_path / "gcpose_trt")
    assert sources.source_folder() == carried


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_configures_the_harness(tmp_path: Path) -> None:
    include = headers(tmp_path, (10, 14, 1))
    command = ["cmake", "-S", str(sources.source_folder()), "-B", str(tmp_path / "build"), "-DGCPOSE_CPU_HARNESS=ON"]
    done = subprocess.run([*command, f"-DTENSORRT_INCLUDE_DIR={include}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "TensorRT 10.14.1" in done.stdout
    assert f"gcpose-trt {gcpose_trt.__version__}" in done.stdout
    assert "interface v3" in done.stdout
    old = subprocess.run(
        [*command, f"-DTENSORRT_INCLUDE_DIR={headers(tmp_path)}"],
        capture_output=True,
        text=True,
    )
    assert "TensorRT 8.5.2" in old.stdout
    assert "interface v2" in old.stdout
