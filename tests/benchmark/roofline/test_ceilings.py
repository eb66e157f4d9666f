"""Ceilings from samples, and that the probes ask what they say they ask."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpose_trt.benchmark.roofline import ceilings, probes
from gcpose_trt.benchmark.roofline.counting import Work
from tests.benchmark.roofline import recorded

SIZES = st.integers(0, 1000)


def test_the_best_product_is_the_ceiling() -> None:
    found = recorded.ceilings()
    assert (found.operations().name, found.operations().best) == ("Conv", 100.0)
    assert found.operations(integer=True).best == 400.0
    assert found.operations().median == 90.0


@pytest.mark.parametrize(("size", "rate"), [(1, 40), (100, 40), (199, 40), (200, 20), (399, 20), (400, 10), (9999, 10)])
def test_a_layer_is_held_to_the_best_stream_of_its_size_or_larger(size: int, rate: float) -> None:
    assert recorded.ceilings().bandwidth(size) == rate


@settings(deadline=None, max_examples=30, derandomize=True)
@given(SIZES, SIZES)
def test_more_bytes_are_never_held_to_a_better_rate(first: int, second: int) -> None:
    found = recorded.ceilings()
    assert found.bandwidth(max(first, second)) <= found.bandwidth(min(first, second))


def test_memory_is_what_lies_beyond_the_cache() -> None:
    found = recorded.ceilings()
    assert found.memory.best == 10.0
    assert found.fastest_stream.best == 40.0


def test_times_of_a_node() -> None:
    found = recorded.ceilings()
    assert found.times(Work(50, 400)) == (500.0, 40_000.0)
    assert found.times(Work(50, 100, integer=True)) == (125.0, 2500.0)
    assert found.times(Work(0, 0)) == (0.0, 0.0)


def test_visits_are_put_together() -> None:
    one = recorded.ceilings()
    both = ceilings.join([one, one])
    assert both.operations().rates == 2 * one.operations().rates
    assert both.streams[100][1].rates == (40.0, 35.0, 40.0, 35.0)
    assert both.calls.rates == 2 * one.calls.rates
    assert both.cache == 100


def test_streams_reach_four_times_beyond_the_cache() -> None:
    assert ceilings.sizes(1 << 20) == [1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22]
    assert max(ceilings.sizes(None)) == 1 << 28
    assert max(ceilings.sizes(1 << 40)) == 1 << 30  # no machine is asked for more memory than that


@pytest.mark.parametrize("integer", [False, True])
def test_a_visit_measures_every_ceiling(integer: bool) -> None:
    found = ceilings.visit(1, integer, 1 << 17, seconds=0.0)
    assert bool(found.integer_products) is integer
    assert list(found.streams) == [1 << 18, 1 << 19]
    groups = [found.products, found.integer_products, *found.streams.values(), [found.calls]]
    assert all(rate > 0 for group in groups for item in group for rate in item.rates)
    assert all(len(item.rates) >= 5 for group in groups for item in group)


def test_probes_do_as_much_as_they_say() -> None:
    matrix, *convolutions = probes.multiplying(1, integer=False, side=64, channels=8, cells=4)
    assert matrix.amount == 2 * 64**3
    assert [probe.amount for probe in convolutions] == [2 * 8 * 8 * 9 * 16, 2 * 16 * 16 * 16]
    names = [probe.name for probe in probes.streaming(1, 1 << 18)]
    assert names == ["Add", "Relu", "ReduceSum"]
    # Often enough in a run that starting one does not count.
    assert all(probe.amount > 16 << 20 for probe in probes.streaming(1, 1 << 18))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (recorded.CPU_WITH_VNNI, ["avx512_vnni"]),
        (recorded.CPU_WITHOUT, []),
        (recorded.CPU_OF_ARM, ["asimddp", "i8mm"]),
        ("processor : 0\n", None),
        (None, None),
    ],
)
def test_integer_instructions(tmp_path: Path, text: str | None, expected: list[str] | None) -> None:
    file = tmp_path / "cpuinfo"
    if text is not None:
        file.write_text(text)
    assert ceilings.integer_instructions(file) == expected


def test_the_largest_cache(tmp_path: Path) -> None:
    assert ceilings.last_level_cache(tmp_path) is None
    for index, size in enumerate(("32K\n", "1024K\n", "nonsense", "32M\n")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}/size").write_text(size)
    assert ceilings.last_level_cache(tmp_path) == 32 << 20
