"""`gcpose-trt plugins`: what it prints, and one line for what is missing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gcpose_trt.cli import main
from gcpose_trt.plugins import library, toolchain

NVCC = """#!/bin/sh
case "$1" in
--version) echo 'release 12.6, V12.6.68'; exit;;
--list-gpu-arch) printf 'compute_72\\ncompute_87\\n'; exit;;
esac
for word; do [ "$previous" = -o ] && target=$word; previous=$word; done
echo object > "$target"
"""


@pytest.fixture
def nvcc(tmp_path: Path) -> Path:
    """A compiler that makes a file of nothing."""
    path = tmp_path / "nvcc"
    path.write_text(NVCC)
    path.chmod(0o755)
    return path


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """Headers of TensorRT 8.6.1, as far as the build looks into them."""
    folder = tmp_path / "include"
    folder.mkdir()
    (folder / "NvInferRuntime.h").write_text("")
    (folder / "NvInferVersion.h").write_text(
        "#define NV_TENSORRT_MAJOR 8\n#define NV_TENSORRT_MINOR 6\n#define NV_TENSORRT_PATCH 1\n"
    )
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test looks at or writes to the developer's own library."""
    monkeypatch.delenv("GCPOSE_PLUGINS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.strip().splitlines()
    errors = [line for line in lines if line.startswith("gcpose-trt: error: ")]
    assert len(errors) == 1
    assert lines[-1] == errors[0]
    return errors[0]


def build(nvcc: Path, include: Path, *more: str) -> int:
    return main(["plugins", "build", "--nvcc", str(nvcc), "--tensorrt-include", str(include), *more])


def test_build_says_where_it_is_and_how_to_load_it(
    nvcc: Path, include: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(nvcc, include, "--arch", "87") == 0
    shown = capsys.readouterr()
    path = tmp_path / "cache" / "gcpose-trt" / "plugins" / "libgcpose_plugins.so"
    assert path.is_file()
    assert f"built {path} (" in shown.out
    assert f"trtexec --staticPlugins={path}" in shown.out
    assert "GCPOSE_PLUGINS" not in shown.out  # it is where everything looks
    assert "nvcc 12.6.68" in shown.err
    assert "TensorRT 8.6.1" in shown.err
    assert "interface v2, architecture 87" in shown.err


def test_output_folder(nvcc: Path, include: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(nvcc, include, "--arch", "all", "--output", str(tmp_path / "out"), "--jobs", "2") == 0
    path = tmp_path / "out" / "libgcpose_plugins.so"
    assert f"export GCPOSE_PLUGINS={path}" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "libgcpose_plugins.json").read_text())["architectures"] == ["72", "87"]


def test_environment_names_the_file(nvcc: Path, include: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GCPOSE_PLUGINS", str(tmp_path / "mine.so"))
    assert build(nvcc, include, "--arch", "87") == 0
    assert (tmp_path / "mine.so").is_file()
    assert (tmp_path / "mine.json").is_file()


def test_warnings_before_a_build(
    nvcc: Path, include: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(toolchain, "driver_cuda", lambda: 11)
    monkeypatch.setattr(
        toolchain, "find_headers", lambda given: toolchain.Headers(include, (10, 14, 1), borrowed=given is not None)
    )
    assert build(nvcc, include, "--arch", "87") == 0
    shown = capsys.readouterr().err
    assert "warning: this driver runs CUDA 11 and nvcc is 12.6.68; the library will not run here" in shown
    assert "warning: no TensorRT headers are installed; these are kernel-lens's, of TensorRT 10.14.1" in shown


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--arch", "native"], "no NVIDIA GPU found to build for; name one, such as --arch 87"),
        (["--arch", "90"], "nvcc 12.6.68 compiles for 72 87, not for 90"),
        (["--arch", "x"], "--arch 'x' is not native, all, or numbers"),
        (["--arch", "87", "--interface", "v3"], "--interface v3 needs TensorRT 10 or later"),
        (["--arch", "87", "--output", "/proc/none"], "choose another folder"),
        (["--interface", "v4"], "invalid choice: 'v4'"),
        (["--jobs", "0"], "--jobs"),
    ],
)
def test_bad_requests(
    nvcc: Path,
    include: Path,
    more: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(toolchain, "gpu_architecture", lambda: None)
    try:
        code = build(nvcc, include, *more)
    except SystemExit as stopped:  # argparse's own
        code = stopped.code if isinstance(stopped.code, int) else 1
    assert code == 2
    assert message in one_line(capsys)


def test_missing_tools(
    nvcc: Path, include: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(tmp_path / "none", include, "--arch", "87") == 2
    assert "does not run as nvcc" in one_line(capsys)
    assert build(nvcc, tmp_path / "elsewhere", "--arch", "87") == 2
    assert "has no NvInferRuntime.h; give --tensorrt-include" in one_line(capsys)
    monkeypatch.setattr(toolchain, "_nvcc_candidates", lambda: iter(()))
    assert main(["plugins", "build", "--arch", "87"]) == 2
    assert "nvcc, the CUDA compiler, is missing; install it with: " in one_line(capsys)
    assert not (tmp_path / "cache" / "gcpose-trt" / "plugins" / "libgcpose_plugins.so").exists()


def test_info_without_a_library(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "info"]) == 2
    assert one_line(capsys).endswith("build it with: gcpose-trt plugins build")


def test_info_of_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "libgcpose_plugins.so").write_text("text")
    assert main(["plugins", "info", str(tmp_path)]) == 2
    assert "cannot be loaded as our plugin library" in one_line(capsys)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_info(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = {"version": "0.1.0", "compiler": "g++ 12", "architectures": ["87"], "tensorrt": "10.3.0", "interface": "v3"}
    (tmp_path / "x.c").write_text(f"const char *gcpose_build_info(void) {{ return {json.dumps(json.dumps(info))}; }}")
    path = tmp_path / "libgcpose_plugins.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(path), str(tmp_path / "x.c")], check=True)
    assert main(["plugins", "info", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert library.sha256(path) in shown
    assert "10.3.0" in shown
    assert "unknown: no record beside it" in shown
    library.sidecar(path).write_text(json.dumps({"sha256": library.sha256(path), "sources_sha256": "0"}))
    assert main(["plugins", "info", str(path)]) == 0
    assert "older or newer than this gcpose-trt; run: gcpose-trt plugins build" in capsys.readouterr().out
    assert main(["plugins", "info", "--json", str(path)]) == 0
    described = json.loads(capsys.readouterr().out)
    assert described["build"] == info
    assert described["sources_current"] is False


def test_help_and_missing_action(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["plugins", "build", "--help"])
    assert stopped.value.code == 0
    assert "--tensorrt-include" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["plugins"])
    assert "build|info" in one_line(capsys)


def test_interrupted_build_leaves_nothing(include: Path, tmp_path: Path) -> None:
    slow = tmp_path / "nvcc"
    slow.write_text(NVCC.replace("for word;", f"touch '{tmp_path}/started'; sleep 60; for word;"))
    slow.chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "gcpose_trt", "plugins", "build", "--arch", "87", "--nvcc", str(slow)]
    command += ["--tensorrt-include", str(include), "--output", str(tmp_path / "out")]
    # As at a terminal, where Ctrl-C reaches the compilers too.
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, "TMPDIR": str(scratch)}
    )
    try:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
            time.sleep(0.001)  # Ctrl-C may come as soon as there is one compiler
        os.killpg(process.pid, signal.SIGINT)
        _, shown = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert shown.strip().splitlines()[-1].startswith("gcpose-trt: error: interrupted")
    assert "Traceback" not in shown
    assert list((tmp_path / "out").iterdir()) == []
    assert list(scratch.iterdir()) == []


def test_one_failure_ends_the_other_compilers(
    include: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiler = tmp_path / "nvcc"
    once = f"if mkdir '{tmp_path}/first' 2>/dev/null; then echo 'x.cu(1): error: odd'; exit 1; fi; sleep 60;"
    compiler.write_text(NVCC.replace("for word;", f"{once} for word;"))
    compiler.chmod(0o755)
    begun = time.monotonic()
    command = ["plugins", "build", "--arch", "87", "--nvcc", str(compiler), "--tensorrt-include", str(include)]
    assert main([*command, "--output", str(tmp_path / "out")]) == 2
    assert "error: odd" in one_line(capsys)
    # Not a measure of speed: a compiler that is left to itself sleeps for a minute.
    assert time.monotonic() - begun < 50
