"""The report as one page that needs nothing else: no scripts, no fonts, no pictures from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from gcpose_trt.benchmark.reporting import headline, tables
from gcpose_trt.benchmark.reporting.markup import escape, figures, head, name, picture, table
from gcpose_trt.benchmark.reporting.methods import methods
from gcpose_trt.benchmark.reporting.notices import notices
from gcpose_trt.benchmark.reporting.plots.canvas import Chart
from gcpose_trt.benchmark.reporting.samples import Sample
from gcpose_trt.benchmark.reporting.tables.quality import average_precision
from gcpose_trt.benchmark.reporting.view import View, median
from gcpose_trt.benchmark.reporting.words import DASH, figure, fixed, look

Charts = Mapping[str, Sequence[Chart]]


def render_html(view: View, charts: Charts, samples: Sequence[Sample]) -> str:
    """Return the page.

    Args:
        view: of the report.
        charts: of `plots.all_charts`.
        samples: of `samples.draw_samples`.
    """
    sections = [(key, title, body) for key, title, body in _sections(view, charts, samples) if body]
    links = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title, _ in sections)
    bodies = "".join(
        f'<section id="{key}" aria-labelledby="{key}-head"><h2 id="{key}-head">{escape(title)}</h2>{body}</section>'
        for key, title, body in sections
    )
    heading = head(f"{headline.title(view)}, {headline.machine(view)}")
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>{heading}</head>\n<body>\n{_header(view)}\n'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav>\n<main>{_notices(view)}{_tiles(view)}{bodies}</main>\n'
        "</body>\n</html>\n"
    )


def _header(view: View) -> str:
    state = '<span class="state good">complete</span>' if view.complete else '<span class="state bad">PARTIAL</span>'
    facts = "".join(
        f"<div><dt>{escape(what)}</dt><dd>{f'<code>{escape(value)}</code>' if what == 'command' else escape(value)}"
        "</dd></div>"
        for what, value in headline.facts(view)
    )
    return f"<header><h1>{escape(headline.title(view))} {state}</h1><dl>{facts}</dl></header>"


def _notices(view: View) -> str:
    found = notices(view)
    items = "".join(
        f'<li class="{"grave" if notice.grave else "mild"}"><strong>{escape(notice.title)}.</strong> '
        f"{escape(notice.words)}</li>"
        for notice in found
    )
    return f'<ul class="notices" aria-label="What to know before the numbers">{items}</ul>' if items else ""


def _tiles(view: View) -> str:
    """Return the answer at a glance: one tile a contender."""
    exact = {entry.id: average_precision(record) for entry, record in view.of("accuracy")}
    tiles = []
    for entry, record in view.of("latency"):
        whole, network = median(record.get("end_to_end")), median(record.get("network"))
        lines = [
            f"<p>{figure(look(record, 'fps_end_to_end'))} frames a second</p>",
            f"<p>network only {figure(network)} ms</p>" if network is not None else "",
            f"<p>keypoint AP {fixed(exact[entry.id], 3)}</p>" if exact.get(entry.id) is not None else "",
            '<p class="marked">⚠&#xFE0E; unsteady</p>' if record.get("unsteady") is True else "",
        ]
        value = DASH if whole is None else f"{figure(whole)} <small>ms a frame</small>"
        tiles.append(f'<li class="tile k{entry.colour}">{name(entry)}<p class="value">{value}</p>{"".join(lines)}</li>')
    return f'<ul class="tiles" aria-label="Median time a frame, end to end">{"".join(tiles)}</ul>' if tiles else ""


def _sections(view: View, charts: Charts, samples: Sequence[Sample]) -> Iterator[tuple[str, str, str]]:
    """Yield id, title and content of each section; what was not measured has none."""

    def drawn(key: str) -> str:
        return figures(charts.get(key, ()))

    yield "time", "Time a frame", table(tables.latency(view)) + drawn("latency")
    yield "stages", "Stages", drawn("parts") + drawn("stages") + table(tables.stages(view))
    yield "accuracy", "Accuracy", drawn("accuracy") + table(tables.accuracy(view))
    yield "people", "People in view", drawn("people") + table(tables.people(view))
    yield "sizes", "Input size", drawn("sizes") + table(tables.sizes(view))
    yield "throughput", "Throughput", drawn("throughput") + "".join(map(table, tables.throughput(view)))
    yield "start", "Start and memory", drawn("start") + table(tables.start(view))
    yield "energy", "Energy", drawn("energy") + table(tables.energy(view))
    yield "parity", "Parity", table(tables.parity(view))
    yield "samples", "Sample frames", _pictures(samples)
    yield "contenders", "Contenders", table(tables.contenders(view)) + table(tables.left_out(view))
    yield "machine", "Machine", table(tables.facts(view)) + table(tables.snapshots(view))
    terms = "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(words)}</dd></div>" for term, words in methods(view))
    yield "methods", "What the figures include", f'<dl class="methods">{terms}</dl>'


def _pictures(samples: Sequence[Sample]) -> str:
    rows = [
        f'<h3>Frame {index}</h3><div class="pictures">{"".join(map(picture, of_frame))}</div>'
        for index, of_frame in groupby(samples, key=lambda sample: sample.frame)
    ]
    if rows and any(sample.bare for sample in samples):
        rows.append(
            '<p class="notes">The clip was not at hand when this page was made: skeletons without the frame.</p>'
        )
    return "".join(rows)
