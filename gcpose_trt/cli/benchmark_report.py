"""Write report.md, report.html and the sample frames again from the report.json of an earlier gcpose-trt benchmark.

Nothing is measured. Sample frames need the clip: the one that comes with the package is found, others are given with
--clip; without it skeletons are drawn without the frame.

Exit code 0: written; 2: bad input, or matplotlib is missing (report.md is written all the same).
"""

from gcpose_trt.benchmark.reporting.command import add_arguments, run

__all__ = ["add_arguments", "run"]
