"""Sums by key of a table's files, begun in the tasks that read them: Spark gets a few rows per key and adds those up.

For millions of rows of which only sums are wanted. As rows of Spark's, reading them costs more than adding them up
(docs/performance.md).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from meterlake.tables.arrow_pass import Rows
from meterlake.tables.arrow_writer import Batches, joined
from meterlake.tables.coded import one_batch, plain
from meterlake.tables.file_scan import FileScan

# Rows that are added up at once, and sums that a task holds until it adds those up in turn.
ROWS_AT_ONCE, MOST_HELD = 500_000, 2_000_000

# What is added up of some rows, by name: whole numbers and decimals, whose sum is the same in any order of rows, and
# conditions, which are counted where they hold; and what of the key is no column. Texts come as dictionaries.
Addends = Callable[[pa.RecordBatch], Mapping[str, pa.Array]]


def summed(
    rows: FileScan | DataFrame,
    key: Sequence[str],
    columns: Sequence[str],
    addends: Addends,
    largest: Mapping[str, str] | None = None,
) -> DataFrame:
    """A row for each key: the key, the sums of its addends, the largest values.

    A sum or a largest value is null where no value is known, a count of conditions 0.

    Args:
        key: columns, or what `addends` makes of them.
        columns: what `addends` looks at.
        largest: by name, the column of which the largest value is told.
    """
    most = dict(largest or {})
    work = partial(_begun, key=list(key), addends=addends, most=most)
    schema = rows.table.schema if isinstance(rows, FileScan) else rows.schema
    needed = [name for name in dict.fromkeys([*key, *columns, *most.values()]) if name in schema.names]
    nothing = to_arrow_schema(schema, timezone="UTC").empty_table().select(needed)
    types = from_arrow_schema(_sums(nothing, list(key), addends, most).schema)
    begun = Rows.of(rows, needed).through(work, types)
    ends = (F.max(name) if name in most else F.sum(name) for name in types.names[len(key) :])
    named = zip(ends, types.names[len(key) :], strict=True)
    return begun.groupBy(*key).agg(*(end.alias(name) for end, name in named))


def on_grid(values: pa.Array, steps: float) -> pa.Array:
    """Doubles as whole numbers of a grid of so many steps per unit, as `exact_sum` adds them up; null stays null.

    Raises:
        pa.ArrowInvalid: a value is no number, or too large for the grid.
    """
    whole = np.rint(values.to_numpy(zero_copy_only=False) * steps)
    return pa.array(whole, mask=values.is_null().to_numpy(zero_copy_only=False)).cast(pa.int64())


def _begun(batches: Batches, key: list[str], addends: Addends, most: dict[str, str]) -> Batches:
    """The sums of one partition. A key comes once, or again and again where those of few rows would fill the memory."""
    held: list[pa.Table] = []
    for rows in joined(batches, ROWS_AT_ONCE):
        held.append(_sums(rows, key, addends, most))
        if sum(sums.num_rows for sums in held) > MOST_HELD:
            held = [_added_up(pa.concat_tables(held), key, most)]
            if held[0].num_rows > MOST_HELD // 2:
                yield from held.pop().to_batches()
    if held:
        yield from (_added_up(pa.concat_tables(held), key, most) if len(held) > 1 else held[0]).to_batches()


def _sums(rows: pa.Table, key: list[str], addends: Addends, most: dict[str, str]) -> pa.Table:
    """The key as texts, then the sums under the names of their addends, then the largest values."""
    batch = one_batch(rows)
    made = dict(addends(batch))
    columns = {name: made.pop(name) if name in made else batch[name] for name in key}
    columns |= {name: _countable(values) for name, values in made.items()}
    sums = _added_up(pa.table(columns | {name: batch[of] for name, of in most.items()}), key, most)
    return sums.cast(pa.schema([(field.name, plain(field.type)) for field in sums.schema]))


def _added_up(rows: pa.Table, key: list[str], most: Iterable[str]) -> pa.Table:
    """Of each column that is not of the key the sum, or the largest value, for each key."""
    names = rows.column_names
    wanted = [(name, "max" if name in most else "sum") for name in names if name not in key]
    made = rows.group_by(key, use_threads=False).aggregate(wanted)
    return made.select([*key, *(f"{name}_{how}" for name, how in wanted)]).rename_columns(names)


def _countable(values: pa.Array) -> pa.Array:
    return pc.fill_null(values, False).cast(pa.int64()) if pa.types.is_boolean(values.type) else values
