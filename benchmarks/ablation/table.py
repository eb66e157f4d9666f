"""The recorded ablation as a Markdown table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.common import markdown
from gcpose_trt.errors import GcposeError

_METRICS = ("AP", "AP50", "AP75", "APm", "APl")
_HEADS = ("AP", "AP50", "AP75", "AP medium", "AP large")


def lines(path: Path) -> list[str]:
    """Return the table of a record, what is varied and each variant in the record's order.

    Raises:
        GcposeError: the file is missing or holds no ablation.
    """
    try:
        variants: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["variants"]
        groups = dict.fromkeys(one["group"] for one in variants)
        rows = [
            [group if place == 0 else "", one["name"], *(f"{one[name]:.3f}" for name in _METRICS)]
            for group in groups
            for place, one in enumerate(one for one in variants if one["group"] == group)
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GcposeError(f"{path} holds no ablation; record it with python -m benchmarks.ablation --json") from error
    return markdown(["varied", "variant", *_HEADS], rows, words=2)
