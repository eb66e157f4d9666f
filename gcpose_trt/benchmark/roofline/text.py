"""A roofline as lines of text, from its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = ("nodes", "Mop", "MB", "op/byte", "floor ms", "ms", "x floor", "bound by")


def format_text(record: Mapping[str, Any], top: int = 10) -> str:
    """Return what people read in a terminal, without a line break at the end.

    Args:
        record: see `document`.
        top: layers that are listed.
    """
    lines = [headline(record), "", *ceiling_lines(record), ""]
    width = max(len(line["name"]) for line in [*record["stages"], record["total"]])
    width = max(width, len("stage"))
    lines.append(_row("stage", width, _COLUMNS))
    lines += [_row(line["name"], width, cells(line)) for line in record["stages"]]
    lines.append(_row("sum of nodes", width, cells(record["total"])))
    layers = record["layers"][:top]
    if layers:
        names = [layer_name(line) for line in layers]
        width = max(map(len, [*names, "layer"]))
        lines += ["", _row("layer", width, _COLUMNS[1:])]
        lines += [_row(name, width, cells(line)[1:]) for name, line in zip(names, layers, strict=True)]
    lines += ["", *verdict(record)]
    if record["notes"]:
        lines += ["", *(f"note: {note}" for note in record["notes"])]
    return "\n".join(lines)


def headline(record: Mapping[str, Any]) -> str:
    """Return what was measured, in a line."""
    model, settings = record["model"], record["settings"]
    height, width = settings["input"]
    people, threads = settings["people"], settings["threads"]
    return (
        f"{model['label']} {model['precision']}, input {height}x{width}, "
        f"{people} {'person' if people == 1 else 'people'}, {threads} {'thread' if threads == 1 else 'threads'}, "
        f"{settings['repeats']} runs"
    )


def ceiling_lines(record: Mapping[str, Any]) -> list[str]:
    """Return the machine's ceilings, a line each."""
    ceilings = record["ceilings"]
    lines = []
    for title, key in (("FP32 operations", "float32"), ("INT8 operations", "int8")):
        if ceilings[key]:
            best = max(ceilings[key], key=lambda samples: samples["best"])
            lines.append(_ceiling(title, best, 1e9, "Gop/s"))
    lines.append(_ceiling("memory", ceilings["memory"], 1e9, "GB/s"))
    lines.append(_ceiling("caches", ceilings["fastest_stream"], 1e9, "GB/s"))
    calls = ceilings["calls"]
    lines.append(f"{'calling a node':<16}{1e6 / calls['best']:9.2f} us at best, median {1e6 / calls['median']:.2f}")
    return lines


def verdict(record: Mapping[str, Any]) -> list[str]:
    """Return the whole network against its floor, and what stands furthest above its own."""
    network, total = record["network"], record["total"]
    lines = [
        f"network: {network['milliseconds']:.2f} ms, floor {total['floor_ms']:.2f} ms: "
        f"{number(network['over_floor'])} times its floor",
        f"profile: node times sum to {total['milliseconds']:.2f} ms "
        f"({100 * network['profile_overhead']:+.1f} % against the run without a profile)",
    ]
    above = [line for line in record["stages"] if line["milliseconds"] is not None]
    if above:
        most = max(above, key=lambda line: line["milliseconds"] - line["floor_ms"])
        lines.append(
            f"most above its floor: {most['name']}, {most['milliseconds'] - most['floor_ms']:.2f} ms "
            f"({number(most['over_floor'])} times)"
        )
    return lines


def layer_name(line: Mapping[str, Any]) -> str:
    """Return what people know a layer by: its operator, its module or stage, and its shapes."""
    place = line["module"] or f"({line['stage']})"
    return f"{line['op']} {place} {line['shape']}"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many digits that count, a dash for None."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 10 ** (digits - 1) else f"{value:#.{digits}g}".rstrip(".")


def _ceiling(title: str, samples: Mapping[str, Any], unit: float, name: str) -> str:
    return (
        f"{title:<16}{samples['best'] / unit:9.1f} {name} at best, median {samples['median'] / unit:.1f} "
        f"({samples['name']})"
    )


def cells(line: Mapping[str, Any]) -> Sequence[str]:
    """Return what the tables of text and page say of a LINE."""
    return (
        str(line["nodes"]),
        number((line["operations"] + line["integer_operations"]) / 1e6),
        number(line["bytes"] / 1e6),
        number(line["intensity"]),
        number(line["floor_ms"]),
        number(line["milliseconds"]),
        number(line["over_floor"]),
        line["bound"],
    )


def _row(name: str, width: int, words: Sequence[str]) -> str:
    *numbers, last = words
    return f"{name:<{width}}" + "".join(f"{cell:>10}" for cell in numbers) + f"  {last}"
