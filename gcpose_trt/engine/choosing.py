"""`--precision best`: build an engine in each precision, measure them on this GPU, keep the fastest that is accurate.

`EngineRecord.options["choice"]` says how it was decided:

    chosen              the precision of the engine in the folder
    max_ap_drop         points of AP that could be lost, None where no limit was set
    ap_fp32_model       AP of the float model in ONNX Runtime, None where no images were given
    images              how many images AP was measured on; annotations_sha256 of what
    rounds, frames      how often each engine ran, over how many frames; batch of them a time
    candidates          a list, the most accurate precision first, of
        precision       "fp32", "fp16" or "int8"
        ap, ap_drop     of the engine, 0 to 1, and points (0 to 100) below the float model; None if not measured
        median_ms       of a call, from frames to poses
        quartiles_ms    lower and upper
        lead            part of the rounds, 0 to 1, in which the fastest that passes was faster than this one
        passed          whether it could be chosen
        reason          why it was chosen, or was not
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gcpose_trt.engine.builder import build_engine, check_images, check_machine, check_plugins, sources_of
from gcpose_trt.engine.folder import TIMING_CACHE, staging
from gcpose_trt.engine.gate import Gate
from gcpose_trt.engine.process import Listener, run_job, terminable
from gcpose_trt.engine.racing import ROUNDS
from gcpose_trt.engine.request import BuildRequest
from gcpose_trt.errors import GcposeError
from gcpose_trt.quantization.record import CalibrationRecord
from gcpose_trt.runtime.bundle import BundlePaths
from gcpose_trt.runtime.engine_record import PRECISIONS, EngineRecord, PluginLibrary, file_sha256

# The faster of two must be so in three of four rounds: they run the same frames one right after the other, so that
# frames with many people and a GPU that changes its clock do not count.
LEAD = 0.75


@dataclass
class Candidate:
    """An engine that may be chosen; see the top of this module for the fields, all but `record`."""

    precision: str
    ap: float | None = None
    ap_drop: float | None = None
    median_ms: float | None = None
    quartiles_ms: tuple[float, float] | None = None
    lead: float | None = None
    passed: bool = False
    reason: str = ""
    record: EngineRecord | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON takes."""
        return {key: value for key, value in asdict(replace(self, record=None)).items() if key != "record"}


def build_best(request: BuildRequest, listener: Listener, debug: bool = False) -> EngineRecord:
    """Build the engines of a model in the precision that is fastest here.

    Args:
        request: with precision "best".
        listener: told of the progress, see `gcpose_trt.engine.progress.Progress`.
        debug: print tracebacks of the build process.

    Returns:
        The record that was written, of the engine that was kept.

    Raises:
        GcposeError: there is no GPU to measure on, no candidate could be built, or none is accurate enough; nothing is
            written then.
        KeyboardInterrupt: interrupted or terminated; nothing is written then either.
    """
    request.check()
    start = time.monotonic()
    flags = {"verbose": request.verbose, "debug": debug}
    library = _check(request, listener, flags)
    with terminable(), staging(request.output) as work:
        with sources_of(request, work, listener) as sources:
            model = request.model if sources.kept else str(sources.paths.detector.parent)
            candidates = [Candidate(precision) for precision in PRECISIONS]
            folders = work / "candidates"
            folders.mkdir()
            for number, candidate in enumerate(candidates):
                listener({"event": "part", "number": number, "parts": len(candidates) + 1, "name": candidate.precision})
                _build(candidate, replace(request, model=model), folders, listener, debug)
            listener({"event": "part", "number": len(candidates), "parts": len(candidates) + 1, "name": "measuring"})
            _remain(candidates, "could be built here")
            plugins = library.path if library else None
            facts = _measure_ap(request, candidates, sources.paths, folders, listener, flags, plugins)
            facts |= _measure_speed(request, candidates, folders, listener, flags, plugins)
        best = choose(candidates, request.max_ap_drop)
        shown = {"chosen": best.precision, "max_ap_drop": request.max_ap_drop, **facts, "batch": request.batch}
        shown["candidates"] = [candidate.to_dict() for candidate in candidates]
        for path in (folders / best.precision).iterdir():
            os.replace(path, work / path.name)
        shutil.rmtree(folders)
        record = _record(request, best, shown, sources.kept)
        record = replace(record, build_seconds=round(time.monotonic() - start, 1))
        record.save(work)
    return record


def _check(request: BuildRequest, listener: Listener, flags: dict[str, bool]) -> PluginLibrary | None:
    """Look for everything that is needed, above all a GPU that runs engines, before anything is built."""
    try:
        check_machine(request)
        run_job({"job": "probe", **flags}, listener)
    except GcposeError as error:
        raise GcposeError(
            f"--precision best is measured on the GPU that will run the engine, and here {error}; or give --precision "
            "fp16, or int8 with --max-ap-drop 0.5, instead"
        ) from error
    library = check_plugins(request)
    check_images(request)
    if request.calibration is not None:
        CalibrationRecord.load(request.calibration)
    return library


def _build(candidate: Candidate, request: BuildRequest, folders: Path, listener: Listener, debug: bool) -> None:
    """Build one candidate; one that cannot be built says why."""
    # Accuracy is judged afterwards: a candidate that fails is part of the report.
    plain = _explicit(replace(request, max_ap_drop=None), candidate.precision)
    plain = replace(plain, output=folders / candidate.precision)
    earlier = request.output / TIMING_CACHE
    if request.reproducible and request.timing_cache is None and earlier.is_file():
        plain = replace(plain, timing_cache=str(earlier))
    try:
        candidate.record = build_engine(plain, listener, debug)
    except GcposeError as error:
        candidate.reason = f"not built: {error}"


def _explicit(request: BuildRequest, precision: str) -> BuildRequest:
    """Return the request for one precision, without the options that do not go with it."""
    if precision != "int8":
        request = replace(request, calibration=None, calibration_method=None, exclude=())
    if precision == "fp32" or request.max_ap_drop is None:
        request = replace(request, max_ap_drop=None, images=None, annotations=None, max_images=None)
    return replace(request, precision=precision)


def _remain(candidates: list[Candidate], what: str) -> list[Candidate]:
    """Return the candidates that are left.

    Raises:
        GcposeError: none is.
    """
    left = [candidate for candidate in candidates if candidate.record is not None]
    if not left:
        if len({candidate.reason for candidate in candidates}) == 1:
            raise GcposeError(candidates[0].reason)
        reasons = ", ".join(f"{candidate.precision} ({candidate.reason})" for candidate in candidates)
        raise GcposeError(f"no candidate {what}, nothing was written: {reasons}")
    return left


def _measure_ap(
    request: BuildRequest,
    candidates: list[Candidate],
    paths: BundlePaths,
    folders: Path,
    listener: Listener,
    flags: dict[str, bool],
    plugins: str | None,
) -> dict[str, Any]:
    """Give each candidate its AP; return what the report says of the images."""
    if request.images is None or request.annotations is None:
        return {"ap_fp32_model": None, "images": None, "annotations_sha256": None}
    left = _remain(candidates, "could be built here")
    record = left[0].record
    assert record is not None
    prepared = {"model": record.model, "size": list(record.size), "max_people": record.max_people, "int8": None}
    gate = Gate(request, paths, prepared, folders, listener, flags)
    before = gate.measure_float()
    count = 0
    for candidate in left:
        found = gate.measure_engine(folders / candidate.precision, plugins)
        if "unable" in found:
            candidate.record, candidate.reason = None, f"cannot be run here: {found['unable']}"
            continue
        candidate.ap, count = float(found["ap"]), int(found["images"])
        candidate.ap_drop = round(100 * (before - candidate.ap), 4)
    _remain(candidates, "can be run here")
    return {"ap_fp32_model": before, "images": count, "annotations_sha256": file_sha256(request.annotations)}


def _measure_speed(
    request: BuildRequest,
    candidates: list[Candidate],
    folders: Path,
    listener: Listener,
    flags: dict[str, bool],
    plugins: str | None,
) -> dict[str, Any]:
    """Give each candidate its times; return what the report says of the frames."""
    left = {candidate.precision: candidate for candidate in candidates if candidate.record is not None}
    listener({"event": "stage", "text": f"speed of {', '.join(left)}, in turn"})
    job = {"job": "race", "request": request.to_dict(), "plugins": plugins, **flags}
    found = run_job({**job, "folders": {name: str(folders / name) for name in left}}, listener)
    for name, reason in found["failed"].items():
        left[name].record, left[name].reason = None, f"cannot be run here: {reason}"
    _remain(candidates, "can be run here")
    times = {name: np.array(values) for name, values in found["milliseconds"].items()}
    for name, values in times.items():
        low, middle, high = (round(float(value), 4) for value in np.percentile(values, (25, 50, 75)))
        left[name].median_ms, left[name].quartiles_ms = middle, (low, high)
    fast = [left[name] for name in times if _accurate(left[name], request.max_ap_drop)]
    if fast:
        fastest = min(fast, key=_median)
        for name, values in times.items():
            if name != fastest.precision:
                left[name].lead = round(float(np.mean(times[fastest.precision] < values)), 4)
    return {"rounds": ROUNDS, "frames": found["frames"]}


def _accurate(candidate: Candidate, most: float | None) -> bool:
    return most is None or (candidate.ap_drop is not None and candidate.ap_drop <= most)


def _median(candidate: Candidate) -> float:
    assert candidate.median_ms is not None
    return candidate.median_ms


def choose(candidates: list[Candidate], max_ap_drop: float | None) -> Candidate:
    """Return the candidate to keep, and write into each whether it passed and why it was chosen or not.

    It is the fastest of those that lose little enough AP. One that it beats in less than `LEAD` of the rounds is as
    fast; of these the most accurate precision is taken.

    Args:
        candidates: the most accurate precision first; those without a record are out of the race.
        max_ap_drop: points, None for no limit.

    Raises:
        GcposeError: none passes.
    """
    measured = [candidate for candidate in candidates if candidate.record is not None]
    for candidate in measured:
        candidate.passed = _accurate(candidate, max_ap_drop)
        if not candidate.passed:
            candidate.reason = f"loses {candidate.ap_drop:.2f} points of AP, more than {max_ap_drop:g}"
    passing = [candidate for candidate in measured if candidate.passed]
    if not passing:
        reasons = ", ".join(f"{candidate.precision} {candidate.reason}" for candidate in candidates)
        raise GcposeError(f"no candidate passed, no engine was written: {reasons}; allow more with --max-ap-drop")
    fastest = min(passing, key=_median)
    even = [item for item in passing if item is fastest or (item.lead is not None and item.lead < LEAD)]
    best = even[0]
    for candidate in passing:
        if candidate is fastest:
            candidate.reason = "the fastest" if best is fastest else f"no faster than {best.precision}, less accurate"
        elif candidate is best:
            candidate.reason = f"as fast as {fastest.precision} and more accurate"
        elif candidate in even:
            candidate.reason = f"as fast as {fastest.precision}, but {best.precision} is more accurate"
        else:
            candidate.reason = f"slower than {fastest.precision}"
    return best


def _record(request: BuildRequest, best: Candidate, shown: dict[str, Any], kept: bool) -> EngineRecord:
    """Return the record of the candidate that was kept, as if that precision had been asked for."""
    record = best.record
    assert record is not None
    again = replace(_explicit(request, best.precision), size=record.size, max_people=record.max_people)
    return replace(
        record,
        command=again.command,
        source=record.source if kept else {},
        options={**record.options, "choice": shown},
    )
