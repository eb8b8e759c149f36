"""Two versions of rows, compared by their key as MERGE does it."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from meterlake.tables.table import Table

STOOD, MADE = "_stood", "_made"
Numbers = NDArray[np.int64]


class KeyTwice(ValueError):
    """Two rows of a table, or two made for it, have the same key."""

    def __init__(self, table: str) -> None:
        self.table = table
        super().__init__(f"{table}: two rows have the same key; nothing was written")


class Differences(NamedTuple):
    """Row numbers.

    Attributes:
        gone: of rows that stand, which no row was made for.
        changed: of rows that stand, which the row made for them differs from.
        changed_to: of rows made, those that differ; as many, in the same order.
        new: of rows made, for which none stands.
    """

    gone: Numbers
    changed: Numbers
    changed_to: Numbers
    new: Numbers


def comparable(table: Table) -> bool:
    """Whether Arrow compares the values of all columns: not those of lists and maps."""
    return not any(column.type.startswith(("array", "map")) for column in table.columns)


class Matched(NamedTuple):
    """Row numbers, by key: the pairs of rows that stand and rows made for them, and those of either side alone."""

    stood: Numbers
    made: Numbers
    only_stood: Numbers
    only_made: Numbers


def matched(stood: pa.Table, made: pa.Table, table: Table) -> Matched:
    """Which rows are about the same.

    Raises:
        KeyTwice: two rows of one side have the key of a row of the other.
    """
    key = list(table.key)
    left, right = (
        rows.select(key).append_column(name, pa.array(np.arange(rows.num_rows)))
        for rows, name in ((stood, STOOD), (made, MADE))
    )
    joined = left.join(right, keys=key, join_type="full outer")
    at_left, at_right = (joined.column(name).combine_chunks() for name in (STOOD, MADE))
    if pc.count(at_left).as_py() > stood.num_rows or pc.count(at_right).as_py() > made.num_rows:
        raise KeyTwice(table.name)
    both = pc.and_(at_left.is_valid(), at_right.is_valid())
    return Matched(
        stood=at_left.filter(both).to_numpy(),
        made=at_right.filter(both).to_numpy(),
        only_stood=at_left.filter(at_right.is_null()).to_numpy(),
        only_made=at_right.filter(at_left.is_null()).to_numpy(),
    )


def differences(stood: pa.Table, made: pa.Table, table: Table) -> Differences:
    """What has to be done to rows that stand so that they equal those made.

    Raises:
        KeyTwice: two rows of one side have the key of a row of the other.
    """
    pairs = matched(stood, made, table)
    here, there = pa.array(pairs.stood), pa.array(pairs.made)
    differs = np.zeros(len(here), dtype=bool)
    for name in table.measures:
        differs |= ~_same(stood.column(name).take(here), made.column(name).take(there))
    return Differences(pairs.only_stood, pairs.stood[differs], pairs.made[differs], pairs.only_made)


def _same(some: pa.ChunkedArray, others: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Equal values, two nulls, or two NaN: SQL's `<=>`."""
    same = pc.or_(pc.fill_null(pc.equal(some, others), False), pc.and_(some.is_null(), others.is_null()))
    if pa.types.is_floating(some.type):
        both = pc.and_(pc.is_nan(some), pc.is_nan(others))
        same = pc.or_(same, pc.fill_null(both, False))
    return same.to_numpy()
