"""What this machine has for gcpose-trt, what is wrong with it, and the command that puts each thing right.

`examine` looks at everything through a `Probe`, the one door to the system, and returns a `Report`; `text.render` shows
it to people and `Report.to_dict` to programs. A check is a function of a `Situation` in `doctor/checks`.
"""

from __future__ import annotations

from gcpose_trt.doctor.check import Check, Status
from gcpose_trt.doctor.examination import examine
from gcpose_trt.doctor.probe import Probe
from gcpose_trt.doctor.report import Report

__all__ = ["Check", "Probe", "Report", "Status", "examine"]
