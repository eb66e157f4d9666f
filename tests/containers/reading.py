"""Reads Dockerfiles, .dockerignore and compose.yaml as far as this repository uses them; for tests."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gcpose_trt.cli import build_parser

REPOSITORY = Path(__file__).resolve().parents[2]
CONTAINERS = REPOSITORY / "containers"
DOCKERFILES = (CONTAINERS / "desktop.Dockerfile", CONTAINERS / "jetson.Dockerfile")
COMPOSE = CONTAINERS / "compose.yaml"


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word in capitals and the rest with the lines joined."""

    word: str
    rest: str

    def words(self) -> list[str]:
        """The words of the JSON form of CMD, ENTRYPOINT and HEALTHCHECK."""
        return json.loads(self.rest[self.rest.index("[") :])


@dataclass
class Stage:
    """What follows a FROM."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        """Instructions of that word, in order."""
        return [one for one in self.instructions if one.word == word]

    def last(self, word: str) -> Instruction:
        """The instruction of that word that counts, for those of which the last does."""
        return self.all(word)[-1]


def stages(path: Path) -> dict[str, Stage]:
    """Return the stages by name, their bases with the ARGs above them filled in."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    arguments: dict[str, str] = {}
    found: dict[str, Stage] = {}
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if not line.strip():
            continue
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", fill(rest, arguments)).groups()  # type: ignore[union-attr]
            found[name] = stage = Stage(base, name)
        elif not found:
            assert word == "ARG", f"{word} above the first FROM"
            name, value = rest.split("=", 1)
            arguments[name] = value
        else:
            stage.instructions.append(Instruction(word, rest))
    return found


def fill(text: str, values: dict[str, str]) -> str:
    """Put values into ${NAME}; a name without a value is an error."""
    return re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)


def global_arguments(path: Path) -> dict[str, str]:
    """Return the ARGs above the first FROM."""
    return dict(re.findall(r"^ARG (\w+)=(\S+)$", path.read_text().split("\nFROM ")[0], flags=re.MULTILINE))


def _pattern(rule: str) -> re.Pattern[str]:
    """Translate a rule of .dockerignore; whatever lies in a folder that it names is meant, too."""
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", rule)
    return re.compile("".join(pieces.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")


def ignored(name: str, rules: list[str]) -> bool:
    """Tell whether .dockerignore leaves a file out: the last rule that fits it decides."""
    out = False
    for rule in rules:
        if _pattern(rule.removeprefix("!")).fullmatch(name):
            out = not rule.startswith("!")
    return out


def context() -> list[str]:
    """Return the files of a clone that travel to the builder.

    Those of the working tree that git tracks; skips where there is no clone.
    """
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout: which files a clone has is unknown")
    lines = (REPOSITORY / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).is_file()]
    return [name for name in names if not ignored(name, rules)]


def interpolate(value: Any, variables: dict[str, str]) -> Any:
    """Put variables into a Compose document: ${NAME}, ${NAME:-default} and ${NAME:?message}."""
    if isinstance(value, dict):
        return {key: interpolate(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(item, variables) for item in value]
    if not isinstance(value, str):
        return value

    def one(match: re.Match[str]) -> str:
        name, operator, rest = match.groups()
        if variables.get(name):
            return variables[name]
        if operator == ":-":
            return rest
        raise ValueError(f"{name}: {rest}")

    return re.sub(r"\$\{(\w+)(:-|:\?)([^}]*)\}", one, value)


def parse_command(words: list[str]) -> None:
    """Let the real parser of gcpose-trt read a command.

    Raises:
        AssertionError: it refuses.
    """
    assert words, "no subcommand"
    try:
        build_parser(words[0]).parse_args(words)
    except SystemExit as error:
        raise AssertionError(f"gcpose-trt {shlex.join(words)} is refused") from error
