"""Short clips of the sample."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

SAMPLE = Path(__file__).resolve().parents[3] / "gcpose_trt/assets/sample.mp4"


def make_clip(path: Path, frames: int, skip: int = 0, size: tuple[int, int] = (320, 180)) -> None:
    """Write frames of the sample, small, with a key frame every 8 frames (0.32 s)."""
    with av.open(str(SAMPLE)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=25, options={"g": "8", "bf": "0", "sc_threshold": "0"})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(source.decode(video=0)):
            if number < skip:
                continue
            if number == skip + frames:
                break
            picture = frame.reformat(*size, format="yuv420p")
            copy = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.to_ndarray()), format="yuv420p")
            copy.pts = number - skip
            target.mux(stream.encode(copy))
        target.mux(stream.encode(None))
