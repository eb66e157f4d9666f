"""A roofline as one page that needs nothing else, in the style of the benchmark's report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gcpose_trt.benchmark.reporting.markup import escape, head
from gcpose_trt.benchmark.roofline.plots import legend, numbered
from gcpose_trt.benchmark.roofline.text import ceiling_lines, cells, headline, layer_name, verdict

Record = Mapping[str, Any]
_TITLES = ("nodes", "10⁶ operations", "MB", "operations a byte", "floor, ms", "measured, ms", "over floor", "bound by")
_NOTES = {
    "roof": "Each circle is a stage, its area the time that it takes; the number is that of the table. The lines are "
    "this machine's ceilings, measured with the same library: no stage can lie above them. What the caches hold can "
    "come faster than memory delivers it. Stages without operations are not drawn.",
    "floors": "1 is the least time that the ceilings allow for a stage's operations and bytes.",
}
_FIGURES = {"roof": "Stages below the ceilings", "floors": "Time over the floor"}
_METHODS = (
    (
        "Operations",
        "A multiply-add counts as two, padding included; what is no matrix product as one operation a result; pooling "
        "of regions as one sample a bin where the boxes decide how many it takes, so its floor is generous. From the "
        "shapes that the nodes had, without the channels that ONNX Runtime adds to fill its registers.",
    ),
    (
        "Bytes",
        "Each node's inputs, weights and outputs once. Renaming and reshaping move nothing; what picks reads no more "
        "than it returns; of pooled regions, only the result counts.",
    ),
    (
        "Floor",
        "For each node the longer of operations at the best rate of multiplying and bytes at the best rate of "
        "streaming; a stage's is the sum. A node is held to the best stream over arrays as large as its own or larger: "
        "what a cache holds need not come from memory. INT8 products are held to the rate of the integer kernels.",
    ),
    (
        "Times",
        "Medians over runs under ONNX Runtime's profile, in turn with runs without it; the whole network's time is one "
        "without a profile.",
    ),
    (
        "Bound by",
        "What asks for the most time at the ceilings: operations, bytes, or calls, which is what ONNX Runtime needs "
        "for as many nodes with nothing to do. Calls are no part of the floor.",
    ),
)


def render(record: Record, charts: Mapping[str, str], top: int) -> str:
    """Return the page.

    Args:
        record: see `document`.
        charts: of `plots.draw`.
        top: layers that are listed.
    """
    title = f"Roofline: {headline(record)}"
    sections = "".join(
        f"<section><h2>{escape(head)}</h2>{body}</section>" for head, body in _sections(record, charts, top)
    )
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{head(title)}</head>\n<body>\n<header><h1>{escape(title)}</h1>'
        f"<dl>{''.join(_facts(record))}</dl></header>\n<main>{_notices(record)}{sections}</main>\n</body>\n</html>\n"
    )


def _facts(record: Record) -> Iterator[str]:
    environment = record["environment"]
    words = {
        "processor": environment.get("cpu"),
        "measured": record["created"].replace("T", " ").replace("+00:00", " UTC"),
        "commit": record["commit"],
        "command": record["command"],
    }
    for what, value in words.items():
        if value:
            inner = f"<code>{escape(value)}</code>" if what == "command" else escape(value)
            yield f"<div><dt>{what}</dt><dd>{inner}</dd></div>"


def _notices(record: Record) -> str:
    items = "".join(f'<li class="grave">{escape(note)}</li>' for note in record["notes"])
    return f'<ul class="notices" aria-label="What to know before the numbers">{items}</ul>' if items else ""


def _sections(record: Record, charts: Mapping[str, str], top: int) -> Iterator[tuple[str, str]]:
    answer = "".join(f"<p>{escape(line[:1].upper() + line[1:])}.</p>" for line in verdict(record))
    figures = "".join(_figure(key, svg) for key, svg in charts.items())
    yield "The network against its floor", f'<div>{answer}</div><div class="grid pairs">{figures}</div>'
    yield "Stages", _table("stage", [(f"{place} {line['name']}", line) for place, line in numbered(record)], record)
    layers = record["layers"][:top]
    yield f"The {len(layers)} longest layers", _table("layer", [(layer_name(line), line) for line in layers], None)
    ceilings = "".join(f"<li><code>{escape(' '.join(line.split()))}</code></li>" for line in ceiling_lines(record))
    yield "Ceilings of this machine", f"<ul>{ceilings}</ul>"
    methods = "".join(f"<div><dt>{escape(what)}</dt><dd>{escape(how)}</dd></div>" for what, how in _METHODS)
    yield "What is counted, and how", f'<dl class="methods">{methods}</dl>'


def _figure(key: str, svg: str) -> str:
    colours = "".join(
        f'<li><svg class="mark {kind}" viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5"/></svg> '
        f"{escape(words)}</li>"
        for kind, words in legend()
    )
    return (
        f'<figure><h3>{_FIGURES[key]}</h3>{svg}<ul class="key">{colours}</ul>'
        f"<figcaption>{escape(_NOTES[key])}</figcaption></figure>"
    )


def _table(what: str, rows: list[tuple[str, Record]], record: Record | None) -> str:
    titles = "".join(f'<th scope="col">{escape(title)}</th>' for title in _TITLES)
    body = "".join(_row(name, line) for name, line in rows)
    if record is not None:
        body += _row("sum of nodes", record["total"])
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{what}s"><table><thead><tr>'
        f'<th scope="col">{what}</th>{titles}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _row(name: str, line: Record) -> str:
    return (
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells(line))
        + "</tr>"
    )
