"""Batches of videos and pictures, on this machine or a cluster: into one table of people.

`run_batch` does what `gcpose-trt batch` does; it needs the extra "batch".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcpose_trt.batch.run import run_batch
    from gcpose_trt.batch.summary import Summary

__all__ = ["Summary", "run_batch"]


def __getattr__(name: str) -> Any:
    # Lazy, so that workers and the command's help do not pay for Parquet.
    if name == "run_batch":
        from gcpose_trt.batch.run import run_batch

        return run_batch
    if name == "Summary":
        from gcpose_trt.batch.summary import Summary

        return Summary
    raise AttributeError(f"module 'gcpose_trt.batch' has no attribute {name!r}")
