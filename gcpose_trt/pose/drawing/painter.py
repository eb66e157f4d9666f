"""What a live view shows, frame after frame: people, their numbers and ways, the system's state, hidden heads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gcpose_trt.errors import GcposeError
from gcpose_trt.pose.drawing.hud import draw_hud
from gcpose_trt.pose.drawing.labels import draw_box, draw_tag, track_colour
from gcpose_trt.pose.drawing.pictures import bgr_copy, certainty
from gcpose_trt.pose.drawing.privacy import HeadBlur
from gcpose_trt.pose.drawing.skeletons import draw_skeletons
from gcpose_trt.pose.drawing.strokes import Image
from gcpose_trt.pose.drawing.trails import Trails
from gcpose_trt.pose.skeleton import COCO17
from gcpose_trt.pose.types import PoseFrame


@dataclass(frozen=True)
class PaintOptions:
    """What is drawn.

    Attributes:
        skeletons: limbs and joints.
        boxes: boxes, and scores unless `scores` is off.
        scores: scores beside the boxes.
        ids: numbers of tracked people; boxes take their colours.
        trails: where tracked people went.
        trail_frames: how many frames a trail reaches back.
        trail_joints: names of joints that get a trail besides the body's centre, such as "left_wrist".
        hud: the panel of text.
        blur_heads: heads are made unrecognisable.
        keypoint_threshold: joints below this confidence, 0..1, are not drawn and do not say where a head is.
        certain: confidence from which a joint is fully opaque; None takes six times the threshold, 1 at most.

    Raises:
        GcposeError: an unknown joint, or a number out of range.
    """

    skeletons: bool = True
    boxes: bool = True
    scores: bool = True
    ids: bool = True
    trails: bool = True
    trail_frames: int = 32
    trail_joints: tuple[str, ...] = ()
    hud: bool = True
    blur_heads: bool = False
    keypoint_threshold: float = 0.05
    certain: float | None = None

    def __post_init__(self) -> None:
        for name in self.trail_joints:
            if name not in COCO17.names:
                raise GcposeError(f"no joint is called {name!r}; choose from {', '.join(COCO17.names)}")
        if not 2 <= self.trail_frames <= 1000:
            raise GcposeError(f"trail_frames is {self.trail_frames}; choose 2 to 1000")
        for name in ("keypoint_threshold", "certain"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise GcposeError(f"{name} is {value}; choose a number from 0 to 1")


class Painter:
    """Draws the frames of one stream, one after the other, from one thread at a time.

    Attributes:
        options: what is drawn; may be replaced at any time, also by another thread, and counts from the next frame.
    """

    def __init__(self, options: PaintOptions | None = None) -> None:
        self.options = PaintOptions() if options is None else options
        self._heads = HeadBlur()
        self._trails = _make_trails(self.options)
        self._shape: tuple[int, ...] = ()

    def paint(self, image: Image, poses: PoseFrame, hud_lines: Sequence[str] = ()) -> Image:
        """Return a copy of `image` with everything on it.

        Args:
            image: (H, W, 3) BGR uint8, of any size; left alone.
            poses: the people, in pixels of `image`; ids of -1, or none, are people that are not tracked yet.
            hud_lines: text of the panel; what stands before a tab is a name, and values after it are aligned.

        Returns:
            (H, W, 3) BGR uint8.
        """
        options = self.options  # once: another thread may replace it meanwhile
        canvas = bgr_copy(image)
        if canvas.shape != self._shape:
            self.reset()
            self._shape = canvas.shape
        if options.blur_heads:
            self._heads.apply(canvas, poses, options.keypoint_threshold)
        else:
            self._heads.reset()
        self._paint_trails(canvas, poses, options)
        self._paint_people(canvas, poses, options)
        if options.hud:
            draw_hud(canvas, hud_lines)
        return canvas

    def reset(self) -> None:
        """Forget earlier frames, as before another stream."""
        self._heads.reset()
        self._trails = _make_trails(self.options)

    def _paint_trails(self, canvas: Image, poses: PoseFrame, options: PaintOptions) -> None:
        if (self._trails.frames, self._trails.joints, self._trails.threshold) != _trail_key(options):
            self._trails = _make_trails(options)
        if options.trails:
            self._trails.add(poses)
            self._trails.draw(canvas)
        elif len(self._trails):
            self._trails = _make_trails(options)

    def _paint_people(self, canvas: Image, poses: PoseFrame, options: PaintOptions) -> None:
        certain = certainty(options.keypoint_threshold, options.certain)
        numbers = (
            [None] * len(poses)
            if poses.ids is None
            else [number if number >= 0 else None for number in poses.ids.tolist()]
        )
        # Last the best, so that they lie on top; tags above all skeletons, so that they can be read.
        rows = range(len(poses) - 1, -1, -1)
        for row in rows:
            if options.boxes:
                draw_box(canvas, poses.boxes[row], track_colour(numbers[row] if options.ids else None))
        if options.skeletons:
            draw_skeletons(canvas, poses, threshold=options.keypoint_threshold, certain=certain)
        for row in rows:
            score = float(poses.scores[row]) if options.boxes and options.scores else None
            draw_tag(canvas, poses.boxes[row], score, numbers[row] if options.ids else None)


def _trail_key(options: PaintOptions) -> tuple[int, tuple[int, ...], float]:
    joints = tuple(COCO17.names.index(name) for name in options.trail_joints)
    return options.trail_frames, joints, options.keypoint_threshold


def _make_trails(options: PaintOptions) -> Trails:
    return Trails(*_trail_key(options))
