"""What a batch came to, for its last words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gcpose_trt.batch.types import Finished, SourceFailure

_MOST_LISTED = 20


@dataclass(frozen=True)
class Summary:
    """What a run of a batch came to.

    Attributes:
        folder: of the output.
        finished: sources that this run finished.
        skipped: sources that were finished before and have not changed since.
        failures: sources that cannot be read, and inputs that name nothing; the next run tries them again.
        sources: how many sources the inputs name, with those that name nothing.
        frames: how many went through the network in this run.
        seconds: the whole run.
        interrupted: whether Ctrl-C or SIGTERM ended it; the same call goes on.
    """

    folder: Path
    finished: Sequence[Finished]
    skipped: Sequence[Finished]
    failures: Sequence[SourceFailure]
    sources: int
    frames: int
    seconds: float
    interrupted: bool

    @property
    def partial(self) -> int:
        """Sources of this run that could be read in part, see their warnings."""
        return sum(bool(source.warnings) for source in self.finished)

    @property
    def left(self) -> int:
        """Sources that an interrupted run did not come to the end of."""
        return self.sources - len(self.finished) - len(self.skipped) - len(self.failures)

    def lines(self) -> list[str]:
        """Return the summary as lines of a table, without the failures."""
        counts = [f"{len(self.finished) - self.partial} done", f"{self.partial} partial"]
        counts += [f"{len(self.failures)} failed", f"{len(self.skipped)} finished before"]
        if self.interrupted:
            counts.append(f"{self.left} to do")
        there = [*self.finished, *self.skipped]
        rate = self.frames / self.seconds if self.seconds else 0.0
        work = f"{self.frames} frames in {self.seconds:.1f} s: {rate:.1f} frames/s, all included"
        lines = [
            f"sources     {', '.join(counts)}",
            f"this run    {work if self.frames or self.left else 'no frame was left to do'}",
        ]
        if not there:
            return [*lines, f"written     {self.folder / 'sources.parquet'}"]
        return [
            *lines,
            f"poses       {sum(source.people for source in there)} people in "
            f"{sum(source.frames for source in there)} frames, {sum(source.tracks for source in there)} tracks",
            f"written     {self.folder / 'poses'}, {self.folder / 'sources.parquet'}",
            f"read it     pyarrow.dataset.dataset({str(self.folder / 'poses')!r}, partitioning='hive').to_table()",
        ]

    def problems(self) -> list[str]:
        """Return a line for each source that failed or was read in part, failures first; no more than 20."""
        lines = [f"failed: {failure.uri}: {failure.reason}" for failure in self.failures]
        for source in self.finished:
            if source.warnings:
                more = f" (and {len(source.warnings) - 1} more)" if len(source.warnings) > 1 else ""
                lines.append(f"partial: {source.spec.uri}: {source.warnings[0]}{more}")
        if len(lines) > _MOST_LISTED:
            count = len(lines) - _MOST_LISTED
            lines[_MOST_LISTED:] = [f"and {count} more; all of them are in {self.folder / 'sources.parquet'}"]
        return lines
