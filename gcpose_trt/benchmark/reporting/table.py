"""A table before it is Markdown or HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gcpose_trt.benchmark.reporting.view import Entry
from gcpose_trt.benchmark.reporting.words import DASH


@dataclass(frozen=True)
class Column:
    """Attributes:
    name: title.
    group: title above several columns, "" for none.
    words: cells are words, not numbers: they stand left, and may be broken into lines.
    """

    name: str
    group: str = ""
    words: bool = False

    @property
    def title(self) -> str:
        """The title where there is one line for it."""
        return f"{self.group}: {self.name}" if self.group else self.name


@dataclass(frozen=True)
class Row:
    """Attributes:
    head: what the row is about.
    cells: text, one a column.
    entry: the contender that it is about, for its colour.
    marked: numbers of the cells that deserve a second look.
    """

    head: str
    cells: Sequence[str]
    entry: Entry | None = None
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Table:
    """Attributes:
    caption: what it shows, in one line.
    head: title of the column of row heads.
    columns: the others.
    rows: at least one.
    notes: sentences below it.
    """

    caption: str
    head: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)

    def without_empty(self) -> Table:
        """Return the table without columns in which nobody has anything."""
        kept = [i for i in range(len(self.columns)) if any(row.cells[i] != DASH for row in self.rows)]
        rows = [
            Row(
                row.head,
                [row.cells[i] for i in kept],
                row.entry,
                frozenset(kept.index(i) for i in row.marked if i in kept),
            )
            for row in self.rows
        ]
        return Table(self.caption, self.head, [self.columns[i] for i in kept], rows, self.notes)
