"""Who is who from frame to frame."""

from gcpose_trt.pose.tracking.tracker import Tracker, TrackerOptions

__all__ = ["Tracker", "TrackerOptions"]
