"""What tests of the store share: a source, its segments, and a store that has begun."""

from __future__ import annotations

import hashlib
from pathlib import Path

from gcpose_trt.batch.merging import merge
from gcpose_trt.batch.store import Store
from gcpose_trt.batch.types import Finished, SourcePlan
from tests.batch.segment_samples import RECIPE, crowd, cut, plan_of, video_spec

SPEC = video_spec()
PLAN = plan_of(SPEC, 3)
SEGMENTS = cut(SPEC.id, crowd(30), [10, 20])
ROOT = Path(__file__).parents[2]


def segments_done(store: Store, plan: SourcePlan) -> set[int]:
    """Return which segments are there, whole."""
    return {poses.segment for poses in store.recorded(plan)}


def finish(store: Store, plan: SourcePlan = PLAN) -> Finished:
    """Do what is left of a source."""
    store.write_plan(plan)
    for part in SEGMENTS:
        if part.segment not in segments_done(store, plan):
            store.write_segment(part)
    done = merge(plan, RECIPE, map(str, store.segment_paths(plan)), store.part_path(plan.spec.id))
    assert isinstance(done, Finished)
    store.write_finished(done)
    return done


def tree(folder: Path) -> dict[str, str]:
    """Every file but the lock, and a digest of its content."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
