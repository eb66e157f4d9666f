"""What this machine can do at best, asked of the library that runs the network.

Operations: the best of a few large products, in float32 and, for an INT8 model, in its integer kernels.

Bytes: what a layer reads was often written by the one before and still lies in a cache, so the speed of memory alone
would be no floor: layers would beat it. Streams over arrays of many sizes give the bandwidth by size instead. A layer
is held to the best rate that was seen at its size or any larger one; only what does not fit the caches is held to the
speed of memory.

Calls: what ONNX Runtime needs for a node with nothing to do. It is no part of a floor, but says why hundreds of small
nodes stand far above theirs.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcpose_trt.benchmark.roofline import probes
from gcpose_trt.benchmark.roofline.counting import Work
from gcpose_trt.benchmark.roofline.probes import Probe, Samples

SMALLEST_STREAM = 1 << 18
_LARGEST_STREAM = 1 << 30
_UNKNOWN_CACHE = 64 << 20  # taken for the last-level cache where the system does not tell its size
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@dataclass(frozen=True)
class Ceilings:
    """Rates, all per second.

    Attributes:
        products: of operations in float32.
        integer_products: of operations in INT8; empty if the network has none.
        streams: of bytes, by the bytes of all arrays together, ascending.
        calls: of nodes.
        cache: bytes of the last-level cache, None if unknown.
    """

    products: Sequence[Samples]
    integer_products: Sequence[Samples]
    streams: Mapping[int, Sequence[Samples]]
    calls: Samples
    cache: int | None

    def operations(self, integer: bool = False) -> Samples:
        """Return the fastest product."""
        return max(self.integer_products if integer else self.products, key=lambda samples: samples.best)

    @property
    def memory(self) -> Samples:
        """The fastest stream over arrays that no cache holds."""
        beyond = beyond_cache(self.cache)
        sizes = [size for size in self.streams if size >= beyond] or [max(self.streams)]
        return max((samples for size in sizes for samples in self.streams[size]), key=lambda samples: samples.best)

    @property
    def fastest_stream(self) -> Samples:
        """The fastest stream of all: out of a cache."""
        return max((samples for group in self.streams.values() for samples in group), key=lambda samples: samples.best)

    def bandwidth(self, size: int) -> float:
        """Return the best rate of bytes that a layer of `size` bytes is held to."""
        sizes = sorted(self.streams)
        first = max(bisect.bisect_right(sizes, size) - 1, 0)
        return max(samples.best for known in sizes[first:] for samples in self.streams[known])

    def times(self, work: Work) -> tuple[float, float]:
        """Return the least milliseconds for a node's operations and for its bytes."""
        operations = work.operations / self.operations(work.integer).best if work.operations else 0.0
        return 1e3 * operations, 1e3 * work.bytes / self.bandwidth(work.bytes)


def visit(threads: int, integer: bool, cache: int | None, seconds: float) -> Ceilings:
    """Measure the machine once.

    Args:
        threads: of one run; 0 is one a physical core.
        integer: whether the network has products of integers.
        cache: bytes of the last-level cache, see `last_level_cache`.
        seconds: for each probe, about; four times that for each product.
    """

    def take(made: Iterable[Probe], times: int = 1) -> list[Samples]:
        return [probes.sample(probe, times * seconds) for probe in made]

    # Most floors hang on the products, and few runs of them fit in a moment without other work.
    return Ceilings(
        take(probes.multiplying(threads, integer=False), 4),
        take(probes.multiplying(threads, integer=True), 4) if integer else [],
        {size: take(probes.streaming(threads, size)) for size in sizes(cache)},
        probes.sample(probes.calling(threads), seconds),
        cache,
    )


def join(visits: Sequence[Ceilings]) -> Ceilings:
    """Put the samples of several visits together, before and after something else was measured, say."""

    def merged(pick: Callable[[Ceilings], Sequence[Samples]]) -> list[Samples]:
        return [
            Samples(group[0].name, tuple(rate for samples in group for rate in samples.rates))
            for group in zip(*map(pick, visits), strict=True)
        ]

    first = visits[0]
    return Ceilings(
        merged(lambda one: one.products),
        merged(lambda one: one.integer_products),
        {size: merged(lambda one, size=size: one.streams[size]) for size in first.streams},  # type: ignore[misc]
        merged(lambda one: [one.calls])[0],
        first.cache,
    )


def sizes(cache: int | None) -> list[int]:
    """Return the sizes that are streamed: from what a core's own cache holds to four times the last-level cache."""
    result = [SMALLEST_STREAM]
    while result[-1] < beyond_cache(cache):
        result.append(2 * result[-1])
    return result


def beyond_cache(cache: int | None) -> int:
    """Return how many bytes of arrays lie in memory for the most part."""
    return min(4 * (cache or _UNKNOWN_CACHE), _LARGEST_STREAM)


def last_level_cache(folder: Path = _CACHES) -> int | None:
    """Return the bytes of the largest cache that Linux tells of; None elsewhere."""
    found = []
    for file in folder.glob("index*/size"):
        try:
            match = re.fullmatch(r"(\d+)([KMG]?)", file.read_text().strip())
        except OSError:
            continue
        if match:
            found.append(int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2]])
    return max(found, default=None)


def integer_instructions(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str] | None:
    """Return which instructions for sums of 8-bit products the processor has; None where it is not told.

    Without any of them INT8 runs all the same, out of several older instructions.
    """
    try:
        text = cpuinfo.read_text()
    except OSError:
        return None
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    if flags is None:
        return None
    words = set(flags[1].split())
    return [name for name in ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm") if name in words]
