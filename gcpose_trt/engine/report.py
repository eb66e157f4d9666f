"""Lines for people: what was built, what an engine holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gcpose_trt.engine.inspection import Layer
from gcpose_trt.runtime.engine_record import EngineRecord

_BAR = 28


def describe_record(record: EngineRecord) -> list[str]:
    """Return the metadata of an engine folder, one fact a line."""
    gpu = f"{record.gpu.name} (compute capability {record.gpu.compute_capability})" if record.gpu else "no GPU needed"
    name = "TensorRT-RTX" if record.target == "tensorrt-rtx" else "TensorRT"
    height, width = record.size
    library = record.plugin_library
    lines = [
        f"model        {record.model.get('model')} {height}x{width}, batch {record.batch}, up to {record.max_people} "
        f"people in buckets {', '.join(map(str, record.buckets))}",
        f"precision    {record.precision}",
        f"built with   {name} {record.tensorrt} on {record.os}, {gpu}, {record.created}, {record.build_seconds:.1f} s",
        f"GCM          {record.gcm}",
        f"RoIAlign     {record.roi_align}",
        f"plugins      {library.path} ({library.interface or 'unknown interface'})" if library else "plugins      none",
    ]
    lines += _int8_lines(record.options.get("int8")) + _gate_lines(record.options.get("gate"))
    lines += _choice_lines(record.options.get("choice"))
    if record.outside:
        lines.append(f"not inside   {', '.join(record.outside)}")
    for graph, file in record.files.items():
        counts = record.inspection.get(graph, {})
        lines.append(f"{graph:<12} {file.name}, {size_text(file.bytes)}, {precision_text(counts)}")
    return [*lines, *(f"note         {note}" for note in record.notes), f"build again  {record.command}"]


def _int8_lines(int8: dict[str, Any] | None) -> list[str]:
    if not int8:
        return []
    calibration = int8["calibration"]
    left = f", without {', '.join(int8['exclude'])}" if int8["exclude"] else ""
    return [
        f"INT8         {sum(int8['layers'].values())} layers by {calibration['path']} (sha256 "
        f"{calibration['sha256'][:12]}, {int8['images']} images), {int8['method']}{left}; the rest FP16"
    ]


def _gate_lines(gate: dict[str, Any] | None) -> list[str]:
    if not gate:
        return []
    before, after = gate["ap"].values()
    lines = [
        f"AP           {before:.4f} in FP32, {after:.4f} of the {gate['measured']}: {gate['ap_drop']:.2f} points lost "
        f"of {gate['max_ap_drop']:g} allowed, {gate['images']} images"
    ]
    return [*lines, *([f"             {gate['why']}"] if gate["why"] else [])]


def _choice_lines(choice: dict[str, Any] | None) -> list[str]:
    """Return the table of `--precision best`, see `gcpose_trt.engine.choosing`."""
    if not choice:
        return []
    limit = "" if choice["max_ap_drop"] is None else f" that loses at most {choice['max_ap_drop']:g} points of AP"
    accuracy = "AP not measured"
    if choice["ap_fp32_model"] is not None:
        accuracy = f"AP on {choice['images']} images, the FP32 model's {choice['ap_fp32_model']:.4f}"
    lines = [
        f"choice       {choice['chosen']}, the fastest{limit}: {choice['rounds']} rounds in turn over "
        f"{choice['frames']} frames, batch {choice['batch']}; {accuracy}",
        f"             {'':<6}{'median':>9}  {'quartiles':>15}  {'AP':>6}  {'lost':>6}",
    ]
    for entry in choice["candidates"]:
        times = f"{'-':>9}  {'-':>15}"
        if entry["median_ms"] is not None:
            low, high = entry["quartiles_ms"]
            times = f"{entry['median_ms']:>6.2f} ms  {f'{low:.2f} - {high:.2f}':>15}"
        ap = f"{'-':>6}  {'-':>6}" if entry["ap"] is None else f"{entry['ap']:6.4f}  {entry['ap_drop']:>6.2f}"
        lines.append(f"             {entry['precision']:<6}{times}  {ap}  {entry['reason']}")
    return lines


def precision_text(inspection: dict[str, Any]) -> str:
    """Return "42 layers: 40 FP16, 2 FP32" of one entry of `EngineRecord.inspection`."""
    counts = inspection.get("by_precision") or {}
    total = inspection.get("layers", 0)
    return f"{total} layers: " + (", ".join(f"{count} {name}" for name, count in counts.items()) or "of unknown types")


def describe_io(tensors: Iterable[dict[str, Any]]) -> list[str]:
    """Return the inputs and outputs of an engine, one a line."""
    return [
        f"  {'input ' if tensor['is_input'] else 'output'} {tensor['name']:<14} {tensor['dtype']:<8} "
        f"({', '.join('any' if side < 0 else str(side) for side in tensor['shape'])})"
        for tensor in tensors
    ]


def largest(layers: list[Layer], count: int) -> list[Layer]:
    """Return the layers that move the most bytes, the largest first."""
    return sorted(layers, key=lambda layer: -layer.size)[:count]


def draw_layers(layers: list[Layer], count: int) -> list[str]:
    """Return bars of the largest layers, for a terminal."""
    chosen = largest(layers, count)
    most = max((layer.size for layer in chosen), default=0) or 1
    return [
        f"  {short_name(layer.name, 44):<44} {layer.precision:<5} {size_text(layer.size):>9} "
        f"{'#' * round(layer.size / most * _BAR)}"
        for layer in chosen
    ]


def short_name(name: str, width: int) -> str:
    """Shorten a name in the middle: its first and last nodes say the most."""
    if len(name) <= width:
        return name
    head = (width - 3) * 2 // 3
    return f"{name[:head]}...{name[len(name) - (width - 3 - head) :]}"


def size_text(count: float) -> str:
    """Return "12.3 MiB"."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
