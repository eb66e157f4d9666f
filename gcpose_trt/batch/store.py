"""The folder of a batch: what is done is recorded there, so that the same command goes on where it ended.

Layout, under the output's folder:

    poses/source_id=ID/part-0.parquet    the people of a source
    annotated/ID.mp4                     the video with its people drawn
    sources.parquet                      a row a source
    .batch/run.json                      the recipe
    .batch/plans/ID.json                 how a source is cut
    .batch/segments/ID/INDEX.parquet     segments that are done, of sources that are not
    .batch/sources/ID.json               sources that are done
    .batch/failures/ID.json              sources that failed; the next run tries them again

Every file appears whole or not at all. What is missing, cut short or changed by a bad disk counts as not done.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

from gcpose_trt.batch import recipe as recipes
from gcpose_trt.batch import records
from gcpose_trt.batch.folder import RECORDS, STATE, TABLE, check_foreign, remove_leftovers, take_lock, wipe
from gcpose_trt.batch.records import read_record, remove, sync, write_record
from gcpose_trt.batch.schema import VERSION
from gcpose_trt.batch.segment_file import DamagedSegmentError, read_segment, write_segment
from gcpose_trt.batch.types import Finished, Recipe, SegmentPoses, SourceFailure, SourcePlan, SourceSpec
from gcpose_trt.errors import GcposeError

_Value = TypeVar("_Value")


class Store:
    """The output's folder. One at a time; closing it, or the end of the process, lets the next one in.

    Args:
        folder: the output's folder; made by `open`.

    Example:
        >>> with Store("poses") as store:  # doctest: +SKIP
        ...     resumed = store.open(recipe, fresh=False)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).absolute()
        self._state = self.folder / STATE
        self._lock: IO[str] | None = None
        self._recipe: Recipe | None = None

    def open(self, recipe: Recipe, fresh: bool = False) -> bool:
        """Start a batch in the folder, or go on with the one that is there.

        Args:
            recipe: what the results depend on.
            fresh: begin anew: an earlier batch is removed with its results.

        Returns:
            Whether an earlier batch goes on.

        Raises:
            GcposeError: the folder holds something else, a batch of another recipe or version, or a batch runs there;
                or it cannot be written.
        """
        check_foreign(self.folder)
        try:
            self._state.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(self.folder)
            remove_leftovers(self.folder)
            if fresh:
                wipe(self.folder)
        except OSError as error:
            self.close()
            reason = error.strerror or error
            raise GcposeError(f"cannot write {self.folder} ({reason}); choose another --output") from error
        try:
            resumed = self._check_run(recipe)
            if not resumed:
                content = {"schema": VERSION, "recipe": recipes.to_json(recipe)}
                write_record(self._state / "run.json", content)
        except GcposeError:
            self.close()
            raise
        self._recipe = recipe
        return resumed

    def close(self) -> None:
        """Let the next one in. Closing twice is harmless."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------ where things are

    def part_path(self, source_id: str) -> Path:
        """Return where the poses of a source are."""
        return self.folder / "poses" / f"source_id={source_id}" / "part-0.parquet"

    def video_path(self, source_id: str) -> Path:
        """Return where the annotated video of a source is."""
        return self.folder / "annotated" / f"{source_id}.mp4"

    @property
    def sources_path(self) -> Path:
        """Where the table of the sources is."""
        return self.folder / TABLE

    def segment_paths(self, plan: SourcePlan) -> list[Path]:
        """Return where the segments of a source are, in order."""
        return [self._segment(plan.spec.id, segment.index) for segment in plan.segments]

    # ---------------------------------------------------------------------------------------------- a source under way

    def plan(self, source_id: str) -> SourcePlan | None:
        """Return how a source is cut; None where nobody cut it yet.

        Raises:
            GcposeError: the record may not be read.
        """
        return self._read("plans", source_id, records.plan_of)

    def write_plan(self, plan: SourcePlan) -> None:
        """Record how a source is cut. Segments of another cut are removed.

        Raises:
            GcposeError: it cannot be written.
        """
        if self.plan(plan.spec.id) != plan:
            self._drop_segments(plan.spec.id)
            write_record(self._record("plans", plan.spec.id), records.to_json(plan))

    def recorded(self, plan: SourcePlan) -> Iterator[SegmentPoses]:
        """Yield the segments of a plan that are there, whole, one in memory at a time.

        Raises:
            GcposeError: a file may not be read.
        """
        for segment, path in zip(plan.segments, self.segment_paths(plan), strict=True):
            try:
                poses = read_segment(path) if path.exists() else None
            except DamagedSegmentError:
                continue
            if poses is not None and (poses.source_id, poses.segment) == (plan.spec.id, segment.index):
                yield poses

    def write_segment(self, poses: SegmentPoses) -> None:
        """Record a segment.

        Raises:
            GcposeError: it cannot be written.
        """
        write_segment(self._segment(poses.source_id, poses.segment), poses)

    # --------------------------------------------------------------------------------------------- a source at its end

    def finished(self, spec: SourceSpec) -> Finished | None:
        """Return what a source came to; None where it is not finished, was changed since, or its output is gone.

        Raises:
            GcposeError: the record may not be read.
        """
        content = read_record(self._record("sources", spec.id))
        if content is None:
            return None
        try:
            done = records.finished_of(content["finished"])
            there = _bytes(self.part_path(spec.id)) == content["part_bytes"]
            # A video of which no frame could be drawn has no file.
            drawn = content["video_bytes"] is None or _bytes(self.video_path(spec.id)) == content["video_bytes"]
        except (KeyError, TypeError, ValueError):
            return None
        if done.spec != spec or not there or not drawn:
            return None
        self._drop_segments(spec.id)  # left by a process that ended between the record and this
        return done

    def write_finished(self, done: Finished) -> None:
        """Record that a source is finished, its output on the disk; its segments are removed.

        Raises:
            GcposeError: it cannot be written, or the output is not there.
        """
        source_id = done.spec.id
        part, video = self.part_path(source_id), self.video_path(source_id)
        wanted = self._recipe is not None and self._recipe.annotate and done.spec.kind == "video"
        part_bytes, video_bytes = _bytes(part), _bytes(video) if wanted else None
        if part_bytes is None:
            raise GcposeError(f"{part} is gone; run the same command again")
        for path in (part, video) if video_bytes is not None else (part,):
            sync(path)
            sync(path.parent)
        sync(self.folder / "poses")
        content = {"finished": records.to_json(done), "part_bytes": part_bytes, "video_bytes": video_bytes}
        write_record(self._record("sources", source_id), content)
        remove(self._record("failures", source_id))
        self._drop_segments(source_id)

    def write_failure(self, failure: SourceFailure) -> None:
        """Record why a source failed, and remove output of it; the segments that it has are kept for the next run.

        Raises:
            GcposeError: it cannot be written.
        """
        if failure.id is not None:
            self._drop_output(failure.id)
        name = failure.id or f"input-{hashlib.sha256(failure.uri.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
        write_record(self._record("failures", name), records.to_json(failure))

    def failures(self) -> list[SourceFailure]:
        """Return the sources that failed, by address.

        Raises:
            GcposeError: a record may not be read.
        """
        return sorted(self._all("failures", records.failure_of), key=lambda failure: failure.uri)

    def results(self) -> list[Finished]:
        """Return every source that is finished and whose output is there, also those of earlier runs, by address.

        Raises:
            GcposeError: a record may not be read.
        """
        specs = self._all("sources", lambda content: records.spec_of(content["finished"]["spec"]))
        found = (self.finished(spec) for spec in specs)
        return sorted((done for done in found if done is not None), key=lambda done: (done.spec.uri, done.spec.id))

    def forget(self, source_id: str) -> None:
        """Remove all of a source: its record, plan, segments and outputs, as when the source was changed.

        Raises:
            GcposeError: something cannot be removed.
        """
        # The records first: outputs without one are nobody's, a record without them would be a lie.
        for kind in ("sources", "plans", "failures"):
            remove(self._record(kind, source_id))
        self._drop_segments(source_id)
        self._drop_output(source_id)

    # ---------------------------------------------------------------------------------------------------------- inside

    def _record(self, kind: str, source_id: str) -> Path:
        return self._state / kind / f"{source_id}.json"

    def _segment(self, source_id: str, index: int) -> Path:
        return self._state / "segments" / source_id / f"{index}.parquet"

    def _read(self, kind: str, source_id: str, decode: Callable[[Mapping[str, Any]], _Value]) -> _Value | None:
        content = read_record(self._record(kind, source_id))
        try:
            return None if content is None else decode(content)
        except (KeyError, TypeError, ValueError):
            return None

    def _all(self, kind: str, decode: Callable[[Mapping[str, Any]], _Value]) -> list[_Value]:
        names = sorted(path.stem for path in (self._state / kind).glob("[!.]*.json"))
        return [value for name in names if (value := self._read(kind, name, decode)) is not None]

    def _drop_segments(self, source_id: str) -> None:
        folder = self._state / "segments" / source_id
        for path in sorted(folder.glob("*.parquet")):
            remove(path)
        _remove_empty(folder)

    def _drop_output(self, source_id: str) -> None:
        part = self.part_path(source_id)
        for path in (self.video_path(source_id), part):
            remove(path)
        _remove_empty(part.parent)

    def _check_run(self, recipe: Recipe) -> bool:
        """Say whether a batch of this recipe is there; none is False, another one an error."""
        path = self._state / "run.json"
        content = read_record(path)
        if content is None:
            if any((self._state / name).exists() for name in RECORDS):
                raise GcposeError(f"{path} is missing or damaged; start the batch anew with --fresh")
            return False
        if content.get("schema") != VERSION:
            raise GcposeError(
                f"{self.folder} holds a batch of schema {content.get('schema')!r}, this version writes {VERSION!r}; "
                "choose another --output, or start anew with --fresh"
            )
        changes = recipes.differences(recipes.from_json(content.get("recipe", {})), recipe)
        if changes:
            raise GcposeError(
                f"{self.folder} holds a batch with other options: {', '.join(changes)}; give the same ones, choose "
                "another --output, or start anew with --fresh"
            )
        return True


def _bytes(path: Path) -> int | None:
    """Return the size of a file; None where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise GcposeError(f"cannot remove {folder} ({error.strerror}); check its permissions") from error
