"""Ceilings and runs with known numbers, so that floors can be worked out by hand."""

from __future__ import annotations

from gcpose_trt.benchmark.roofline.ceilings import Ceilings
from gcpose_trt.benchmark.roofline.probes import Samples

CPU_WITH_VNNI = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_vnni\n"
CPU_WITHOUT = "processor\t: 0\nflags\t\t: fpu sse2 avx2 fma\n"
CPU_OF_ARM = "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n"


def samples(name: str, *rates: float) -> Samples:
    return Samples(name, rates)


def ceilings(integer: bool = True) -> Ceilings:
    """100 operations a second in float32, 400 in integers; 40 bytes a second from small arrays, 10 from large."""
    return Ceilings(
        [samples("MatMul", 50.0, 80.0, 60.0), samples("Conv", 100.0, 40.0, 90.0)],
        [samples("QLinearConv", 400.0, 300.0)] if integer else [],
        {
            100: [samples("Add", 30.0), samples("Relu", 40.0, 35.0)],
            200: [samples("Add", 20.0), samples("Relu", 15.0)],
            400: [samples("Add", 8.0), samples("Relu", 10.0)],
        },
        samples("calls", 1000.0, 500.0),
        100,
    )
