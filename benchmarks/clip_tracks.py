"""Real clips: poses by the shipped network, kept in a temporary folder, and people marked by eye in some frames."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from gcpose_trt import PoseEstimator
from gcpose_trt.errors import GcposeError
from gcpose_trt.files import atomic_write
from gcpose_trt.pose import PoseFrame

Track = list[tuple[float, PoseFrame]]
Point = tuple[int, int]

# Where a person's chest is, by eye, in parts of a thousand of the frame's width: {person: {frame: (x, y)}}. Frames in
# which the network finds nobody there (the man in mid-jump) are left out, as are the far crowd of street.avi.
_GYM_Y = {
    "patient": (725, 706, 699, 687, 706, 718, 737, 699, 679, 679),
    "therapist": (954, 954, 954, 954, 878) + (870,) * 5,
}
MARKS: dict[str, dict[str, dict[int, Point]]] = {
    "two_people_gym.mp4": {
        "patient": {
            10 * row: (x, _GYM_Y["patient"][row])
            for row, x in enumerate((523, 527, 538, 527, 500, 515, 527, 519, 489, 462))
        },
        "therapist": {
            10 * row: (x, _GYM_Y["therapist"][row])
            for row, x in enumerate((172, 183, 187, 183, 195, 153, 137, 118, 134, 118))
        },
        "man behind": {10 * row: (x, 625) for row, x in enumerate((744, 744, 737, 737, 740, 744, 740, 740, 740, 729))},
    },
    "two_people_indoor.mp4": {
        "black": {
            8 * row: (x, y)
            for row, (x, y) in enumerate(
                zip(
                    (536, 536, 534, 536, 536, 517, 515, 521, 513),
                    (247, 247, 247, 251, 251, 251, 245, 255, 266),
                    strict=True,
                )
            )
        },
        "grey": {
            8 * row: (x, y)
            for row, (x, y) in enumerate(
                zip(
                    (391, 391, 389, 398, 422, 441, 457, 449, 451),
                    (247, 247, 247, 251, 251, 262, 255, 297, 297),
                    strict=True,
                )
            )
        },
    },
    "walk_two_people.mp4": {
        "man": {
            **{0: (369, 154), 20: (359, 130), 40: (369, 142), 60: (354, 123), 80: (357, 146), 100: (364, 146)},
            **{120: (397, 151), 200: (654, 451), 220: (834, 392)},
        },
        "woman": {
            **{60: (791, 383), 80: (690, 383), 100: (579, 383), 120: (472, 387), 140: (352, 387), 160: (243, 387)},
            **{180: (113, 380)},
        },
    },
    "street.avi": {
        "grey, white bag": {
            **{0: (303, 124), 25: (396, 196), 50: (406, 196), 75: (412, 210), 100: (427, 200), 125: (466, 220)},
            **{150: (418, 194), 175: (385, 183), 200: (369, 163)},
        },
        "denim jacket": {
            **{0: (501, 103), 25: (577, 206), 50: (579, 206), 75: (560, 220), 100: (583, 220), 125: (585, 262)},
            **{150: (536, 214), 175: (571, 235), 200: (740, 225)},
        },
        "black dress": {
            **{0: (216, 124), 25: (264, 185), 50: (225, 196), 75: (185, 210), 100: (134, 210), 125: (122, 272)},
        },
    },
}


def poses_of(clip: Path, estimator: PoseEstimator, frames: int, cache: Path | None) -> tuple[Track, int]:
    """Return the time and the people of the first `frames` frames of a clip, and the frames' width in pixels.

    They are estimated once for each clip and weights and then read from `cache`, a folder.
    """
    folder = cache or Path(tempfile.gettempdir()) / "gcpose-tracking-poses"
    key = f"{clip.stat().st_size}-{estimator.info.weights_sha256}-{estimator.min_score}-{frames}"
    kept = folder / f"{clip.stem}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    if not kept.is_file():
        _estimate(clip, estimator, frames, kept)
    with np.load(kept) as data:
        starts = np.concatenate([[0], np.cumsum(data["counts"])])
        track = [
            (float(time_s), PoseFrame(*(data[name][start:end] for name in ("boxes", "scores", "keypoints"))))
            for time_s, start, end in zip(data["times"], starts[:-1], starts[1:], strict=True)
        ]
        return track, int(data["width"])


def _estimate(clip: Path, estimator: PoseEstimator, frames: int, kept: Path) -> None:
    times, found, width = [], [], 0
    try:
        with av.open(str(clip)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index == frames:
                    break
                times.append(index if frame.time is None else frame.time)
                found.append(estimator(frame.to_ndarray(format="bgr24")))
                width = frame.width
    except (OSError, av.error.FFmpegError) as error:
        raise GcposeError(f"cannot read {clip} ({error}); give the folder of clips with --clips") from error
    if not found:
        raise GcposeError(f"{clip} has no frames; give the folder of clips with --clips")
    with atomic_write(kept) as stream:
        np.savez(
            stream,
            times=np.array(times),
            counts=np.array([len(poses) for poses in found]),
            width=np.array(width),
            **{name: np.concatenate([getattr(p, name) for p in found]) for name in ("boxes", "scores", "keypoints")},
        )


def ids_at(marks: dict[int, Point], tracked: list[PoseFrame], width: int) -> list[int | None]:
    """Return the id of the person marked in each frame: of the boxes around the mark the one centred nearest to it.

    None where no box is around it.
    """
    return [
        _id_at(tracked[frame], np.array(point) * width / 1000) for frame, point in marks.items() if frame < len(tracked)
    ]


def _id_at(poses: PoseFrame, point: NDArray[np.float64]) -> int | None:
    inside = np.flatnonzero(((poses.boxes[:, :2] <= point) & (poses.boxes[:, 2:] >= point)).all(axis=1))
    if not len(inside) or poses.ids is None:
        return None
    centres = (poses.boxes[inside, :2] + poses.boxes[inside, 2:]) / 2
    return int(poses.ids[inside[np.linalg.norm(centres - point, axis=1).argmin()]])
