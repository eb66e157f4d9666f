"""The one result type that runtime, video, evaluation and sinks hand to each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.skeleton import COCO17

KEYPOINTS = len(COCO17)
PIXEL_DECIMALS = 2
SCORE_DECIMALS = 4


def _array(name: str, value: Any, dtype: Any, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Return `value` as an array of `dtype`; None in `shape` stands for any length."""
    try:
        array = np.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise GcposeError(f"{name} are not numbers in a regular array ({error}); pass one row a person") from error
    if array.size == 0 and shape[0] in (None, 0):
        array = array.reshape([length or 0 for length in shape])
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = tuple("N" if length is None else length for length in shape)
        raise GcposeError(f"{name} have shape {array.shape}, not {wanted}; pass one row a person")
    return array


@dataclass(frozen=True, eq=False)
class PoseFrame:
    """The people found in one frame, best first.

    Coordinates are continuous pixels of the frame: (0, 0) is the top left corner of its top left pixel, whose centre is
    at (0.5, 0.5). COCO's keypoint files count from that centre: subtract 0.5 from x and y there.

    Attributes:
        boxes: (N, 4) float32, x1, y1, x2, y2, inside the frame.
        scores: (N,) float32, confidence 0..1 that the box holds a person, descending.
        keypoints: (N, 17, 3) float32, x, y, confidence 0..1, in the order of `COCO17.names`; may lie outside the frame.
        ids: (N,) int64, from 1, one number a person through a clip, never given to another; -1 for a person who is not
            tracked (yet). None where nobody tracked them.

    Raises:
        GcposeError: shapes do not fit each other.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    keypoints: NDArray[np.float32]
    ids: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        boxes = _array("boxes", self.boxes, np.float32, (None, 4))
        people = len(boxes)
        object.__setattr__(self, "boxes", boxes)
        object.__setattr__(self, "scores", _array("scores", self.scores, np.float32, (people,)))
        keypoints = _array("keypoints", self.keypoints, np.float32, (people, KEYPOINTS, 3))
        object.__setattr__(self, "keypoints", keypoints)
        if self.ids is not None:
            object.__setattr__(self, "ids", _array("ids", self.ids, np.int64, (people,)))

    @classmethod
    def empty(cls) -> PoseFrame:
        """Return a frame without people."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, KEYPOINTS, 3), np.float32))

    def __len__(self) -> int:
        return len(self.boxes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PoseFrame):
            return NotImplemented
        same_ids = (
            self.ids is other.ids
            if self.ids is None or other.ids is None
            else bool(np.array_equal(self.ids, other.ids))
        )
        return same_ids and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in ("boxes", "scores", "keypoints")
        )

    __hash__ = None  # type: ignore[assignment]  # arrays inside: equal by value, so not hashable

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists for JSON: {"people": [{"box", "score", "keypoints", "id"?}]}.

        Pixels are rounded to 0.01 and scores to 0.0001, which no model's precision reaches. People not tracked
        have no id.
        """
        people = []
        for row in range(len(self)):
            keypoints = self.keypoints[row]
            person: dict[str, Any] = {
                "box": _rounded(self.boxes[row], PIXEL_DECIMALS),
                "score": _rounded(self.scores[row : row + 1], SCORE_DECIMALS)[0],
                "keypoints": [
                    [*_rounded(joint[:2], PIXEL_DECIMALS), *_rounded(joint[2:], SCORE_DECIMALS)] for joint in keypoints
                ],
            }
            if self.ids is not None and self.ids[row] >= 0:
                person["id"] = int(self.ids[row])
            people.append(person)
        return {"people": people}

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> PoseFrame:
        """Rebuild a frame from `to_dict`'s record; other keys of the record are left alone.

        Where some have an id, the others' is -1; where nobody has one, `ids` is None.

        Raises:
            GcposeError: the record is not one of ours.
        """
        try:
            people = list(record["people"])
            ids = [person.get("id", -1) for person in people] if any("id" in person for person in people) else None
            boxes = [person["box"] for person in people]
            scores = [person["score"] for person in people]
            keypoints = [person["keypoints"] for person in people]
        except (KeyError, TypeError, AttributeError) as error:
            raise GcposeError(f"not a pose record ({error!r}); pass a line that gcpose-trt wrote") from error
        return cls(boxes, scores, keypoints, ids)  # type: ignore[arg-type]  # __post_init__ makes arrays of them


def _rounded(values: NDArray[np.float32], decimals: int) -> list[float]:
    # In float64: float32 would give 0.10000000149011612 back.
    return [round(value, decimals) for value in values.astype(np.float64).tolist()]
