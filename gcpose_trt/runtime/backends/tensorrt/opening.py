"""From an engine folder to two engines that are ready: everything is checked before TensorRT sees a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gcpose_trt.errors import GcposeError
from gcpose_trt.plugins import library
from gcpose_trt.runtime import tensorrt_api
from gcpose_trt.runtime.backends.tensorrt.engine import Engine
from gcpose_trt.runtime.cuda import Device, open_device
from gcpose_trt.runtime.engine_record import EngineRecord, Gpu

DETECTOR = ({"image", "image_size"}, {"p2", "boxes", "scores", "count"})
POSE = ({"p2", "boxes", "batch_index"}, {"keypoints"})


@dataclass
class Opened:
    """What `open_folder` returns.

    Attributes:
        record: of the folder.
        device: the GPU; closing it frees everything on it.
        detector: the engine of the first half.
        pose: the engine of the second half, with one profile a bucket.
        library: our plugin library, None where there is none and the engines need none.
    """

    record: EngineRecord
    device: Device
    detector: Engine
    pose: Engine
    library: Path | None


def open_folder(folder: Path, index: int = 0) -> Opened:
    """Check a folder of engines against its record and this machine, then load it.

    Args:
        folder: has engine.json.
        index: the GPU's number.

    Raises:
        GcposeError: the record or a file is damaged, there is no GPU or no TensorRT, or the engine was built for
            another TensorRT, GPU, system or plugin library; each in its own words.
    """
    record = EngineRecord.load(folder)
    if record.target != "tensorrt":
        raise GcposeError(
            f"{folder} was built for {record.target}, which backend tensorrt does not run; build it with: "
            "gcpose-trt build-engine --target tensorrt"
        )
    if not {"detector", "pose"} <= set(record.files):
        raise GcposeError(f"{folder} has no engine of the detector or of the pose half; {record.rebuild}")
    files = record.check_files(folder)
    record.check_source()
    device = open_device(index)
    try:
        return _load(folder, record, files, device)
    except BaseException:
        device.close()
        raise


def _load(folder: Path, record: EngineRecord, files: dict[str, Path], device: Device) -> Opened:
    api = tensorrt_api.load(record.target)
    plugins = find_library(record)
    gpu = Gpu(device.info.name, device.info.compute_capability)
    record.check_runtime(api.version, gpu, plugins)
    engines = {}
    with device.current():  # TensorRT takes the context that is current
        if record.plugin_library is not None and plugins is not None:
            api.load_plugins(plugins)
        runtime = api.runtime()
        for graph in ("detector", "pose"):
            plan = api.deserialize(files[graph].read_bytes(), str(files[graph]), runtime)
            engines[graph] = Engine(api, plan, files[graph].name, device)
    engines["detector"].check(*DETECTOR)
    engines["pose"].check(*POSE)
    _check_shapes(folder, record, engines["detector"], engines["pose"])
    return Opened(record, device, engines["detector"], engines["pose"], plugins)


def find_library(record: EngineRecord) -> Path | None:
    """Return the plugin library to use: where it is looked for, else where it was when the engine was built."""
    path = library.default_path()
    if path.is_file() or os.environ.get("GCPOSE_PLUGINS"):
        return path
    built_with = None if record.plugin_library is None else Path(record.plugin_library.path)
    return built_with if built_with is not None and built_with.is_file() else None


def _check_shapes(folder: Path, record: EngineRecord, detector: Engine, pose: Engine) -> None:
    """Compare the engines with each other and with the record, as far as memory is laid out by it."""
    tensors = detector.tensors
    image = (record.batch, *record.size, 3)
    fits = tensors["image"].shape == image and tensors["image"].dtype == "uint8"
    fits = fits and tensors["p2"].dtype == pose.tensors["p2"].dtype
    fits = fits and all(-1 not in tensors[name].shape for name in ("p2", "boxes", "scores", "count"))
    fits = fits and pose.profiles == len(record.buckets)
    fits = fits and all(
        pose.profile_shape("boxes", profile) == (bucket, 4) for profile, bucket in enumerate(record.buckets)
    )
    if not fits:
        raise GcposeError(f"the engines in {folder} do not have the shapes that engine.json gives; {record.rebuild}")
