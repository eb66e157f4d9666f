"""Drawing poses: still pictures (`draw_poses`), live streams (`Painter`), hidden heads (`blur_heads`)."""

from gcpose_trt.pose.drawing.painter import Painter, PaintOptions
from gcpose_trt.pose.drawing.pictures import draw_poses
from gcpose_trt.pose.drawing.privacy import HeadBlur, blur_heads

__all__ = ["HeadBlur", "PaintOptions", "Painter", "blur_heads", "draw_poses"]
