"""The order of the tests themselves."""

from __future__ import annotations

from itertools import accumulate
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.distribution import arrange, shares


@given(st.integers(0, 5000), st.integers(1, 16))
def test_shares_are_even(count: int, processes: int) -> None:
    sizes = shares(count, processes)
    assert len(sizes) == processes and sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1


def test_shares_are_those_of_xdist() -> None:
    """Its scheduler, with processes that only note what they are given."""
    from xdist.scheduler import WorkStealingScheduling

    class Node:
        shutting_down = False

        def __init__(self, number: int) -> None:
            self.gateway = SimpleNamespace(id=f"gw{number}")
            self.given: list[int] = []

        def send_runtest_some(self, indices: list[int]) -> None:
            self.given.extend(indices)

    for processes, count in ((2, 101), (3, 100), (5, 4276)):
        nodes = [Node(number) for number in range(processes)]
        scheduler = WorkStealingScheduling(_Config(processes))  # type: ignore[arg-type]
        for node in nodes:
            scheduler.add_node(node)  # type: ignore[arg-type]
            scheduler.add_node_collection(node, [str(index) for index in range(count)])  # type: ignore[arg-type]
        scheduler.schedule()
        assert [len(node.given) for node in nodes] == shares(count, processes)
        assert [index for node in nodes for index in node.given] == list(range(count))


class _Config:
    """As much of pytest's configuration as the scheduler asks for."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self.option = self

    tx: tuple[str, ...] = ()

    def getvalue(self, name: str) -> list[str]:
        assert name == "tx"
        return ["popen"] * self._processes


Tests = st.lists(st.tuples(st.sampled_from([0.0, 0.0, 0.0, 2.0, 10.0, 150.0]), st.integers(0, 6)), max_size=80)


@given(Tests, st.integers(1, 5))
def test_everything_runs_once_and_slow_work_is_spread(tests: list[tuple[float, int]], processes: int) -> None:
    items = [(index, *test) for index, test in enumerate(tests)]
    order = arrange(items, lambda item: item[1], lambda item: item[2], processes)
    assert sorted(order) == items
    assert [item for item in order if not item[1]] == [item for item in items if not item[1]]
    sums = [sum(seconds for seconds, group in tests if group == wanted) for wanted in range(7)]
    sizes = shares(len(items), processes)
    ends = list(accumulate(sizes))
    loads = [sum(item[1] for item in order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]
    crowded = len([test for test in tests if test[0]]) > min(sizes)  # more slow tests than one share has room for
    assert crowded or max(loads) - min(loads) <= max(sums)
    for wanted in range(7):
        places = [place for place, item in enumerate(order) if item[2] == wanted and item[1]]
        assert places == [places[0] + offset for offset in range(len(places))]


def test_slow_tests_come_first_in_each_share() -> None:
    items = [*"abcdef", "X", "Y", "Z"]
    order = arrange(items, lambda item: {"X": 30.0, "Y": 20.0, "Z": 15.0}.get(item, 0.0), str, 2)
    assert order == ["X", "a", "b", "c", "Y", "Z", "d", "e", "f"]
