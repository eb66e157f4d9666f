"""The README of the containers names profiles, services, variables and commands that exist."""

from __future__ import annotations

import re
import shlex

import pytest

from tests.containers.reading import COMPOSE, CONTAINERS, DOCKERFILES, global_arguments, parse_command, stages

yaml = pytest.importorskip("yaml", reason="pyyaml is missing; pip install '.[train]'")
README = (CONTAINERS / "README.md").read_text()
SERVICES = yaml.safe_load(COMPOSE.read_text())["services"]
# Commands stand in blocks and in backticks.
PIECES = re.findall(r"```\n(.*?)```|`([^`\n]+)`", README, re.DOTALL)
LINES = [line for piece in PIECES for line in "".join(piece).splitlines()]


def words_after(prefix: str) -> list[list[str]]:
    """Return the words behind the two of the prefix, of each such command."""
    # A name alone, such as `docker run`, is not a command.
    every = [shlex.split(line, comments=True)[2:] for line in LINES if line.startswith(prefix)]
    return [words for words in every if len(words) > 1]


def test_profiles_and_services() -> None:
    profiles = {profile for service in SERVICES.values() for profile in service["profiles"]}
    commands = words_after("docker compose")
    assert len(commands) > 6
    for words in commands:
        if "--profile" in words:
            assert words[words.index("--profile") + 1] in profiles
        if words[:2] == ["run", "--rm"]:
            rest = words[2:]
            if rest[0] == "--entrypoint":
                parse_command(rest[3:])
                rest = rest[2:]
            assert rest[0] in SERVICES
        if words[0] == "exec":
            assert words[1] in SERVICES
            assert words[2] == "gcpose-trt"
            parse_command(words[3:])


def test_docker_commands() -> None:
    for words in words_after("docker build"):
        assert words[words.index("-f") + 1] in [f"containers/{path.name}" for path in DOCKERFILES]
        assert words[words.index("--target") + 1] in stages(DOCKERFILES[0])
    runs = [words for words in words_after("docker run") if "gcpose-trt:cpu" in words]
    assert len(runs) == 2
    for words in runs:
        command = words[words.index("gcpose-trt:cpu") + 1 :]
        if command:
            parse_command(command)


def test_variables_and_arguments() -> None:
    assert set(re.findall(r"GCPOSE_\w+", README)) <= set(
        re.findall(r"GCPOSE_\w+", (CONTAINERS / ".env.example").read_text())
    )
    listed = re.search(r"^Build arguments: (.*?)\n\n", README, re.M | re.S)
    assert listed is not None
    known = {name for path in DOCKERFILES for name in global_arguments(path)}
    known |= {"GPU_ARCHITECTURES", "REVISION"}
    named = set(re.findall(r"`([A-Z_]+)", listed[1]))
    assert named == known
