"""Processes that a test starts."""

from __future__ import annotations

import threading
from pathlib import Path


def children() -> set[int]:
    """Return the identifiers of the processes that this thread started and that have not been waited for.

    Some may be there before a test begins: helpers of multiprocessing stay as long as the process that they help.
    """
    text = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()
    return {int(pid) for pid in text.split()}
