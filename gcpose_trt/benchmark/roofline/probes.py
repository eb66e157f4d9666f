"""Small graphs that ask one thing of the machine: to multiply, to stream, or to call a node that does nothing.

They run in ONNX Runtime, with the settings of the network's own sessions: what another library could reach is not what
this network can be held to.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from gcpose_trt.benchmark.roofline.sessions import open_session, serialise

CALLS = 256  # nodes of the graph that shows what calling one costs
_STREAMED = 32 << 20  # bytes a run streams at least, so that starting a run does not count
_ROW = 1024


@dataclass(frozen=True)
class Probe:
    """A graph to be timed.

    Attributes:
        name: what it is, in words.
        amount: of operations, bytes or calls in a run.
        run: runs it once.
    """

    name: str
    amount: float
    run: Callable[[], None]


@dataclass(frozen=True)
class Samples:
    """What a probe reached.

    Attributes:
        name: of the probe.
        rates: amount a second, one entry a run.
    """

    name: str
    rates: tuple[float, ...]

    @property
    def best(self) -> float:
        """The highest rate."""
        return max(self.rates)

    @property
    def median(self) -> float:
        """The middle rate."""
        return float(np.median(self.rates))


def sample(probe: Probe, seconds: float, least: int = 5) -> Samples:
    """Run a probe for a while.

    Args:
        probe: what to run.
        seconds: about how long; the first run does not count.
        least: runs that are made in any case.
    """
    probe.run()
    rates: list[float] = []
    end = time.perf_counter() + seconds
    while len(rates) < least or time.perf_counter() < end:
        start = time.perf_counter()
        probe.run()
        rates.append(probe.amount / (time.perf_counter() - start))
    return Samples(probe.name, tuple(rates))


def multiplying(threads: int, integer: bool, side: int = 512, channels: int = 256, cells: int = 28) -> list[Probe]:
    """Return products large enough that nothing but multiplying counts.

    They take a few milliseconds, no more: on a machine that does other work too, a short run may go undisturbed.

    Args:
        threads: of one run; 0 is one a physical core.
        integer: unsigned 8-bit activations by signed 8-bit weights, as our INT8 models have them; else float32.
        side: of the matrices.
        channels, cells: of the convolutions, in and out, and along a side.
    """
    makers = (_integer_matrix, _integer_convolution) if integer else (_matrix, _convolution)
    matrix, convolution = makers
    return [
        matrix(threads, side),
        convolution(threads, channels, cells, 3),
        convolution(threads, 2 * channels, cells, 1),
    ]


def streaming(threads: int, total: int) -> list[Probe]:
    """Return nodes that do next to nothing with much memory.

    Args:
        threads: of one run.
        total: bytes of all arrays of a node together.
    """
    return [_adding(threads, total), _clipping(threads, total), _summing(threads, total)]


def calling(threads: int) -> Probe:
    """Return `CALLS` additions of one number, one after the other."""
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Add", [f"x{place}", "one"], [f"x{place + 1}"]) for place in range(CALLS)]
    single = helper.make_tensor_value_info("x0", TensorProto.FLOAT, [1])
    last = helper.make_tensor_value_info(f"x{CALLS}", TensorProto.FLOAT, [1])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    # Not optimised: constants would be folded, and there would be nothing to call.
    session = open_session(serialise(nodes, [single], [last], [one]), threads, optimise=False)
    zero = np.zeros(1, np.float32)
    return Probe("addition of one number", CALLS, _bound(session, {"x0": zero}, {f"x{CALLS}": zero.copy()}))


def _bound(session: ort.InferenceSession, feeds: dict[str, NDArray], outputs: dict[str, NDArray]) -> Callable[[], None]:
    """Return what runs a session on arrays that are there already: nothing is copied in or out."""
    binding = session.io_binding()
    for name, array in feeds.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
    for name, array in outputs.items():
        binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(array))
    return lambda: session.run_with_iobinding(binding)


def _matrix(threads: int, side: int) -> Probe:
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.random((side, side), np.float32), "w")
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [side, side]) for name in "ac"]
    graph = serialise([helper.make_node("MatMul", ["a", "w"], ["c"])], info[:1], info[1:], [weight])
    run = _bound(
        open_session(graph, threads),
        {"a": random.random((side, side), np.float32)},
        {"c": np.zeros((side, side), np.float32)},
    )
    return Probe(f"MatMul {side}x{side}x{side}", 2 * side**3, run)


def _convolution(threads: int, channels: int, cells: int, window: int) -> Probe:
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.random((channels, channels, window, window), np.float32), "w")
    shape = (1, channels, cells, cells)
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "ac"]
    node = helper.make_node("Conv", ["a", "w"], ["c"], pads=[window // 2] * 4)
    run = _bound(
        open_session(serialise([node], info[:1], info[1:], [weight]), threads),
        {"a": random.random(shape, np.float32)},
        {"c": np.zeros(shape, np.float32)},
    )
    return Probe(_named("Conv", channels, cells, window), _taps(channels, cells, window), run)


def _integer_matrix(threads: int, side: int) -> Probe:
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weight = numpy_helper.from_array(random.integers(-127, 128, (side, side), np.int8), "w")
    inputs = [helper.make_tensor_value_info("a", TensorProto.UINT8, [side, side])]
    outputs = [helper.make_tensor_value_info("c", TensorProto.INT32, [side, side])]
    graph = serialise([helper.make_node("MatMulInteger", ["a", "w"], ["c"])], inputs, outputs, [weight])
    run = _bound(
        open_session(graph, threads),
        {"a": random.integers(0, 256, (side, side), np.uint8)},
        {"c": np.zeros((side, side), np.int32)},
    )
    return Probe(f"MatMulInteger {side}x{side}x{side}", 2 * side**3, run)


def _integer_convolution(threads: int, channels: int, cells: int, window: int) -> Probe:
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights = {
        "w": random.integers(-127, 128, (channels, channels, window, window), np.int8),
        "scale": np.float32(0.02),
        "zero": np.uint8(128),
        "weight_scale": np.full(channels, 0.01, np.float32),
        "weight_zero": np.zeros(channels, np.int8),
        "out_scale": np.float32(20.0),
    }
    shape = (1, channels, cells, cells)
    info = [helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in "ac"]
    inputs = ["a", "scale", "zero", "w", "weight_scale", "weight_zero", "out_scale", "zero"]
    node = helper.make_node("QLinearConv", inputs, ["c"], pads=[window // 2] * 4)
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()]
    run = _bound(
        open_session(serialise([node], info[:1], info[1:], tensors), threads),
        {"a": random.integers(0, 256, shape, np.uint8)},
        {"c": np.zeros(shape, np.uint8)},
    )
    return Probe(_named("QLinearConv", channels, cells, window), _taps(channels, cells, window), run)


def _named(op: str, channels: int, cells: int, window: int) -> str:
    return f"{op} {window}x{window}, {channels} channels, {cells}x{cells}"


def _taps(channels: int, cells: int, window: int) -> int:
    return 2 * channels**2 * window**2 * cells**2


def _adding(threads: int, total: int) -> Probe:
    """c = a + b, again and again into the same place."""
    length = max(total // 12, 1)
    return _repeated("Add", threads, (length,), 12 * length)


def _clipping(threads: int, total: int) -> Probe:
    length = max(total // 8, 1)
    return _repeated("Relu", threads, (length,), 8 * length)


def _repeated(op: str, threads: int, shape: tuple[int, ...], moved: int) -> Probe:
    """Read all inputs and write the output often enough in one run that starting the run does not count."""
    from onnx import TensorProto, helper

    times = min(max(_STREAMED // moved, 1), CALLS)
    names = ["a", "b"][: 2 if op == "Add" else 1]
    # Each result has the place of an output of its own, so that ONNX Runtime cannot work in place; all share one array.
    nodes = [helper.make_node(op, names, [f"c{place}"]) for place in range(times)]
    info = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in [*names, *_outputs(times)]}
    graph = serialise(nodes, [info[name] for name in names], [info[name] for name in _outputs(times)])
    session = open_session(graph, threads, optimise=False)
    binding = session.io_binding()
    for name in names:
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(np.ones(shape, np.float32)))
    shared = ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
    for name in _outputs(times):
        binding.bind_ortvalue_output(name, shared)
    return Probe(op, times * moved, lambda: session.run_with_iobinding(binding))


def _outputs(times: int) -> list[str]:
    return [f"c{place}" for place in range(times)]


def _summing(threads: int, total: int) -> Probe:
    """Sums of rows: all that is read, next to nothing that is written."""
    from onnx import TensorProto, helper, numpy_helper

    rows = max(total // (4 * _ROW), 1)
    moved = 4 * rows * _ROW + 4 * rows
    times = min(max(_STREAMED // moved, 1), CALLS)
    nodes = [helper.make_node("ReduceSum", ["a", "axes"], [name], keepdims=0) for name in _outputs(times)]
    inputs = [helper.make_tensor_value_info("a", TensorProto.FLOAT, [rows, _ROW])]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [rows]) for name in _outputs(times)]
    graph = serialise(nodes, inputs, outputs, [numpy_helper.from_array(np.array([1], np.int64), "axes")])
    sums = np.zeros(rows, np.float32)
    run = _bound(
        open_session(graph, threads, optimise=False),
        {"a": np.ones((rows, _ROW), np.float32)},
        dict.fromkeys(_outputs(times), sums),
    )
    return Probe("ReduceSum", times * moved, run)
