"""Texts as dictionaries, as Parquet files hold them: each different one is stored, looked at and written once.

In our passes a column of texts may be coded or plain; rows that become Spark's are plain.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import pyarrow as pa

Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)
NOTHING: Mapping[str, Any] = {}


def coded(kind: pa.DataType) -> pa.DataType:
    """A type, of texts that of their dictionaries."""
    return pa.dictionary(pa.int32(), kind) if pa.types.is_string(kind) else kind


def plain(kind: pa.DataType) -> pa.DataType:
    """A type, of dictionaries that of what they hold."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def same(value: pa.Scalar, rows: int) -> pa.Array:
    """A column that holds one value throughout."""
    if not pa.types.is_string(value.type):
        return pa.repeat(value, rows)
    index = pa.scalar(0 if value.is_valid else None, pa.int32())
    held = pa.array([value.as_py()] if value.is_valid else [], value.type)
    return pa.DictionaryArray.from_arrays(pa.repeat(index, rows), held)


def filled(
    columns: Mapping[str, pa.Array], schema: pa.Schema, constants: Mapping[str, Any] = NOTHING
) -> dict[str, pa.Array]:
    """The columns, one or more, and each other one of the schema with one value throughout: its constant, or null."""
    rows = len(next(iter(columns.values())))
    rest = {field.name: pa.scalar(constants.get(field.name), field.type) for field in schema}
    return {name: columns[name] if name in columns else same(value, rows) for name, value in rest.items()}


def declared(columns: Mapping[str, pa.Array], schema: pa.Schema) -> pa.RecordBatch:
    """The columns that a schema names, in its order and types; coded texts stay coded."""
    arrays = [columns[field.name] for field in schema]
    kinds = [
        array.type if plain(array.type) == field.type else field.type
        for array, field in zip(arrays, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(
        [array.cast(kind) for array, kind in zip(arrays, kinds, strict=True)], schema.names
    )


def as_texts(rows: Rows) -> Rows:
    """The same with plain texts."""
    return rows.cast(pa.schema([field.with_type(plain(field.type)) for field in rows.schema]))


def one_batch(rows: pa.Table) -> pa.RecordBatch:
    """The rows in one piece, each column of texts with one dictionary."""
    whole = [column.combine_chunks() for column in rows.unify_dictionaries().columns]
    return pa.RecordBatch.from_arrays(whole, rows.column_names)
