"""What two copies of a table are compared by: rows, values that are not null, and an exact sum of every column.

The sums are whole numbers or decimals in all three engines, so that neither the order of the rows nor the engine's
arithmetic shows: a double counts in millionths, a text by its characters, a time in seconds and a date in days since
1970.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from pyspark.sql import DataFrame

from meterlake.serving.ddl import quoted
from meterlake.tables.table import Table

Totals = dict[str, Decimal]

# The same six digits in every engine: the product and the sum are plain IEEE doubles, `floor` is exact.
_SPARK = {
    "string": "char_length({})",
    "boolean": "int({})",
    "double": "floor({} * 1000000 + 0.5)",
    "date": "unix_date({})",
    "timestamp": "unix_seconds({})",
}
_POSTGRES = {
    "string": "char_length({})",
    "boolean": "{}::int",
    "double": "floor({} * 1000000 + 0.5)::bigint",
    "date": "{} - date '1970-01-01'",
    "timestamp": "extract(epoch from {})::bigint",
}
_CLICKHOUSE = {
    "string": "lengthUTF8({})",
    "boolean": "toInt64({})",
    "double": "toInt64(floor({} * 1000000 + 0.5))",
    "date": "toInt64({})",
    "timestamp": "toInt64({})",
}


def of_frame(table: Table, frame: DataFrame) -> Totals:
    row = frame.selectExpr(*_expressions(table, _SPARK, lambda name: f"`{name}`")).head()
    return named(table, row)


def postgres_select(table: Table) -> str:
    return "SELECT " + ", ".join(_expressions(table, _POSTGRES, quoted))


def clickhouse_select(table: Table) -> str:
    return "SELECT " + ", ".join(_expressions(table, _CLICKHOUSE, quoted))


def named(table: Table, row: Sequence[Any] | None) -> Totals:
    """The row of an aggregate as totals. The sum of no values is null in two engines and 0 in the third: 0."""
    names = ["rows", *(f"{kind} of {name}" for name in table.names for kind in ("values", "sum"))]
    return {name: Decimal(value or 0) for name, value in zip(names, row or (), strict=True)}


def differences(expected: Totals, found: Totals) -> dict[str, tuple[Decimal, Decimal]]:
    return {name: (value, found[name]) for name, value in expected.items() if found[name] != value}


def _expressions(table: Table, dialect: dict[str, str], quote: Callable[[str], str]) -> list[str]:
    made = ["count(*)"]
    for column in table.columns:
        name = quote(column.name)
        made += [f"count({name})", f"sum({dialect.get(column.type, '{}').format(name)})"]
    return made
