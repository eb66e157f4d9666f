"""Suites: what a benchmark measures, as TOML files.

Those of this project lie in `benchmarks/suites` of a clone or `gcpose_trt/benchmark_files/suites` of a wheel; any other
is given by its path. The keys are the fields of `plan.Settings`; paths in them are relative to the folder that the
command is run in, as on the command line.
"""

from __future__ import annotations

import os
import sys
import typing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gcpose_trt.benchmark.plan import Settings
from gcpose_trt.errors import GcposeError

_PACKAGE = Path(__file__).resolve().parents[1]
FOLDERS = (_PACKAGE / "benchmark_files" / "suites", _PACKAGE.parent / "benchmarks" / "suites")
_NUMBERS_TOO = ("sizes",)  # lists of text in which a number may stand without quotes


def known() -> list[str]:
    """Return the names of the suites that come with the project."""
    return sorted({path.stem for folder in FOLDERS for path in folder.glob("*.toml")})


def load(suite: str | os.PathLike[str]) -> Settings:
    """Read a suite.

    Args:
        suite: a name, or the path of a .toml file.

    Raises:
        GcposeError: there is no such suite, it is no TOML, or a key in it is unknown or of the wrong type.
    """
    name = os.fspath(suite)
    path = _find(name)
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GcposeError(f"cannot read the suite {path} ({error.strerror}); check its permissions") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise GcposeError(
            f"the suite {path} is no valid TOML ({' '.join(str(error).split())}); put it right"
        ) from error
    if "name" in content:
        raise GcposeError(f"the suite {path} has a name inside; leave it out, the file's name is the suite's")
    return with_options(Settings(name=path.stem), content, origin=f"the suite {path.name}: ")


def with_options(settings: Settings, options: Mapping[str, Any], origin: str = "") -> Settings:
    """Return settings with some of them replaced.

    Args:
        settings: as they are.
        options: by name, lists or tuples where there are several; what is None stays as it is.
        origin: put before messages.

    Raises:
        GcposeError: an unknown name, a value of the wrong type or out of range.
    """
    kinds = typing.get_type_hints(Settings)
    unknown = [name for name in options if name not in kinds]
    if unknown:
        names = ", ".join(name for name in kinds if name != "name")
        raise GcposeError(f"{origin}there is no setting {unknown[0]!r}; choose from {names}")
    given = {name: _converted(name, value, kinds[name], origin) for name, value in options.items() if value is not None}
    try:
        return replace(settings, **given)
    except GcposeError as error:
        raise GcposeError(f"{origin}{error}") from error


def _find(name: str) -> Path:
    if name.endswith(".toml"):
        if not Path(name).is_file():
            raise GcposeError(f"no suite {name}; check the path")
        return Path(name)
    if name in known():
        return next(path for folder in FOLDERS if (path := folder / f"{name}.toml").is_file())
    names = ", ".join(known()) or "none in this installation"
    raise GcposeError(f"no suite is called {name!r}; choose from {names}, or give the path of a .toml file")


def _converted(name: str, value: Any, kind: Any, origin: str) -> Any:
    """Return a value as the field wants it."""
    arguments = typing.get_args(kind)
    wanted = arguments[0] if arguments else kind  # tuple[str, ...] and `int | None` alike
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise GcposeError(f"{origin}{name} is not a list; write {name} = [{_example(wanted)}]")
        if name in _NUMBERS_TOO:
            value = [str(item) if type(item) is int else item for item in value]
        wrong = next((item for item in value if type(item) is not wanted), None)
        if wrong is not None:
            raise GcposeError(f"{origin}{name} has {wrong!r} in it; write {name} = [{_example(wanted)}]")
        return tuple(value)
    if type(value) is not wanted:  # True is no number here
        raise GcposeError(f"{origin}{name} = {value!r} is of the wrong type; write {name} = {_example(wanted)}")
    return value


def _example(kind: type) -> str:
    return '"..."' if kind is str else "10"
