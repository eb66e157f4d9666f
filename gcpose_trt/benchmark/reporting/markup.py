"""Pieces of the page: escaped text, tables, pictures, keys of colours."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

from gcpose_trt.benchmark.reporting.plots.canvas import Chart
from gcpose_trt.benchmark.reporting.samples import Sample
from gcpose_trt.benchmark.reporting.table import Column, Row, Table
from gcpose_trt.benchmark.reporting.view import Entry
from gcpose_trt.benchmark.reporting.words import clean, plural

# The markers of the plots, in a square of 10 by 10.
_SHAPES = (
    "M5 1a4 4 0 1 0 .01 0z",
    "M1.5 1.5h7v7h-7z",
    "M5 1 9 9H1z",
    "M5 .5 9.5 5 5 9.5 .5 5z",
    "M5 9 1 1h8z",
    "M3.5 1h3v2.5H9v3H6.5V9h-3V6.5H1v-3h2.5z",
    "M3 1 5 3 7 1 9 3 7 5 9 7 7 9 5 7 3 9 1 7 3 5 1 3z",
    "M5 .8 9.2 4 7.6 9H2.4L.8 4z",
    "M1 5 9 1v8z",
    "M9 5 1 9V1z",
    "M5 .8 8.7 3v4L5 9.2 1.3 7V3z",
)


def escape(text: object) -> str:
    """Return text that may stand between tags and in quoted attributes."""
    return html.escape(clean(text, 4000), quote=True)


def name(entry: Entry) -> str:
    """Return a contender's name with its marker and number, in its colour."""
    shape = _SHAPES[entry.index % len(_SHAPES)]
    mark = f'<svg class="mark k{entry.colour}" viewBox="0 0 10 10" aria-hidden="true"><path d="{shape}"/></svg>'
    return f'<span class="name">{mark}<b>{entry.index + 1}</b> {escape(entry.name)}</span>'


def key(entries: Iterable[Entry]) -> str:
    """Return the key of colours below a picture."""
    items = "".join(f"<li>{name(entry)}</li>" for entry in entries)
    return f'<ul class="key">{items}</ul>' if items else ""


def figure(chart: Chart) -> str:
    """Return a picture with its title, key and note."""
    shades = "".join(
        f'<li><i class="shade s{place}"></i>{escape(words)}</li>' for place, words in enumerate(chart.shades) if words
    )
    parts = [
        f"<figure><h3>{escape(chart.title)}</h3>{chart.svg}<div>",
        key(chart.entries) if len(chart.entries) > 1 else "",
        f'<ul class="key">{shades}</ul>' if shades else "",
        f"<figcaption>{escape(chart.note)}</figcaption>" if chart.note else "",
        "</div></figure>",
    ]
    return "".join(parts)


def figures(charts: Sequence[Chart]) -> str:
    """Return pictures as a grid; "" for none."""
    # Four in rows of three would leave two places empty.
    even = "pairs" if len(charts) in (2, 4) else "one" if len(charts) == 1 else ""
    return f'<div class="grid {even}">{"".join(map(figure, charts))}</div>' if charts else ""


def table(content: Table | None) -> str:
    """Return a table that scrolls within the page, with its notes; "" for None."""
    if content is None:
        return ""
    body = "".join(_row(row, content.columns) for row in content.rows)
    notes = "".join(f"<p>{escape(note)}</p>" for note in content.notes)
    caption = escape(content.caption)
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{caption}">'
        f"<table><caption><span>{caption}</span></caption><thead>{_titles(content)}</thead><tbody>{body}</tbody></table></div>"
        + (f'<div class="notes">{notes}</div>' if notes else "")
    )


def _titles(content: Table) -> str:
    head = escape(content.head)
    if not any(column.group for column in content.columns):
        titles = "".join(_title(column) for column in content.columns)
        return f'<tr><th scope="col">{head}</th>{titles}</tr>'
    upper, lower = [f'<th scope="col" rowspan="2">{head}</th>'], []
    for group, members in groupby(content.columns, key=lambda column: column.group):
        columns = list(members)
        if group:
            upper.append(f'<th scope="colgroup" colspan="{len(columns)}" class="group">{escape(group)}</th>')
            lower += [_title(column) for column in columns]
        else:
            upper += [_title(column, ' rowspan="2"') for column in columns]
    return f"<tr>{''.join(upper)}</tr><tr>{''.join(lower)}</tr>"


def _title(column: Column, more: str = "") -> str:
    return f'<th scope="col"{_kind(column)}{more}>{escape(column.name)}</th>'


def _kind(column: Column) -> str:
    return ' class="words"' if column.words else ""


def _row(row: Row, columns: Sequence[Column]) -> str:
    head = name(row.entry) if row.entry else escape(row.head)
    cells = []
    for place, (cell, column) in enumerate(zip(row.cells, columns, strict=True)):
        if place in row.marked:
            cells.append(f'<td class="marked"><span aria-label="unsteady">⚠&#xFE0E;</span> {escape(cell)}</td>')
        else:
            cells.append(f"<td{_kind(column)}>{escape(cell)}</td>")
    return f'<tr><th scope="row">{head}</th>{"".join(cells)}</tr>'


def picture(sample: Sample) -> str:
    """Return a sample frame with its picture inside."""
    data = base64.b64encode(sample.jpeg).decode()
    words = f"Frame {sample.frame} as {sample.entry.name} saw it: {_people(sample)}"
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{escape(words)}">'
        f"<figcaption>{name(sample.entry)}, {_people(sample)}</figcaption></figure>"
    )


def _people(sample: Sample) -> str:
    return plural(sample.people, "person", "people")


def head(title: str) -> str:
    """Return what stands in a page's head: its title and style, and a policy by which it can load and run nothing.

    Whatever a report may hold: only the style with this digest and pictures inside of the page are let through.
    """
    css = _css()
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    return (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="generator" content="gcpose-trt">'
        f"<title>{escape(title)}</title><style>{css}</style>"
    )


@cache
def _css() -> str:
    return (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
