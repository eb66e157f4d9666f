"""The report as Markdown for a README: tables only, readable as plain text too."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcpose_trt.benchmark.reporting import headline, tables
from gcpose_trt.benchmark.reporting.methods import methods
from gcpose_trt.benchmark.reporting.notices import notices
from gcpose_trt.benchmark.reporting.table import Row, Table
from gcpose_trt.benchmark.reporting.view import View

_SPECIAL = re.compile(r"([\\`*\[\]|~$])")
_EDGE = re.compile(r"(?<!\w)_|_(?!\w)")  # underscores inside of words are letters


def render_markdown(view: View) -> str:
    """Return the whole report.

    Args:
        view: of the report.
    """
    lines = [f"# {escape(headline.title(view))}", "", *_head(view), ""]
    for notice in notices(view):
        strong = "**" if notice.grave else ""
        lines += [f"> {strong}{escape(notice.title)}:{strong} {escape(notice.words)}", ">"]
    if lines[-1] == ">":
        lines[-1] = ""
    for table in all_tables(view):
        lines += [f"## {escape(table.caption)}", "", *table_lines(table), ""]
    lines += ["## What the figures include", ""]
    lines += [f"- **{escape(term)}**: {escape(words)}" for term, words in methods(view)]
    return "\n".join(lines) + "\n"


def all_tables(view: View) -> Iterator[Table]:
    """Yield the tables that the report has, in the order of its sections."""
    found = [
        tables.latency(view),
        tables.stages(view),
        tables.people(view),
        tables.sizes(view),
        *tables.throughput(view),
        tables.start(view),
        tables.accuracy(view),
        tables.parity(view),
        tables.energy(view),
        tables.contenders(view),
        tables.facts(view),
        tables.snapshots(view),
        tables.left_out(view),
    ]
    return (table for table in found if table is not None)


def table_lines(table: Table) -> list[str]:
    """Return a table and its notes as lines."""
    titles = [escape(table.head), *(escape(column.title) for column in table.columns)]
    rule = [":---", *(":---" if column.words else "---:" for column in table.columns)]
    lines = [_line(titles), _line(rule), *(_line(_cells(row)) for row in table.rows)]
    for note in table.notes:
        lines += ["", escape(note)]
    return lines


def _head(view: View) -> list[str]:
    state = "complete" if view.complete else "**PARTIAL**"
    return [f"- {escape(name)}: {escape(value)}" for name, value in headline.facts(view)] + [f"- run: {state}"]


def _cells(row: Row) -> list[str]:
    cells = [f"**{escape(cell)}**" if i in row.marked else escape(cell) for i, cell in enumerate(row.cells)]
    return [escape(row.head), *cells]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escape(text: str) -> str:
    """Return text of which Markdown makes what it says: no tags, no links, no emphasis, one line."""
    safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    safe = _EDGE.sub(r"\\_", _SPECIAL.sub(r"\\\1", safe))
    safe = safe.replace("://", "&#58;//").replace("www.", "www&#46;")
    return " ".join(safe.split())
