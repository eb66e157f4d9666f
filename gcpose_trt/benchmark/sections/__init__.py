"""What is measured, one module each, see `section.Section`: the units that it needs, and what it makes of them."""

from __future__ import annotations

import importlib
from typing import cast

from gcpose_trt.benchmark.section import Section

# In the order in which they run: what needs the machine coolest and quietest first. Several parts of the report may
# come from one module.
_MODULES = ("latency", "people", "throughput", "start", "poses", "accuracy")


def load_all() -> list[Section]:
    """Return the modules in the order in which they run."""
    return [cast("Section", importlib.import_module(f"{__name__}.{name}")) for name in _MODULES]
