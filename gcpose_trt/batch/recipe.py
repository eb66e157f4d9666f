"""What the results of a batch depend on, with every default resolved: a batch is resumed with the same recipe only."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from gcpose_trt.batch.types import Recipe
from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime import bundle
from gcpose_trt.runtime.info import ModelInfo
from gcpose_trt.runtime.preprocess import SizeRule, parse_size

SEGMENT_S = 30.0
SEGMENT_IMAGES = 64
CPU_THREADS = 1  # one process a core, each with one thread, is the most frames a second
CPU_BATCH, GPU_BATCH = 1, 8

# What the models that this process has made recipes of say of themselves, by `model_hash`: opening one takes seconds.
_infos: dict[str, ModelInfo] = {}

# How users know the fields, in the words of the command line.
_OPTIONS = {
    "model_hash": "--model",
    "backend": "--backend",
    "precision": "--precision",
    "size": "--size",
    "min_score": "--min-score",
    "max_people": "--max-people",
    "threads": "--threads",
    "batch": "--batch",
    "segment_s": "--segment-seconds",
    "segment_images": "--segment-images",
    "track": "--track",
    "annotate": "--annotate",
}


def make_recipe(
    model: str | os.PathLike[str] = "mobile",
    backend: str = "auto",
    precision: str | None = None,
    size: str | int | tuple[int, int] | None = None,
    min_score: float | None = None,
    max_people: int | None = None,
    threads: int | None = None,
    batch: int | None = None,
    segment_s: float | None = None,
    segment_images: int | None = None,
    track: bool = True,
    annotate: bool = False,
    device: str | None = None,
) -> Recipe:
    """Resolve the options of a batch.

    The model is opened once, on the CPU, to see that it runs as asked; engines are only looked at, since the machine
    that starts a batch need not have their GPU.

    Args:
        model: see `PoseEstimator`; a name or a path.
        backend: see `PoseEstimator`.
        precision: see `PoseEstimator`.
        size: see `PoseEstimator`.
        min_score: see `PoseEstimator`.
        max_people: see `PoseEstimator`.
        threads: CPU threads of one call; None is 1 on a CPU.
        batch: frames that go through the network together; None is 1 on a CPU, 8 on a GPU.
        segment_s: wanted length of a segment of video, seconds; None is 30.
        segment_images: pictures of a segment; None is 64.
        track: number people through videos.
        annotate: draw an MP4 of each video.
        device: where backend torch will run, "cpu" or "cuda": its defaults go by it; None is a GPU where there is one.

    Raises:
        GcposeError: no such model, an option is out of range or does not go with another, or nothing encodes videos.
        MissingDependencyError: the backend is not installed.
    """
    segment_s = SEGMENT_S if segment_s is None else float(segment_s)
    segment_images = SEGMENT_IMAGES if segment_images is None else segment_images
    if not 0 < segment_s < math.inf:
        raise GcposeError(f"segments of {segment_s} s are out of range; choose a length above 0 s")
    for name, value in (("batch", batch), ("segment_images", segment_images)):
        if value is not None and value < 1:
            raise GcposeError(f"{name} {value} is out of range; choose a whole number of at least 1")
    if annotate:
        from gcpose_trt.video.sinks.h264 import find_encoder

        find_encoder()  # to say now that there is none, not after hours of work
    name = os.fspath(model)
    engines = bundle.engine_folder(name)
    if backend == "tensorrt" or (backend == "auto" and engines is not None):
        looked = _look_at_engines(name, engines, precision, size, min_score, max_people, threads)
    else:
        looked = _open(name, backend, precision, size, min_score, max_people, threads, device)
    on_gpu = looked["backend"] == "tensorrt" or (looked["backend"] == "torch" and _uses_gpu(device))
    return Recipe(
        **looked,
        threads=threads if threads is not None or on_gpu else CPU_THREADS,
        batch=batch or (GPU_BATCH if on_gpu else CPU_BATCH),
        segment_s=segment_s,
        segment_images=int(segment_images),
        track=bool(track),
        annotate=bool(annotate),
    )


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Return a recipe as a JSON object."""
    return dataclasses.asdict(recipe)


def from_json(record: Mapping[str, Any]) -> Recipe:
    """Return the recipe of `to_json`'s object.

    Raises:
        GcposeError: fields are missing, unknown or of another type: another version wrote it.
    """
    try:
        recipe = Recipe(**record)
        for field in dataclasses.fields(Recipe):
            _check_type(field.name, str(field.type), getattr(recipe, field.name))
    except (TypeError, ValueError) as error:
        raise GcposeError(
            f"the record of the batch does not fit this version ({error}); choose another --output"
        ) from None
    return recipe


def differences(a: Recipe, b: Recipe) -> list[str]:
    """Return what is another in recipe `b` than in `a`, in the words of the command line; nothing where results agree.

    Where a model's files lie makes no difference, their contents do.
    """
    changes = []
    for name, option in _OPTIONS.items():
        before, after = getattr(a, name), getattr(b, name)
        if before == after:
            continue
        if name == "model_hash":
            same = a.model == b.model
            if same and a.precision != b.precision:
                continue  # other files for the other precision, which is named itself
            change = f"the files of {b.model} have changed" if same else f"{a.model}, now {b.model}"
            changes.append(f"{option} ({change})")
        else:
            changes.append(f"{option} ({_word(name, before)}, now {_word(name, after)})")
    return changes


@lru_cache(maxsize=4)
def keypoint_threshold(model: str, backend: str) -> float:
    """Return the confidence from which a recipe's model holds a joint worth drawing, 0..1.

    Raises:
        GcposeError: the model is not there any more.
    """
    if backend == "tensorrt":
        from gcpose_trt.runtime.engine_record import EngineRecord

        return EngineRecord.load(model).model_info(model).keypoint_threshold
    return _ask(model, backend, None).keypoint_threshold


def host_rule(recipe: Recipe) -> SizeRule | None:
    """Return how networks of a recipe resize frames before they run, so that others can do it for them.

    Returns:
        The rule; None for backend tensorrt, which resizes on the GPU and takes whole frames.

    Raises:
        GcposeError: the model is not there any more.
    """
    if recipe.backend == "tensorrt":
        return None
    from gcpose_trt.runtime.estimator import size_rule

    info = _infos.get(recipe.model_hash) or _ask(recipe.model, recipe.backend, recipe.precision)
    return size_rule(info, parse_size(recipe.size), recipe.size)


def _ask(model: str, backend: str, precision: str | None) -> ModelInfo:
    """Return what a model of ONNX Runtime or PyTorch says of itself."""
    from gcpose_trt.runtime.backends.opening import open_backend

    opened = open_backend(model, backend, 1 if backend == "onnxruntime" else None, precision, device="cpu")
    opened.close()
    return opened.info


def _open(
    model: str,
    backend: str,
    precision: str | None,
    size: Any,
    min_score: float | None,
    max_people: int | None,
    threads: int | None,
    device: str | None,
) -> dict[str, Any]:
    """Return the fields of a recipe that a model of ONNX Runtime or PyTorch has to say."""
    from gcpose_trt.runtime.estimator import PoseEstimator

    is_torch = backend == "torch" or model.endswith((".pth", ".pt"))
    if is_torch and precision is None:
        precision = "fp16" if _uses_gpu(device) else "fp32"
    # A GPU may be another machine's; the network is the same one.
    estimator = PoseEstimator(
        model,
        backend,
        size,
        min_score,
        max_people,
        CPU_THREADS if threads is None else threads,
        precision,
        device="cpu",
    )
    with estimator:
        files = _files(model)
        if estimator.backend == "onnxruntime" and estimator.precision == "int8":
            beside = bundle.int8_form(bundle.find(model))
            files = files if beside is None else (beside.detector, beside.pose)
        digest = _hash(files)
        _infos[digest] = estimator.info
        return {
            "model": _absolute(model),
            "model_hash": digest,
            "backend": estimator.backend,
            "precision": estimator.precision,
            "size": _size(size, estimator.info),
            "min_score": estimator.min_score,
            "max_people": estimator.max_people,
        }


def _look_at_engines(
    model: str,
    engines: Path | None,
    precision: str | None,
    size: Any,
    min_score: float | None,
    max_people: int | None,
    threads: int | None,
) -> dict[str, Any]:
    """Return the fields of a recipe that the record of a folder of engines has to say."""
    from gcpose_trt.runtime.engine_record import EngineRecord

    if engines is None:
        raise GcposeError(
            f"{model} is no folder of TensorRT engines; build them with: gcpose-trt build-engine {model} --output DIR"
        )
    if threads is not None:
        raise GcposeError("backend tensorrt runs on the GPU and has no CPU threads to set; leave the threads out")
    record = EngineRecord.load(engines)
    if precision not in (None, record.precision):
        raise GcposeError(
            f"{engines} was built in {record.precision}, not {precision}; leave the precision out, or build another "
            f"with: gcpose-trt build-engine --precision {precision}"
        )
    info = record.model_info(str(engines))
    wanted = parse_size(size)
    if wanted is not None and wanted.exact != info.size:
        raise GcposeError(f"{engines} takes inputs of {record.size[0]}x{record.size[1]} only; leave the size out")
    if min_score is not None and not 0 <= min_score <= 1:
        raise GcposeError(f"min_score {min_score} is out of range; choose a number from 0 to 1")
    if max_people is not None and max_people < 1:
        raise GcposeError(f"max_people {max_people} is out of range; choose a whole number of at least 1")
    return {
        "model": str(engines.absolute()),
        "model_hash": _hash(record.check_files(engines).values()),
        "backend": "tensorrt",
        "precision": record.precision,
        "size": None,
        "min_score": info.min_score if min_score is None else float(min_score),
        "max_people": info.max_people if max_people is None else int(max_people),
    }


def _files(model: str) -> tuple[Path, ...]:
    """Return the files of a model that is no folder of engines."""
    path = Path(model)
    if path.is_file() and path.suffix != ".onnx":
        return (path,)
    paths = bundle.find(model)  # an architecture's name, which means random weights, ends here
    return paths.detector, paths.pose


def _absolute(model: str) -> str:
    """Return a model so that a process with another working folder finds it, too."""
    return model if model in bundle.shipped_names() else str(Path(model).absolute())


def _size(size: Any, info: ModelInfo) -> str | None:
    rule = parse_size(size)
    if rule is None or (info.size is not None and rule.exact == info.size):
        return None
    return str(rule.long) if rule.exact is None else f"{rule.exact[0]}x{rule.exact[1]}"


def _hash(files: Iterable[Path]) -> str:
    """Return one SHA-256 of the names and contents of files."""
    from gcpose_trt.runtime.engine_record import file_sha256

    digest = hashlib.sha256()
    for path in files:
        try:
            digest.update(f"{path.suffix}:{file_sha256(path)}\n".encode())
        except OSError as error:
            raise GcposeError(f"cannot read {path} ({error.strerror}); check its permissions") from error
    return digest.hexdigest()


def _uses_gpu(device: str | None) -> bool:
    """Say whether PyTorch will run on a GPU."""
    if device is not None:
        return device.partition(":")[0] == "cuda"
    try:
        import torch
    except ImportError:  # opening the model says what to install
        return False
    return torch.cuda.is_available()


def _check_type(name: str, kind: str, value: Any) -> None:
    """Raise TypeError where a value is not of the type that a dataclass declares, `kind`."""
    types: dict[str, tuple[type, ...]] = {"float": (int, float), "None": (type(None),)}
    types |= {"str": (str,), "int": (int,), "bool": (bool,)}
    allowed = tuple(one for part in kind.split(" | ") for one in types[part])
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind != "bool"):
        raise TypeError(f"{name} is {value!r}")


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    owner = "model" if name == "size" else "backend"
    return f"the {owner}'s own" if value is None else str(value)
