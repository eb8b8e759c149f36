"""Files that tasks write with Arrow: each column encoded as it is, texts coded or plain to the same file."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql.pandas.types import to_arrow_schema

from meterlake.tables.arrow_writer import file_writer
from meterlake.tables.coded import coded, one_batch
from meterlake.tables.meter_readings import METER_READINGS

SCHEMA = to_arrow_schema(METER_READINGS.schema, timezone="UTC")
START = datetime(2024, 1, 1)


def lines(many: int) -> pa.RecordBatch:
    known = [
        {
            "source": "village",
            "meter_id": f"m{line % 3}",
            "stamp_local": START + timedelta(minutes=15 * (line // 3)),
            "value": line % 4 / 4,
            "temperature": 20 + line / 7,
            "source_file": "a.csv",
            "file_id": 1,
            "line_order": 40 * line,
            "batch_id": "b",
            "ingested_at": datetime(2024, 2, 1, tzinfo=UTC),
        }
        for line in range(many)
    ]
    return pa.RecordBatch.from_pylist(known, SCHEMA)


def in_codes(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.cast(pa.schema([field.with_type(coded(field.type)) for field in SCHEMA]))


def encodings(path: Path) -> dict[str, set[str]]:
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = [group.column(number) for number in range(group.num_columns)]
    return {column.path_in_schema: set(column.encodings) for column in columns}


def test_numbers_that_do_not_repeat_have_no_dictionary(tmp_path: Path) -> None:
    (file,) = file_writer(METER_READINGS, str(tmp_path))(iter([lines(300)]))
    found = encodings(tmp_path / file.path)
    assert "RLE_DICTIONARY" in found["value"] & found["meter_id"] & found["file_id"]
    assert found["temperature"] == {"PLAIN", "RLE"}
    assert "DELTA_BINARY_PACKED" in found["line_order"]
    assert pq.read_table(tmp_path / file.path, schema=SCHEMA).equals(pa.Table.from_batches([lines(300)]))


def test_coded_texts_make_the_same_file(tmp_path: Path) -> None:
    parts = [in_codes(lines(200)), in_codes(lines(300).slice(200))]
    (file,) = file_writer(METER_READINGS, str(tmp_path))(iter(parts))
    (plain,) = file_writer(METER_READINGS, str(tmp_path))(iter([lines(300)]))
    assert "RLE_DICTIONARY" in encodings(tmp_path / file.path)["meter_id"]
    read, expected = (pq.read_table(tmp_path / one.path) for one in (file, plain))
    assert read.equals(expected), "dictionaries are unknown to who reads"
    assert json.loads(file.statistics) == json.loads(plain.statistics)
    assert one_batch(pa.Table.from_batches(parts)).num_rows == 300
    assert date.fromisoformat(json.loads(file.statistics)["minValues"]["stamp_local"][:10]) == START.date()
