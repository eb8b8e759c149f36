"""What the real PostgreSQL reads of rows in its binary format: every type, values at the ends of their range."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from psycopg2.extensions import cursor

from meterlake.serving import postgres
from meterlake.serving.copy_binary import encoded
from meterlake.settings import Settings

COLUMNS = {
    "name": (pa.string(), "text", ["", "a", None, "Zähler № 7 – 電力 ⚡", 'two\n"lines"\t\\.', "NULL"]),
    "kind": (pa.dictionary(pa.int32(), pa.string()), "text", ["ratio", None, "", "ratio", "level", "ratio"]),
    "none": (pa.dictionary(pa.int32(), pa.string()), "text", [None] * 6),
    "energy": (
        pa.decimal128(18, 4),
        "numeric(18,4)",
        [Decimal(text) for text in ("0.0000", "99999999999999.9999", "-0.0001", "-12345678.9000", "10000.0000")]
        + [None],
    ),
    "score": (pa.float64(), "double precision", [0.1 + 0.2, 1e-300, -0.0, None, float("inf"), 1.7e308]),
    "rank": (pa.int32(), "integer", [0, -(2**31), 2**31 - 1, None, 1, -1]),
    "many": (pa.int64(), "bigint", [0, -(2**63), 2**63 - 1, None, 1, -1]),
    "flag": (pa.bool_(), "boolean", [True, False, None, True, False, True]),
    "day": (
        pa.date32(),
        "date",
        [date(1999, 12, 31), date(2000, 1, 1), None, date(1, 1, 1), date(2999, 1, 1), None],
    ),
    "at": (
        pa.timestamp("us", "UTC"),
        "timestamp with time zone",
        [
            datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC),
            datetime(2000, 1, 1, tzinfo=UTC),
            None,
            datetime(2024, 10, 27, 1, 30, tzinfo=UTC),
            datetime(2999, 1, 1, tzinfo=UTC),
            datetime(1900, 1, 1, tzinfo=UTC),
        ],
    ),
}
ROWS = pa.table({name: pa.array(values, kind) for name, (kind, _, values) in COLUMNS.items()})


@pytest.fixture
def run(serving: Settings) -> Iterator[cursor]:
    """A transaction that is undone, and in it a table for ROWS."""
    opened = postgres.connect(serving)
    with opened.cursor() as asks:
        asks.execute("SET TIME ZONE 'UTC'")
        kinds = ", ".join(f"{name} {kind}" for name, (_, kind, _) in COLUMNS.items())
        asks.execute(f"CREATE TEMP TABLE held ({kinds}, number serial)")
        yield asks
    opened.rollback()
    opened.close()


def copied(run: cursor, rows: pa.Table) -> list[dict[str, object]]:
    names = ", ".join(COLUMNS)
    run.copy_expert(f"COPY held ({names}) FROM STDIN (FORMAT binary)", pa.BufferReader(encoded(rows)))
    run.execute(f"SELECT {names} FROM held ORDER BY number")
    return [dict(zip(COLUMNS, row, strict=True)) for row in run.fetchall()]


def test_values_are_read_as_they_are(run: cursor) -> None:
    assert copied(run, ROWS) == ROWS.to_pylist()


def test_a_part_of_a_table_in_pieces(run: cursor) -> None:
    """Offsets into the columns' buffers, and dictionaries that differ from piece to piece."""
    part = pa.concat_tables([ROWS.slice(4), ROWS.slice(1, 3)])
    assert copied(run, part) == part.to_pylist()


def test_no_row_is_no_row(run: cursor) -> None:
    assert copied(run, ROWS.slice(0, 0)) == []


def test_a_time_is_told_to_the_second(run: cursor) -> None:
    at = pa.array([datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC)], pa.timestamp("us", "UTC"))
    (row,) = copied(run, ROWS.slice(0, 1).set_column(ROWS.schema.get_field_index("at"), "at", at))
    assert row["at"] == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_decimals_of_other_places_are_refused() -> None:
    with pytest.raises(KeyError, match="decimals of 2 places"):
        encoded(pa.table({"energy": pa.array([Decimal("1.00")], pa.decimal128(18, 2))}))
