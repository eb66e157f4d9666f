"""The domain: poses, the skeleton as data, drawing. Needs numpy and OpenCV only."""

from gcpose_trt.pose.skeleton import COCO17, Skeleton
from gcpose_trt.pose.types import PoseFrame

__all__ = ["COCO17", "PoseFrame", "Skeleton"]
