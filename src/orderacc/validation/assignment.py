"""The best one-to-one assignment of units: no partner is stolen from a better match."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MOST_UNITS: Final = 256
"""Up to so many units a side, each is a row or column of its own; beyond, a linear programme has the same answer."""


def assign(
    supply: Sequence[int], demand: Sequence[int], scores: Mapping[tuple[int, int], float]
) -> list[tuple[int, int, int]]:
    """Assign units of rows to units of columns so that the sum of scores is as large as can be.

    Args:
        supply: Units of each row, from 1.
        demand: Units of each column, from 1.
        scores: Positive scores of the pairs that may be made; others may not.

    Returns:
        Row, column and number of units of each pair made, in order of row and column.
    """
    made: list[tuple[int, int, int]] = []
    for rows, columns in _clusters(scores):
        if len(rows) == 1 or len(columns) == 1:
            made += _fill(rows, columns, supply, demand, scores)
        else:
            made += _solve(rows, columns, supply, demand, scores)
    return sorted(made)


def _clusters(scores: Mapping[tuple[int, int], float]) -> Iterator[tuple[list[int], list[int]]]:
    """Rows and columns that have to do with each other."""
    by_row: dict[int, set[int]] = {}
    by_column: dict[int, set[int]] = {}
    for row, column in scores:
        by_row.setdefault(row, set()).add(column)
        by_column.setdefault(column, set()).add(row)
    while by_row:
        rows: set[int] = set()
        columns: set[int] = set()
        todo = [min(by_row)]
        while todo:
            row = todo.pop()
            if row in rows:
                continue
            rows.add(row)
            for column in by_row.pop(row) - columns:
                columns.add(column)
                todo.extend(by_column[column] - rows)
        yield sorted(rows), sorted(columns)


def _fill(
    rows: list[int],
    columns: list[int],
    supply: Sequence[int],
    demand: Sequence[int],
    scores: Mapping[tuple[int, int], float],
) -> Iterator[tuple[int, int, int]]:
    """One line on one side: its best partners first."""
    left = supply[rows[0]] if len(rows) == 1 else demand[columns[0]]
    pairs = [(row, column) for row in rows for column in columns]
    for row, column in sorted(pairs, key=lambda pair: (-scores[pair], pair)):
        units = min(left, demand[column] if len(rows) == 1 else supply[row])
        if units:
            yield row, column, units
        left -= units


def _solve(
    rows: list[int],
    columns: list[int],
    supply: Sequence[int],
    demand: Sequence[int],
    scores: Mapping[tuple[int, int], float],
) -> Iterator[tuple[int, int, int]]:
    needed, offered = sum(supply[row] for row in rows), sum(demand[column] for column in columns)
    units = _by_programme if max(needed, offered) > MOST_UNITS else _by_units
    yield from units(rows, columns, supply, demand, scores)


def _by_units(
    rows: list[int],
    columns: list[int],
    supply: Sequence[int],
    demand: Sequence[int],
    scores: Mapping[tuple[int, int], float],
) -> Iterator[tuple[int, int, int]]:
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    row_units = [row for row in rows for _ in range(supply[row])]
    column_units = [column for column in columns for _ in range(demand[column])]
    gain = np.array([[scores.get((row, column), 0.0) for column in column_units] for row in row_units])
    made: dict[tuple[int, int], int] = {}
    for i, j in zip(*linear_sum_assignment(gain, maximize=True), strict=True):
        pair = row_units[i], column_units[j]
        if pair in scores:
            made[pair] = made.get(pair, 0) + 1
    for (row, column), units in made.items():
        yield row, column, units


def _by_programme(
    rows: list[int],
    columns: list[int],
    supply: Sequence[int],
    demand: Sequence[int],
    scores: Mapping[tuple[int, int], float],
) -> Iterator[tuple[int, int, int]]:
    """The transport problem as it stands; its corner solutions are whole numbers."""
    import numpy as np
    from scipy.optimize import linprog

    pairs = sorted(pair for pair in scores if pair[0] in rows)
    limits = np.zeros((len(rows) + len(columns), len(pairs)))
    for index, (row, column) in enumerate(pairs):
        limits[rows.index(row), index] = 1
        limits[len(rows) + columns.index(column), index] = 1
    most = [supply[row] for row in rows] + [demand[column] for column in columns]
    solved = linprog([-scores[pair] for pair in pairs], A_ub=limits, b_ub=most, method="highs-ds")
    for (row, column), units in zip(pairs, np.rint(np.asarray(solved.x)).astype(int).tolist(), strict=True):
        if units:
            yield row, column, units
