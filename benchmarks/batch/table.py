"""The recorded batches as Markdown: what was measured, and up to how many GPUs the arithmetic says that it scales."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.batch.scaling import Assumptions, limits
from benchmarks.common import markdown
from gcpose_trt.errors import GcposeError

NIC_GBPS = 25.0  # of the pages' table; the record has more
RESIZED = ", resized"
_PARTS = {
    "driver": "scheduler",
    "decoding": "decoding",
    "merging": "merging",
    "traffic": "frames between machines",
    "results": "results to one machine",
}


def rates(path: Path) -> list[str]:
    """Return the table of what was measured: a line for processes of one machine, one for Ray.

    Raises:
        GcposeError: the file is missing or holds no batches.
    """
    return _read(path, _rates)


def scaling(path: Path) -> list[str]:
    """Return the table of the arithmetic, a column a kind of frames, below what it starts from.

    Raises:
        GcposeError: the file is missing or holds no batches.
    """
    return _read(path, lambda record: [_measured(record), "", *_knees(record)])


def _read(path: Path, lines: Callable[[dict[str, Any]], list[str]]) -> list[str]:
    try:
        return lines(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise GcposeError(f"{path} holds no batches; record it with python -m benchmarks.batch --json") from error


def _rates(record: dict[str, Any]) -> list[str]:
    cells: dict[str, dict[str, str]] = {}
    for name, runs in record["throughput"].items():
        place, _, workers = name.partition(", ")
        fps = runs["fps"]
        cells.setdefault(place, {})[workers] = f"{fps['median']:.1f} ({fps['min']:.1f} to {fps['max']:.1f})"
    counts = list(dict.fromkeys(count for row in cells.values() for count in row))
    frames = {runs["frames"] for runs in record["throughput"].values()}
    machine = record["machine"]
    words = {"local": "processes of this machine", "Ray": "Ray on this machine"}
    return [
        *markdown(
            ["frames/s", *counts],
            [[words.get(place, place), *(row.get(count, "") for count in counts)] for place, row in cells.items()],
        ),
        "",
        f"{machine['cores']} cores ({machine['cpu']}), load of other work before: {machine['load_before']}; "
        f"{' or '.join(map(str, sorted(frames)))} frames of 360p in all, median (extremes), "
        f"{record['date'][:10]}.",
    ]


def _measured(record: dict[str, Any]) -> str:
    decoding, parts = record["parts"]["decoding"], record["parts"]
    block = next(iter(record["scaling"]["cases"].values()))["assumptions"]["block_bytes"]
    rows = [
        f"{one['fps_a_core']:.0f} frames/s of {_words(name)} ({one['frame_bytes'] / 1e6:.1f} MB each)"
        for name, one in decoding.items()
    ]
    return (
        f"Measured: a core decodes {_listed(rows)}, and merges {parts['merging']['fps_a_core']:.0f}; Ray Data's one "
        f"scheduler takes {1e3 * parts['driver']['block_s']:.0f} ms a block of {block / 2**20:.0f} MiB of frames."
    )


def _knees(record: dict[str, Any]) -> list[str]:
    # What host backends get comes first: it is the default.
    cases = dict(sorted(record["scaling"]["cases"].items(), key=lambda item: not item[0].endswith(RESIZED)))
    rows: dict[float, list[str]] = {}
    most = []
    for case in cases.values():
        counts = [point["gpus"] for point in case["rows"][0]["points"]]
        for row in case["rows"]:
            if row["nic_gbps"] == NIC_GBPS:
                more = "" if row["knee"] < max(counts) else " and more"
                knee = f"{row['knee']} GPU{'' if row['knee'] == 1 else 's'}{more}"
                rows.setdefault(row["network_fps"], []).append(knee)
        assumptions = replace(Assumptions(**case["assumptions"]), nic_gbps=NIC_GBPS)
        others = {name: rate for name, rate in limits(assumptions, max(counts)).items() if name != "network"}
        binds = min(others, key=lambda name: others[name])
        most.append(f"{others[binds]:.0f}: {_PARTS[binds]}")
    head = ["frames/s of one GPU", *(f"{_words(name)}: up to" for name in cases)]
    body = [[f"{fps:.0f}", *knees] for fps, knees in rows.items()]
    return markdown(head, [*body, [f"frames/s of the rest, at {max(counts)} GPUs", *most]])


def _words(name: str) -> str:
    clip, resized, _ = name.partition(RESIZED)
    return f"{clip} resized" if resized else clip


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
