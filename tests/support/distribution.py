"""The order in which tests run, for pytest-xdist's `--dist worksteal`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def shares(count: int, processes: int) -> list[int]:
    """Return how many of `count` tests each process is given first; xdist hands them out in one piece a process."""
    sizes: list[int] = []
    for left in range(processes, 0, -1):
        sizes.append((count - sum(sizes)) // left)
    return sizes


def arrange(
    items: Sequence[Item], seconds: Callable[[Item], float], group: Callable[[Item], Hashable], processes: int
) -> list[Item]:
    """Return all items, the share of each process beginning with as much slow work as those of the others.

    One slow test that starts last keeps one process busy while the others have nothing to do. What is slow and of one
    group stays together, for tests of a module have fixtures in common; the others keep their order. Who is done
    first steals from the end of another's share, where the fast ones are.

    Args:
        items: tests.
        seconds: about how long one takes; 0 for all that are fast.
        group: which slow ones stay together.
        processes: number of processes.
    """
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    fast: list[Item] = []
    for item in items:
        if seconds(item) > 0:
            groups[group(item)].append(item)
        else:
            fast.append(item)
    slow: list[list[Item]] = [[] for _ in range(processes)]
    loads = [0.0] * processes
    sums = {key: sum(map(seconds, members)) for key, members in groups.items()}
    for key in sorted(groups, key=lambda key: sums[key], reverse=True):
        least = loads.index(min(loads))
        slow[least] += sorted(groups[key], key=seconds, reverse=True)
        loads[least] += sums[key]
    out: list[Item] = []
    taken = 0
    for size, first in zip(shares(len(items), processes), slow, strict=True):
        rest = max(size - len(first), 0)
        out += [*first, *fast[taken : taken + rest]]
        taken += rest
    return out + fast[taken:]
