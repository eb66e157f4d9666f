"""What the Dockerfile says about the CPU image, done without Docker: its files, pip's line, its user, its health."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.reading import DOCKERFILES, REPOSITORY, context, fill, global_arguments, stages

_INSIDE = "/opt/gcpose-trt"
_USER = 10001
# Generous: other tests may share the machine.
_PATIENCE_S = 300.0


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user may enter, unlike pytest's own, for the image's user is another one than ours."""
    folder = Path(tempfile.mkdtemp(prefix="gcpose-image-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def interpreter() -> str:
    """Return a Python that another user may start, 3.10 or later with venv; this one may lie in root's home."""
    ask = "import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 10))"
    for candidate in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3"):
        base = Path(candidate).resolve()
        if all(folder.stat().st_mode & 0o1 for folder in base.parents) and base.is_file():
            plain = str(base if candidate == sys.executable else candidate)
            if subprocess.run([plain, "-c", ask], capture_output=True, check=False).returncode == 0:
                return plain
    pytest.skip("no Python 3.10 with venv that every user may start; apt-get install python3-venv")


def build(place: Path) -> Path:
    """Do what the stages cpu-build and cpu say; return what is /opt/gcpose-trt in the image."""
    source, image = place / "source", place / "image"
    for name in context():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, source / name)
    every = stages(DOCKERFILES[0])
    for run in every["cpu-build"].all("RUN"):
        line = fill(run.rest, global_arguments(DOCKERFILES[0]))
        words = [word.replace(_INSIDE, str(image)) for word in shlex.split(line)]
        if words[0] == "python":
            words[0] = interpreter()
        subprocess.run(words, cwd=source, check=True, capture_output=True)
    for copy in every["cpu"].all("COPY"):
        if "--from" not in copy.rest:
            origin, target = copy.rest.split()
            shutil.copyfile(source / origin, target.replace(_INSIDE, str(image)))
    shutil.rmtree(source)  # the image does not have it
    return image


def environment(image: Path, home: Path) -> dict[str, str]:
    """Return what ENV says, and nothing of ours but the switch that keeps tests from fighting for the cores."""
    found = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    for pair in stages(DOCKERFILES[0])["cpu"].last("ENV").rest.split():
        name, value = pair.split("=", 1)
        value = value.replace(_INSIDE, str(image)).replace("/cache", str(home))
        found[name] = value.replace("$PATH", "/usr/local/bin:/usr/bin:/bin")
    return found


@pytest.mark.slow(40)
def test_cpu_image(place: Path) -> None:
    image, home = build(place), place / "home"
    home.mkdir()
    root = os.geteuid() == 0
    who: dict[str, int | list[int]] = {"user": _USER, "group": _USER, "extra_groups": []} if root else {}
    if root:
        os.chown(home, _USER, _USER)
    else:
        subprocess.run(["chmod", "-R", "a-w", str(image)], check=True)
    stage = stages(DOCKERFILES[0])["cpu"]
    program = [str(image / "bin" / stage.last("ENTRYPOINT").words()[0])]
    probe = [word.replace(_INSIDE, str(image)) for word in stage.last("HEALTHCHECK").words()]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [word.replace(":8080", f":{port}") for word in stage.last("CMD").words()]
    told = {"cwd": home, "env": environment(image, home), **who}

    def health() -> subprocess.CompletedProcess[str]:
        return subprocess.run([*probe, port], capture_output=True, text=True, check=False, **told)  # type: ignore[call-overload]

    tried = subprocess.run(program + command, capture_output=True, text=True, check=False, **told)  # type: ignore[call-overload]
    assert tried.returncode == 2, tried.stderr
    assert "give --token" in tried.stderr, "nobody serves strangers by mistake"
    assert health().returncode == 1

    told["env"] = told["env"] | {"GCPOSE_TOKEN": "only-for-this-test-0123456789"}  # type: ignore[operator]
    log = place / "log"
    with log.open("w") as stream:
        running = subprocess.Popen(program + command, stdout=stream, stderr=stream, **told)  # type: ignore[call-overload]
    try:
        until = time.monotonic() + _PATIENCE_S
        while health().returncode != 0:
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
        assert health().stdout == '200 {"status": "ok"}\n'
        running.send_signal(signal.SIGTERM)
        assert running.wait(_PATIENCE_S) == 0, log.read_text()
    finally:
        running.kill()
        running.wait()
    assert health().returncode == 1
    assert health().stdout.startswith("nobody answers")
