"""The door to the machine: what it gives for things that fail, hang or crash."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gcpose_trt.doctor import Probe, inspections
from tests.support import cuda_standin


def test_commands(tmp_path: Path) -> None:
    probe = Probe()
    assert probe.run(sys.executable, "-c", "print('yes')").text == "yes\n"
    failed = probe.run(sys.executable, "-c", "import sys; print('why', file=sys.stderr); sys.exit(3)")
    assert (failed.ok, failed.code, failed.last_words) == (False, 3, "why")
    assert probe.run("no-such-command-of-any-kind").problem == "missing"
    (tmp_path / "text").write_text("no program")
    assert probe.run(str(tmp_path / "text")).problem not in ("", "missing", "timeout")


def test_command_that_hangs_is_given_up() -> None:
    answer = Probe().run(sys.executable, "-c", "import time; time.sleep(60)", timeout=0.2)
    assert (answer.code, answer.problem) == (None, "timeout")
    # A child that keeps the pipe open must not keep us either.
    assert Probe().run("sh", "-c", "sleep 60 & sleep 60", timeout=0.2).problem == "timeout"


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Probe:
    """A probe whose inspections run the code that they are named after."""
    monkeypatch.setattr("gcpose_trt.doctor.probe._CHILD", "import sys; exec(sys.argv[2])")
    return Probe()


def test_library_that_crashes_is_an_error(child: Probe) -> None:
    assert (
        child.inspect("import os, signal; os.kill(os.getpid(), signal.SIGILL)").error == "it crashed Python with SIGILL"
    )


def test_library_that_hangs_is_an_error(child: Probe) -> None:
    assert child.inspect("import time; time.sleep(60)", timeout=0.2).error == "no answer within 0.2 s"


def test_library_that_ends_python_is_an_error(child: Probe) -> None:
    assert child.inspect("import sys; sys.exit('cannot go on')").error == "cannot go on"
    assert child.inspect("import os; os._exit(7)").error == "Python ended with code 7"


def test_what_a_library_prints_does_not_matter(child: Probe) -> None:
    code = "print('[W] noise'); from gcpose_trt.doctor import inspections as i; print('x', end=''); i.main(['headers'])"
    assert child.inspect(code).facts


def test_inspections_run_once(child: Probe, tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'log')!r}, 'a').write('x'); raise SystemExit('done')"
    assert child.inspect(code) is child.inspect(code)
    assert (tmp_path / "log").read_text() == "x"


def test_modules_of_the_working_directory_are_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cv2.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert Probe().inspect("opencv").error == ""


def test_error_of_a_missing_library(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    inspections.main(["tensorrt", "no_such_tensorrt"])
    assert ended == [0]
    assert "No module named 'no_such_tensorrt'" in capsys.readouterr().out


def test_files(tmp_path: Path) -> None:
    probe = Probe()
    (tmp_path / "bytes").write_bytes(b"\xff\x00text")
    assert "text" in (probe.read(str(tmp_path / "bytes")) or "")
    assert probe.read(str(tmp_path / "none")) is None
    assert probe.read(str(tmp_path)) is None
    for number in (10, 9):
        (tmp_path / f"video{number}").touch()
    assert [Path(path).name for path in probe.paths(f"{tmp_path}/video*")] == ["video9", "video10"]
    assert probe.space(str(tmp_path / "not/yet/there")) == probe.space(str(tmp_path))


def test_modules_are_found_without_importing_them() -> None:
    probe = Probe()
    assert (probe.module("numpy") or "").endswith("numpy/__init__.py")
    assert probe.module("no_such_module") is None
    assert probe.packages()["numpy"]
    names = [name for name, _ in probe.requirements()]
    expected = ["numpy", "opencv-python-headless", "onnxruntime", "av", "tqdm"]  # and nothing of the extras
    assert names == expected + (["tomli"] if sys.version_info < (3, 11) else [])
    assert probe.interpreter().executable == sys.executable


def test_requirements_for_other_pythons_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["a>=1", 'b; python_version < "3.0"', 'c>=2; python_version >= "3.0"', "d; extra == 'x'"]
    monkeypatch.setattr("gcpose_trt.doctor.probe.metadata.requires", lambda name: lines)
    assert Probe().requirements() == [("a", ">=1"), ("c", ">=2")]


MAPS = """\
7f00-7f01 r-xp 00000000 08:01 11 /usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0
7f01-7f02 r--p 00000000 08:01 11 /usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0
7f02-7f03 r--p 00000000 08:01 12 /usr/lib/aarch64-linux-gnu/libnvinfer_plugin.so.10.3.0
7f03-7f04 r--p 00000000 08:01 13 /home/me/my project/libnvonnxparser.so.10
7f04-7f05 r--p 00000000 08:01 14 /usr/lib/libc.so.6
7f05-7f06 rw-p 00000000 00:00 0
"""


def test_libraries_are_read_from_the_mappings() -> None:
    libraries = inspections.mapped_libraries(MAPS)
    assert libraries == [
        "/home/me/my project/libnvonnxparser.so.10",
        "/usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0",
        "/usr/lib/aarch64-linux-gnu/libnvinfer_plugin.so.10.3.0",
    ]
    assert inspections.main_library(libraries) == "/usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0"
    assert inspections.main_library(libraries[2:]) is None


@pytest.mark.parametrize("module", ["tensorrt_rtx", "tensorrt_lean"])
def test_tensorrt_of_this_machine_names_its_library(module: str) -> None:
    probe = Probe()
    if probe.module(module) is None:
        pytest.skip(f"{module} is not installed")
    facts = probe.inspect("tensorrt", module).facts
    assert Path(facts["library"]).is_file()
    assert facts["version"].startswith(facts["library_version"])


def test_inference_of_this_machine() -> None:
    facts = Probe().inspect("onnxruntime", "mobile").facts
    assert facts["finite"] is True
    assert "CPUExecutionProvider" in facts["providers"]


@pytest.fixture(scope="module")
def standin_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for libcuda.so.1; says what the code makes of a driver, nothing of NVIDIA's."""
    reason = cuda_standin.missing()
    if reason:
        pytest.skip(reason)
    return cuda_standin.build(tmp_path_factory.mktemp("driver"))


def test_driver_is_asked_through_its_library(standin_driver: Path) -> None:
    code = "from gcpose_trt.doctor.inspections import main; main(['cuda_driver'])"
    facts = json.loads(cuda_standin.run(standin_driver, code).stdout.splitlines()[-1])["facts"]
    assert (facts["found"], facts["code"], facts["library"]) == (True, 0, str(standin_driver))
    assert re.fullmatch(r"\d+\.\d+", facts["cuda"])
    for device in facts["devices"]:
        assert "Stand-in" in device["name"]
        assert re.fullmatch(r"\d+\.\d+", device["compute_capability"])
        assert device["memory"] > 0
    assert facts["devices"]


BUILD_INFO = """extern "C" const char* gcpose_build_info() {
    return "{\\"architectures\\": [\\"90\\"], \\"tensorrt\\": \\"10.14.1\\", \\"interface\\": \\"v3\\"}";
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ to compile a library with")
def test_plugin_library_without_creators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "info.cpp").write_text(BUILD_INFO)
    library = tmp_path / "libgcpose_plugins.so"
    subprocess.run(["g++", "-shared", "-fPIC", tmp_path / "info.cpp", "-o", library], check=True)
    monkeypatch.setenv("GCPOSE_PLUGINS", str(library))
    probe = Probe()
    facts = probe.inspect("plugin_library").facts
    assert (facts["exists"], facts["build"]["interface"], facts["record"]) == (True, "v3", None)
    if probe.module("tensorrt_lean") is None:
        pytest.skip("tensorrt_lean is not installed")
    answer = probe.inspect("creators", "tensorrt_lean", str(library)).facts
    assert answer["found"] == []
    assert str(library) in answer["failure"]
    library.write_bytes(b"no library")
    assert "cannot be loaded" in Probe().inspect("plugin_library").facts["failure"]
    library.unlink()
    assert Probe().inspect("plugin_library").facts == {"path": str(library), "exists": False}
