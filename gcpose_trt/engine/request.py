"""What the user asked for, and the command that asks for the same again."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.engine_record import PRECISIONS, TARGETS
from gcpose_trt.runtime.info import ModelInfo
from gcpose_trt.runtime.preprocess import DIVISOR, parse_size

CHOICES = ("plugin", "native")
BEST = "best"  # the fastest of PRECISIONS, found by building and measuring each
# More has never been seen in an image; a bucket more doubles the memory of the pose engine.
LARGEST_CROWD = 300
LARGEST_BATCH = 64


@dataclass(frozen=True)
class BuildRequest:
    """One run of `gcpose-trt build-engine`.

    Attributes:
        model: a name, a checkpoint, or a folder with the two ONNX files.
        output: the engine folder to write.
        precision: "fp32", "fp16", "int8", or "best", see `gcpose_trt.engine.choosing`.
        size: (H, W) of the input, None for the model's own default.
        max_people: most people, None for the model's own.
        gcm: "plugin" or "native".
        roi_align: "plugin" or "native".
        target: "tensorrt" or "tensorrt-rtx".
        workspace: MiB of scratch memory that a layer may use, None for TensorRT's default, the whole GPU.
        low_memory: trade speed of the engine and of the build for memory.
        timing_cache: a file, "off", or None for one of the user's cache folder.
        reproducible: as much determinism as this TensorRT offers.
        plugins: the plugin library, None for the one that `gcpose-trt plugins build` made.
        batch: frames in a call of the detector.
        verbose: show what TensorRT says.
        calibration: of INT8, None for the one that comes with the model.
        calibration_method: which of its ranges to take, None for the default.
        exclude: layers or blocks to leave out of INT8, as `fnmatch` patterns.
        max_ap_drop: points (0 to 100) of keypoint AP that the engine may lose against FP32; None asks for no proof.
        images: folder of annotated images to measure that on; "best" takes them without a limit too.
        annotations: COCO person keypoints of these images.
        max_images: how many of them, the first ones; None for all.
    """

    model: str
    output: Path
    precision: str = "fp16"
    size: tuple[int, int] | None = None
    max_people: int | None = None
    gcm: str = "plugin"
    roi_align: str = "plugin"
    target: str = "tensorrt"
    workspace: int | None = None
    low_memory: bool = False
    timing_cache: str | None = None
    reproducible: bool = False
    plugins: Path | None = None
    batch: int = 1
    verbose: bool = False
    calibration: Path | None = None
    calibration_method: str | None = None
    exclude: tuple[str, ...] = ()
    max_ap_drop: float | None = None
    images: Path | None = None
    annotations: Path | None = None
    max_images: int | None = None

    def check(self) -> None:
        """Raise GcposeError for a value that no model could be built with."""
        for name, value, choices in (
            ("precision", self.precision, (*PRECISIONS, BEST)),
            ("target", self.target, TARGETS),
            ("gcm", self.gcm, CHOICES),
            ("roi-align", self.roi_align, CHOICES),
        ):
            if value not in choices:
                raise GcposeError(f"--{name} is one of {', '.join(choices)}, not {value}; choose one of them")
        if self.size is not None:
            parse_size(self.size)
        for name, number, most in (
            ("max-people", self.max_people, LARGEST_CROWD),
            ("batch", self.batch, LARGEST_BATCH),
        ):
            if number is not None and not 1 <= number <= most:
                raise GcposeError(f"--{name} is from 1 to {most}, not {number}; choose a number in between")
        if self.workspace is not None and self.workspace < 1:
            raise GcposeError(f"--workspace is in MiB and at least 1, not {self.workspace}; choose 1024, say")
        if self.precision == BEST and self.target != "tensorrt":
            raise GcposeError(
                "--precision best is measured on the GPU that will run the engine, and engines of TensorRT-RTX are not "
                "run here; choose --precision fp16, or int8 with --max-ap-drop 0.5"
            )
        self._check_int8()
        self._check_gate()

    def _check_int8(self) -> None:
        given = {
            "--calibration": self.calibration,
            "--calibration-method": self.calibration_method,
            "--exclude": self.exclude,
        }
        names = [name for name, value in given.items() if value]
        if names and self.precision not in ("int8", BEST):
            raise GcposeError(f"{names[0]} goes with --precision int8, not {self.precision}; leave it out, or add that")

    def _check_gate(self) -> None:
        if self.max_ap_drop is None and not (self.precision == BEST and self.images and self.annotations):
            if self.images or self.annotations or self.max_images:
                raise GcposeError(
                    "--images, --annotations and --max-images are for --max-ap-drop; give --max-ap-drop 0.5, say, or "
                    "leave them out"
                )
            return
        if self.images is None or self.annotations is None:
            missing = "--images DIR" if self.images is None else "--annotations JSON"
            raise GcposeError(f"--max-ap-drop is measured on annotated images; add {missing}")
        if self.precision == "fp32":
            raise GcposeError("--max-ap-drop compares with FP32, which --precision fp32 is; leave it out")
        if self.max_ap_drop is not None and not 0 <= self.max_ap_drop <= 100:
            raise GcposeError(f"--max-ap-drop is in points from 0 to 100, not {self.max_ap_drop:g}; choose 0.5, say")

    @property
    def command(self) -> str:
        """The command that builds the same again, from any folder."""
        words = ["gcpose-trt", "build-engine", _absolute(self.model), "--precision", self.precision]
        if self.size is not None:
            words += ["--size", f"{self.size[0]}x{self.size[1]}"]
        if self.max_people is not None:
            words += ["--max-people", str(self.max_people)]
        for option, value, default in (
            ("--gcm", self.gcm, "plugin"),
            ("--roi-align", self.roi_align, "plugin"),
            ("--target", self.target, "tensorrt"),
            ("--batch", self.batch, 1),
            ("--workspace", self.workspace, None),
            ("--calibration-method", self.calibration_method, None),
            ("--max-ap-drop", self.max_ap_drop, None),
            ("--max-images", self.max_images, None),
        ):
            if value != default:
                words += [option, str(value)]
        for pattern in self.exclude:
            words += ["--exclude", pattern]
        if self.timing_cache is not None:
            off = self.timing_cache == "off"
            words += ["--timing-cache", "off" if off else str(Path(self.timing_cache).absolute())]
        for option, path in (
            ("--calibration", self.calibration),
            ("--images", self.images),
            ("--annotations", self.annotations),
            ("--plugins", self.plugins),
        ):
            if path is not None:
                words += [option, str(path.absolute())]
        words += ["--low-memory"] * self.low_memory + ["--reproducible"] * self.reproducible
        return shlex.join([*words, "--output", str(self.output.absolute())])

    def to_dict(self) -> dict[str, Any]:
        """Return values that JSON takes."""
        values = asdict(self)
        return {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> BuildRequest:
        """Reverse `to_dict`."""
        size = values["size"]
        paths = ("output", "plugins", "calibration", "images", "annotations")
        return cls(
            **{
                **values,
                **{name: None if values[name] is None else Path(values[name]) for name in paths},
                "exclude": tuple(values["exclude"]),
                "size": None if size is None else (int(size[0]), int(size[1])),
            }
        )


def choose_size(size: tuple[int, int] | None, info: ModelInfo) -> tuple[int, int]:
    """Return the input size of an engine.

    Args:
        size: what the user asked for, or None.
        info: the model; where it says nothing of the short side, a square lets frames of both orientations in.

    Raises:
        GcposeError: the model was exported for one size only, another one.
    """
    if info.size is not None:
        if size is not None and size != info.size:
            raise GcposeError(
                f"the model was exported for {info.size[0]}x{info.size[1]} only, not {size[0]}x{size[1]}; "
                "leave --size out, or export it again with --size dynamic"
            )
        return info.size
    if size is None:
        size = _round_up(info.long if info.short is None else info.short), _round_up(info.long)
    parse_size(size)
    return size


def choose_people(count: int | None, info: ModelInfo) -> int:
    """Return the number of people of an engine.

    Raises:
        GcposeError: more than the model returns.
    """
    if count is not None and count > info.max_people:
        raise GcposeError(
            f"the model returns at most {info.max_people} people, not {count}; choose fewer, or export it again with "
            f"--max-people {count}"
        )
    return min(info.max_people, LARGEST_CROWD) if count is None else count


def _round_up(side: int) -> int:
    return -(-side // DIVISOR) * DIVISOR


def _absolute(model: str) -> str:
    """A name stays a name; a path must mean the same from another folder."""
    path = Path(model)
    return str(path.absolute()) if path.exists() and model != path.name else model
