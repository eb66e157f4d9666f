"""How far is each part of a network from what this machine can do at best?

Counts operations and bytes of every layer, measures the machine's ceilings and the time of every layer, all with ONNX
Runtime on the CPU, and writes roofline.json, roofline.svg and roofline.html.

Exit code 0: measured; 2: bad input.
"""

from gcpose_trt.benchmark.roofline.command import add_arguments, run

__all__ = ["add_arguments", "run"]
