"""Who is who: the pairs of rows and columns whose similarities sum to the most."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def assign(similarity: NDArray[np.floating], minimum: float) -> list[tuple[int, int]]:
    """Return the pairs with the greatest sum of similarities, each row and column in at most one of them.

    Pairs that are possible fall into groups which share no row or column; most groups are one pair, and only the others
    need solving. So the time depends on how crowded the frame is rather than on how many people there are.

    Args:
        similarity: (N, M); finite.
        minimum: pairs below it, and those not above 0, are never made.

    Returns:
        (row, column), by row.
    """
    possible = (similarity >= minimum) & (similarity > 0)
    rows, columns = np.nonzero(possible)
    if not len(rows):
        return []
    if possible.sum(axis=0).max() == 1 and possible.sum(axis=1).max() == 1:
        return list(zip(rows.tolist(), columns.tolist(), strict=True))
    pairs: list[tuple[int, int]] = []
    for group in _groups(possible):
        if len(group[0]) == 1 and len(group[1]) == 1:
            pairs.append((group[0][0], group[1][0]))
            continue
        block = np.where(possible, similarity, 0.0)[np.ix_(*group)]
        pairs += [(group[0][row], group[1][column]) for row, column in _solve(block)]
    return sorted(pairs)


def _groups(possible: NDArray[np.bool_]) -> list[tuple[list[int], list[int]]]:
    """Return the connected parts of the graph of possible pairs, as their rows and columns."""
    columns_of = [np.flatnonzero(row).tolist() for row in possible]
    rows_of = [np.flatnonzero(column).tolist() for column in possible.T]
    groups, seen = [], [False] * len(columns_of)
    for start, columns in enumerate(columns_of):
        if seen[start] or not columns:
            continue
        seen[start] = True
        rows, reached, queue = [start], set[int](), [start]
        while queue:
            for column in columns_of[queue.pop()]:
                if column in reached:
                    continue
                reached.add(column)
                fresh = [row for row in rows_of[column] if not seen[row]]
                for row in fresh:
                    seen[row] = True
                rows += fresh
                queue += fresh
        groups.append((sorted(rows), sorted(reached)))
    return groups


def _solve(gain: NDArray[np.floating]) -> list[tuple[int, int]]:
    """Return the pairs of a full block with the greatest sum of gains; pairs that gain nothing are left out."""
    if gain.shape[0] > gain.shape[1]:
        return [(row, column) for column, row in _solve(gain.T)]
    cost: list[list[float]] = (-gain).tolist()
    row_of = _shortest_paths(cost, gain.shape[1])
    return [(row, column) for column, row in enumerate(row_of) if row >= 0 and cost[row][column] < 0]


def _shortest_paths(cost: list[list[float]], width: int) -> list[int]:
    """Return for each column the row assigned to it, or -1, so that every row has one and the sum of costs is least.

    The Hungarian method by shortest augmenting paths (Jonker and Volgenant 1987): rows join one by one, each along the
    path of least reduced cost. Plain lists are faster here than arrays as short as a group is.

    Args:
        cost: rows of `width` numbers; not more rows than columns.
    """
    row_of = [-1] * width
    u, v = [0.0] * len(cost), [0.0] * width
    for start in range(len(cost)):
        distance, before, done = [math.inf] * width, [-1] * width, [False] * width
        row, column, reached = start, -1, 0.0
        while row >= 0:  # until a column is free
            line, nearest, following = cost[row], math.inf, -1
            for other in range(width):
                if done[other]:
                    continue
                length = reached + line[other] - u[row] - v[other]
                if length < distance[other]:
                    distance[other], before[other] = length, column
                if distance[other] < nearest:
                    nearest, following = distance[other], other
            column, reached = following, nearest
            done[column] = True
            row = row_of[column]
        _adjust(u, v, row_of, distance, done, start, column)
        while column >= 0:  # turn the path round
            previous = before[column]
            row_of[column] = start if previous < 0 else row_of[previous]
            column = previous
    return row_of


def _adjust(
    u: list[float],
    v: list[float],
    row_of: list[int],
    distance: list[float],
    done: list[bool],
    start: int,
    end: int,
) -> None:
    """Move the prices so that reduced costs stay at least 0, and 0 along the path found."""
    u[start] += distance[end]
    for column, visited in enumerate(done):
        if visited and column != end:
            slack = distance[end] - distance[column]
            v[column] -= slack
            u[row_of[column]] += slack
