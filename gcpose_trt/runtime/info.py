"""What a model says of itself: the record beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gcpose_trt.errors import GcposeError
from gcpose_trt.runtime.preprocess import DIVISOR, SizeRule

FORMAT = 1


@dataclass(frozen=True)
class ModelInfo:
    """A model's own defaults.

    Attributes:
        model: name of the architecture, "mobile".
        weights_sha256: digest of the weights that both graphs were made from.
        size: (H, W) of the only input that it takes, or None where any multiple of `divisor` will do.
        short: default length of the frame's short side, None to go by `long` alone.
        long: default largest length of the frame's long side.
        divisor: what the input's sides must be multiples of.
        max_people: most people that it returns.
        min_score: score from which a box is worth showing.
        keypoint_threshold: confidence from which a joint is worth drawing.
        rank: how evaluation orders people, "box" or "box*keypoints".
    """

    model: str
    weights_sha256: str
    size: tuple[int, int] | None
    short: int | None
    long: int
    divisor: int = DIVISOR
    max_people: int = 100
    min_score: float = 0.3
    keypoint_threshold: float = 0.05
    rank: str = "box"

    @classmethod
    def from_dict(cls, record: dict[str, Any], origin: str) -> ModelInfo:
        """Read the record of a model; keys that this version does not know are left alone.

        Args:
            record: the JSON object written at export, or what a PyTorch model's `metadata()` returns.
            origin: where it comes from, for error messages.

        Raises:
            GcposeError: another format, or fields missing or of the wrong type.
        """
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            found = record.get("format") if isinstance(record, dict) else record
            raise GcposeError(
                f"{origin} has model format {found!r}, this version reads {FORMAT}; export the model again"
            )
        try:
            size, resize = record["size"], record["resize"]
            return cls(
                model=str(record["model"]),
                weights_sha256=str(record["weights_sha256"]),
                size=None if size is None else (int(size[0]), int(size[1])),
                short=None if resize["short"] is None else int(resize["short"]),
                long=int(resize["long"]),
                divisor=int(record["divisor"]),
                max_people=int(record["max_people"]),
                min_score=float(record["min_score"]),
                keypoint_threshold=float(record["keypoint_threshold"]),
                rank=str(record["rank"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise GcposeError(f"{origin} has an incomplete model record ({error!r}); export the model again") from error

    @property
    def size_rule(self) -> SizeRule:
        """The letterbox rule that the model was made for."""
        return SizeRule(exact=self.size, short=self.short, long=self.long, divisor=self.divisor)
