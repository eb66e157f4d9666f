"""A roofline as a record for programs: `roofline.json`.

    schema        SCHEMA
    kind          KIND
    created       ISO 8601 in UTC
    command       the command line, folders of the machine left out
    commit        of the working tree with "-dirty", or None
    environment   see `gcpose_trt.benchmark.environment.facts`
    before, after SNAPSHOTs, see `gcpose_trt.benchmark.environment.snapshot`
    model         {"name", "label", "weights_sha256", "precision"}
    settings      {"input": [H, W], "content": [h, w], "people", "threads", "repeats"}
    ceilings      {"float32": [SAMPLES...], "int8": [...], "streams": [{"bytes", "samples": [SAMPLES...],
                  "bytes_per_second": what layers of this size are held to}], "memory": SAMPLES, "fastest_stream":
                  SAMPLES, "calls": SAMPLES, "cache_bytes" or None, "beyond_cache_bytes",
                  "integer_instructions": [...] or None}
    stages        [LINE...] in the order in which they run
    layers        [LINE...] all nodes, those that took longest first; with "op", "shape", "stage", "module"
    total         LINE of the sums
    network       {"milliseconds": median without a profile, "spread", "over_floor", "profiled": whole profiled runs,
                  "profile_overhead": (sum of node times - milliseconds) / milliseconds}
    notes         what a reader must know, in sentences

LINE          {"graph", "name", "nodes", "operations", "integer_operations", "bytes", "intensity", "operations_ms",
              "bytes_ms", "floor_ms", "calls_ms", "milliseconds": median, "fastest", "over_floor", "bound"}
SAMPLES       {"name", "best", "median", "count"}, per second
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from gcpose_trt.benchmark.roofline.analysis import Analysis, Line
from gcpose_trt.benchmark.roofline.ceilings import Ceilings, beyond_cache
from gcpose_trt.benchmark.roofline.probes import Samples
from gcpose_trt.benchmark.schema import UNSTEADY_SPREAD

KIND = "gcpose-trt roofline"
SCHEMA = 1
_OVERHEAD = 0.10


def document(
    analysis: Analysis,
    ceilings: Ceilings,
    *,
    model: Mapping[str, Any],
    settings: Mapping[str, Any],
    surroundings: Mapping[str, Any],
    instructions: list[str] | None,
    remarks: list[str],
) -> dict[str, Any]:
    """Return the record.

    Args:
        analysis, ceilings: what was measured.
        model, settings: see the module.
        surroundings: "command", "commit", "environment", "before", "after".
        instructions: of the processor for products of integers.
        remarks: further notes, put first.
    """
    layers = sorted(analysis.layers, key=lambda line: line.median or 0.0, reverse=True)
    floor = analysis.total.floor
    nodes = analysis.total.median
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **surroundings,
        "model": dict(model),
        "settings": dict(settings),
        "ceilings": {**_ceilings(ceilings), "integer_instructions": instructions},
        "stages": [_line(line) for line in analysis.stages],
        "layers": [
            _line(line) | {"op": line.op, "shape": line.shape, "stage": line.stage, "module": line.module or None}
            for line in layers
        ],
        "total": _line(analysis.total),
        "network": {
            "milliseconds": round(analysis.plain, 3),
            "spread": round(analysis.plain_spread, 4),
            "over_floor": _rounded(analysis.plain / floor if floor else None),
            "profiled": round(analysis.profiled, 3),
            "profile_overhead": _rounded(None if nodes is None else nodes / analysis.plain - 1),
        },
        "notes": [*remarks, *_notes(analysis, ceilings, instructions)],
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "graph": line.graph,
        "name": line.name,
        "nodes": line.nodes,
        "operations": line.operations,
        "integer_operations": line.integer_operations,
        "bytes": line.bytes,
        "intensity": _rounded(line.intensity),
        "operations_ms": _rounded(line.operations_time),
        "bytes_ms": _rounded(line.bytes_time),
        "floor_ms": _rounded(line.floor),
        "calls_ms": _rounded(line.calls_time),
        "milliseconds": _rounded(line.median),
        "fastest": _rounded(line.fastest),
        "over_floor": _rounded(line.over_floor),
        "bound": line.bound,
    }


def _rounded(value: float | None) -> float | None:
    # Six digits that count: layers of a microsecond stand beside stages of a second.
    return None if value is None else float(f"{value:.6g}")


def _samples(samples: Samples) -> dict[str, Any]:
    return {
        "name": samples.name,
        "best": _rounded(samples.best),
        "median": _rounded(samples.median),
        "count": len(samples.rates),
    }


def _ceilings(ceilings: Ceilings) -> dict[str, Any]:
    return {
        "float32": [_samples(samples) for samples in ceilings.products],
        "int8": [_samples(samples) for samples in ceilings.integer_products],
        "streams": [
            {
                "bytes": size,
                "samples": [_samples(samples) for samples in group],
                "bytes_per_second": _rounded(ceilings.bandwidth(size)),
            }
            for size, group in ceilings.streams.items()
        ],
        "memory": _samples(ceilings.memory),
        "fastest_stream": _samples(ceilings.fastest_stream),
        "calls": _samples(ceilings.calls),
        "cache_bytes": ceilings.cache,
        "beyond_cache_bytes": beyond_cache(ceilings.cache),
    }


def _notes(analysis: Analysis, ceilings: Ceilings, instructions: list[str] | None) -> list[str]:
    """Return what keeps the numbers from being what they seem."""
    notes = []
    if analysis.plain_spread > UNSTEADY_SPREAD:
        notes.append(
            f"Unsteady: the middle half of the network's times lies {100 * analysis.plain_spread:.0f} % of the median "
            "apart; measure again when the machine is quiet."
        )
    fast = [line.name for line in analysis.stages if line.fastest is not None and line.fastest < line.floor]
    if fast:
        notes.append(
            f"Faster than its floor at least once: {', '.join(fast)}. The ceilings were measured too low, on a busy "
            "machine; measure again."
        )
    overhead = (analysis.total.median or 0.0) / analysis.plain - 1
    if abs(overhead) > _OVERHEAD:
        notes.append(
            f"The profiled node times sum to {100 * (1 + overhead):.0f} % of the time without a profile, so times of "
            "single nodes are that far off."
        )
    if ceilings.integer_products and instructions == []:
        notes.append(
            "This processor has no instructions for sums of 8-bit products (VNNI, dot product): INT8 runs on "
            "older ones, and its ceiling is what they reach."
        )
    if ceilings.cache is None:
        notes.append("The system does not tell its cache sizes: memory was measured on arrays of 256 MiB.")
    if analysis.assumed:
        notes.append(f"Counted as one operation a result, for want of a formula: {', '.join(analysis.assumed)}.")
    return notes
