"""A machine that has a GPU and TensorRT, as far as a builder can tell: stand-ins of the driver and of TensorRT."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.bundles import make_bundle
from tests.support.tensorrt_standin import FOLDER, module_folder, python_path

NATIVE = {
    "libcuda.so.1": ("driver.c",),
    "libnvinfer.so.8": ("nvinfer.c",),
    "v2.so": ("plugins.c", "-DV2"),
    "v3.so": ("plugins.c",),
    "poor.so": ("plugins.c", '-DCREATORS="GcmAttention Nms"'),
}


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the stand-ins' shared libraries."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in driver with")
    folder = tmp_path_factory.mktemp("native")
    for name, (source, *options) in NATIVE.items():
        command = [compiler, "-shared", "-fPIC", "-o", str(folder / name), *options]
        subprocess.run([*command, str(FOLDER / "native" / source)], check=True, capture_output=True)
    return folder


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, an empty one."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GCPOSE_PLUGINS", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def install(native: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make this process and its children find a generation of TensorRT; gives the plugin library that goes with it."""

    def use(generation: str) -> Path:
        monkeypatch.setenv("PYTHONPATH", python_path(generation))
        monkeypatch.setenv("LD_LIBRARY_PATH", str(native))
        monkeypatch.syspath_prepend(str(module_folder(generation)))
        # This process's loader has read LD_LIBRARY_PATH already.
        import ctypes

        load = ctypes.CDLL

        def find(name: str | None, *args: object, **kwargs: object) -> ctypes.CDLL:
            return load(str(native / name) if name in NATIVE else name, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(ctypes, "CDLL", find)
        return native / ("v2.so" if generation.startswith("8") else "v3.so")

    return use


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a synthetic model without plugins in it, which builds in a moment."""
    return make_bundle(tmp_path_factory.mktemp("tiny"))
