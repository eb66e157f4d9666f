"""Tables of the README and of other pages, made from recorded reports and never by hand.

A page holds, around each table,

    <!-- table summary of benchmarks/results/cpu -->
    ...
    <!-- end of table -->

with a kind of `KINDS` and a folder of a report.json, or a kind of `RECORDS` and a record. `python -m benchmarks.tables`
writes what is between anew in every page of `PAGES`; with `--check` it only says which page is out of date, and exits
with 1 then.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.ablation.table import lines as ablation_lines
from benchmarks.batch import table as batch
from benchmarks.common import REPOSITORY, run
from gcpose_trt.benchmark.reading import read_report
from gcpose_trt.benchmark.reporting import headline, tables
from gcpose_trt.benchmark.reporting.markdown import escape, table_lines
from gcpose_trt.benchmark.reporting.table import Column, Row, Table
from gcpose_trt.benchmark.reporting.view import Entry, View, median
from gcpose_trt.benchmark.reporting.words import DASH, look, number
from gcpose_trt.benchmark.schema import UNSTEADY_SPREAD
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write

PAGES = ("README.md", "benchmarks/README.md", "gcpose_trt/assets/mobile/MODEL_CARD.md")
_BEGIN = re.compile(r"<!-- table (?P<kind>\S+) of (?P<folder>\S+) -->")
_END = "<!-- end of table -->"


def summary(view: View) -> Table:
    """Return one line a contender: accuracy, time, memory and size, each only if this report measured it."""
    columns = [
        Column("keypoint AP"),
        Column("box AP"),
        Column("frame to poses, ms"),
        Column("video to picture, ms"),
        Column("network, ms"),
        Column("one person more, ms"),
        Column("memory, MiB"),
        Column("files, MB"),
    ]
    rows = [Row(entry.name, _cells(view, entry), entry) for entry in view.entries if _measured(entry)]
    if not rows:
        raise GcposeError("the report measured nothing; record it again")
    return Table("Summary", "", columns, rows, (_where(view),)).without_empty()


def _cells(view: View, entry: Entry) -> list[str]:
    def of(*keys: str) -> object:
        return view.get(keys[0], entry.id, *keys[1:])

    fps, peak = number(of("latency", "fps")), median(of("start", "host_peak_bytes"))
    size = number(entry.record.get("bytes"))
    return [
        _shown(number(of("accuracy", "keypoints", "AP")), 3),
        _shown(number(of("accuracy", "boxes", "AP")), 3),
        _shown(1e3 / fps if fps else None, 1),
        _shown(median(of("latency", "end_to_end")), 1),
        _shown(median(of("latency", "network")), 1),
        _shown(number(of("people", "slope")), 1),
        _shown(peak / 2**20 if peak else None, 0),
        _shown(size / 1e6 if size else None, 1),
    ]


def _measured(entry: Entry) -> bool:
    return bool(entry.record.get("status") == "measured")


def _shown(value: float | None, digits: int) -> str:
    return DASH if value is None else f"{value:.{digits}f}"


def _where(view: View) -> str:
    """Say where, when and how a report was made."""
    images = {look(record, "images") for _, record in view.of("accuracy")} - {None}
    threads = {look(entry.record, "threads") for entry in view.entries if _measured(entry)} - {None}
    parts = [headline.machine(view)]
    if len(threads) == 1:
        parts.append(f"{threads.pop()} threads each")
    if len(images) == 1:
        parts.append(f"AP on {images.pop()} images")
    spreads = [number(look(record, "end_to_end", "spread")) for _, record in view.of("latency")]
    most = max((spread for spread in spreads if spread is not None), default=0.0)
    if most > UNSTEADY_SPREAD:
        parts.append(f"unsteady: the same frame's times lie up to {most:.0%} apart (quartiles)")
    return ", ".join([*parts, headline.when(view), f"commit {view.get('commit')}"])


def _of(function: Callable[[View], Table | None]) -> Callable[[View], Table]:
    def table(view: View) -> Table:
        made = function(view)
        if made is None:
            raise GcposeError("the report did not measure this table; record it again")
        return made

    return table


KINDS: dict[str, Callable[[View], Table]] = {
    "summary": summary,
    "latency": _of(tables.latency),
    "stages": _of(tables.stages),
    "people": _of(tables.people),
    "sizes": _of(tables.sizes),
    "start": _of(tables.start),
    "accuracy": _of(tables.accuracy),
    "parity": _of(tables.parity),
}

RECORDS: dict[str, Callable[[Path], list[str]]] = {
    "ablation": ablation_lines,
    "batch-rates": batch.rates,
    "batch-scaling": batch.scaling,
}


def renewed(page: str, root: Path = REPOSITORY) -> str:
    """Return a page with its tables made anew.

    Args:
        page: Markdown.
        root: what the folders of the reports are relative to.

    Raises:
        GcposeError: an unknown kind, a table without an end, or a report that cannot be read or lacks the section.
    """
    lines: list[str] = []
    inside = False
    for line in page.splitlines():
        begin = _BEGIN.fullmatch(line.strip())
        if inside and (begin or line.strip() == _END):
            if begin:
                raise GcposeError(f"the table before {line.strip()} has no end; put {_END} below it")
            inside = False
        if not inside:
            lines.append(line)
        if begin:
            inside = True
            lines += ["", *_table(begin["kind"], root / begin["folder"]), ""]
    if inside:
        raise GcposeError(f"the last table has no end; put {_END} below it")
    return "\n".join(lines) + "\n"


def _table(kind: str, folder: Path) -> list[str]:
    if kind in RECORDS:
        return RECORDS[kind](folder)
    if kind not in KINDS:
        raise GcposeError(f"no table is called {kind!r}; choose from {', '.join([*KINDS, *RECORDS])}")
    report = read_report(folder)
    if report.get("complete") is not True:
        raise GcposeError(f"{folder} is a partial report; let the run end")
    table = KINDS[kind](View(report))
    link = f"[report]({(folder / 'report.md').relative_to(REPOSITORY)})" if folder.is_relative_to(REPOSITORY) else ""
    lines = table_lines(table)
    return [*lines, "", f"{escape(table.caption)}: {link}"] if kind != "summary" and link else lines


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages anew, or check them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a page is out of date")
    args = parser.parse_args(argv)
    stale = []
    for name in PAGES:
        path = REPOSITORY / name
        before = path.read_text()
        after = renewed(before)
        if after == before:
            continue
        stale.append(name)
        if not args.check:
            with atomic_write(path, "w") as stream:
                stream.write(after)
    if stale and args.check:
        print(f"out of date: {', '.join(stale)}; run: python -m benchmarks.tables", file=sys.stderr)
        return 1
    print(f"written: {', '.join(stale)}" if stale else "all tables are up to date")
    return 0


if __name__ == "__main__":
    run(main)
