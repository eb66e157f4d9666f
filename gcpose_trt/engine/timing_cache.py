"""The timing cache: what TensorRT measured of its kernels, so that the next build need not measure again."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write, check_writable
from gcpose_trt.runtime.tensorrt_api import TensorRT


def default_path(target: str, version: str, gpu: str) -> Path:
    """Return the file of the user's cache folder for one TensorRT on one kind of GPU: timings hold nowhere else."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{target}-{version}-{gpu}").strip("-")
    return root / "gcpose-trt" / "timing" / f"{name}.cache"


def attach(trt: TensorRT, config: Any, path: Path | None) -> str | None:
    """Give a builder config its cache.

    Args:
        trt: see `TensorRT`.
        config: IBuilderConfig.
        path: the file; None for no cache at all.

    Returns:
        A line for the report where the file could not be used, else None.
    """
    if trt.target == "tensorrt-rtx":  # it compiles kernels on the user's machine; its cache functions do nothing
        return None
    if path is None:
        config.set_flag(trt.module.BuilderFlag.DISABLE_TIMING_CACHE)
        return None
    content = _read(path)
    cache = config.create_timing_cache(content)
    if cache is not None and config.set_timing_cache(cache, ignore_mismatch=False):
        return None
    # Another device's or a damaged file. The build goes on with an empty cache, which then takes the file's place.
    config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    return f"the timing cache {path} is not one of this TensorRT and GPU; it was started afresh"


def save(trt: TensorRT, config: Any, path: Path) -> str | None:
    """Write the cache of a finished build; a reader never sees half of it.

    Returns:
        A line for the report where it could not be written: the engine is worth more than its cache.
    """
    cache = config.get_timing_cache()
    if cache is None:
        return None
    # Another build may have written meanwhile; keep its timings too.
    other = config.create_timing_cache(_read(path))
    if other is not None:
        cache.combine(other, ignore_mismatch=False)
    content = bytes(cache.serialize())
    if not content:
        return None
    try:
        with atomic_write(path) as stream:
            stream.write(content)
    except (GcposeError, OSError) as error:
        return f"the timing cache was not kept: {error}"
    return None


def check(path: Path) -> None:
    """Raise GcposeError if a file that the user named could not be written."""
    check_writable(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
