"""Sums by key of a table's files, begun in the tasks that read them: Spark gets a few rows per key and adds those up.

For millions of rows of which only sums are wanted. As rows of Spark's, reading them costs more than adding them up
(docs/performance.md).
"""

from collections.abc import Callable, Mapping, Sequence
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

ROWS_AT_ONCE = 500_000

# What is added up of some rows, by name: whole numbers and decimals, whose sum is the same in any order of rows, and
# conditions, which are counted where they hold. Texts come as dictionaries.
Addends = Callable[[pa.RecordBatch], Mapping[str, pa.Array]]


def summed(
    scan: FileScan,
    key: Sequence[str],
    columns: Sequence[str],
    addends: Addends,
    largest: Mapping[str, str] | None = None,
) -> DataFrame:
    """A row for each key: the key, the sums of its addends, the largest values.

    A sum or a largest value is null where no value is known, a count of conditions 0.

    Args:
        columns: what `addends` looks at.
        largest: by name, the column of which the largest value is told.
    """
    most = dict(largest or {})
    work = partial(_begun, key=list(key), addends=addends, most=most)
    needed = list(dict.fromkeys([*key, *columns, *most.values()]))
    nothing = to_arrow_schema(scan.table.schema, timezone="UTC").empty_table().select(needed)
    types = from_arrow_schema(_sums(nothing, list(key), addends, most).schema)
    begun = Rows.of_files(scan, needed).through(work, types)
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
    """The sums of one partition; of a key that comes again and again, some rows."""
    for rows in joined(batches, ROWS_AT_ONCE):
        yield from _sums(rows, key, addends, most).to_batches()


def _sums(rows: pa.Table, key: list[str], addends: Addends, most: dict[str, str]) -> pa.Table:
    """The key as texts, then the sums under the names of their addends, then the largest values."""
    batch = one_batch(rows)
    numbers = {name: _countable(values) for name, values in addends(batch).items()}
    columns = {name: batch[name] for name in key} | numbers | {name: batch[of] for name, of in most.items()}
    wanted = [*((name, "sum") for name in numbers), *((name, "max") for name in most)]
    made = pa.table(columns).group_by(key, use_threads=False).aggregate(wanted)
    made = made.select([*key, *(f"{name}_{how}" for name, how in wanted)]).rename_columns(list(columns))
    return made.cast(pa.schema([(field.name, plain(field.type)) for field in made.schema]))


def _countable(values: pa.Array) -> pa.Array:
    return pc.fill_null(values, False).cast(pa.int64()) if pa.types.is_boolean(values.type) else values
