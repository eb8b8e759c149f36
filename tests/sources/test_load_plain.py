"""Files read with Arrow and files read by Spark come to the same bronze."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.lake import VILLAGE, deliver, half_hours, rows, written

from meterlake import ingest
from meterlake.settings import Settings
from meterlake.tables.arrow_writer import RequiredValueMissing, file_writer
from meterlake.tables.meter_readings import METER_READINGS

LINES = [
    *half_hours("M1", datetime(2024, 1, 1), 500),
    "M2,2024-01-01 00:00:00,ERR",
    '"M2",2024-01-01 00:30:00,1',
    " M2 , 2024-01-01 01:00:00 , 2.5 ",
    "M2,2024-01-01 01:30:00,1,2",
    "M2,yesterday,1",
    "",
    "meter,at,kwh",
    "M2,2024-01-01 02:00:00,",
    "M2,2024-01-01T01:30:00Z,3",
    "M2,2024-01-01T04:00+01:00,4",
]


@pytest.mark.parametrize(("zone", "unparsable"), [("Europe/Berlin", 5), ("+01:00", 3)])
def test_both_readers_come_to_the_same_bronze(
    spark: SparkSession,
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    zone: str,
    unparsable: int,
) -> None:
    """Of a clock with summer time and of one without, which keeps the stamps that state an offset."""
    source = VILLAGE.model_copy(update={"time_zone": zone})
    file = written(tmp_path / "readings.csv", *LINES)
    homes = {"spark": settings, "arrow": settings.model_copy(update={"home": tmp_path / "arrow"})}
    deliver(spark, homes["spark"], file, "ingest", source=source)
    monkeypatch.setattr(ingest, "SMALL_BYTES", 0)
    deliver(spark, homes["arrow"], file, "ingest", source=source)
    by_spark, by_arrow = (
        [
            tuple(str(row[name]) for name in ("meter_id", "stamp_local", "value", "raw_line", "parse_error", "file_id"))
            # In the order of the file: by it the two passes through a repeated hour are told apart.
            for row in sorted(rows(spark, home, "meter_readings"), key=lambda row: row.line_order)
        ]
        for home in homes.values()
    )
    assert by_arrow == by_spark
    assert len(by_arrow) == 508
    (loaded,) = rows(spark, homes["arrow"], "loaded_files")
    assert (loaded.lines, loaded.loaded, loaded.unparsable) == (508, 508 - unparsable, unparsable)


def test_the_first_fault_of_a_file_of_which_most_is_not_read_is_told(
    spark: SparkSession, tmp_path: Path, settings: Settings
) -> None:
    for name in "abcdef":
        written(tmp_path / "in" / f"{name}.csv", f"{name},1/1/2024,1", f"{name},1/2/2024,1", "M1,2024-01-03 00:00:00,1")
    good = written(tmp_path / "in" / "good.csv", "M2,1/1/2024,1", "M2,2024-01-01 00:00:00,1")
    said = deliver(spark, settings, good.parent, "ingest")["ingest"].said
    assert said[0] == (
        f"{good.parent}/a.csv: 2 of its lines cannot be read and are kept as text. First fault: '1/1/2024' is no time "
        "stamp."
    )
    assert len(said) == 6
    assert said[-1] == "Other files have lines that cannot be read, too: see parse_error in bronze."


def test_lines_keep_their_order_and_files_their_statistics(
    spark: SparkSession, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "SMALL_BYTES", 0)
    deliver(spark, settings, written(tmp_path / "readings.csv", *LINES), "ingest")
    found = [row for row in rows(spark, settings, "meter_readings") if row.meter_id == "M1"]
    in_file = sorted(found, key=lambda row: row.line_order)
    assert [row.stamp_local for row in in_file] == sorted(row.stamp_local for row in found)
    adds = spark.read.json(f"{settings.lake_root}/bronze/meter_readings/_delta_log/*.json").where("add IS NOT NULL")
    statistics = [row.stats for row in adds.select("add.stats").collect()]
    assert any('"minValues": {"source": "village", "meter_id": "M1"' in one for one in statistics)


def test_required_column_must_be_known(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(METER_READINGS.schema, timezone="UTC")
    row = dict.fromkeys(schema.names) | {"source": "village", "batch_id": "b", "ingested_at": datetime.now(UTC)}
    batch = pa.RecordBatch.from_pylist([row | {"file_id": 1, "line_order": 1, "source_file": None}], schema)
    with pytest.raises(RequiredValueMissing, match="meter_readings: source_file is null"):
        list(file_writer(METER_READINGS, str(tmp_path))(iter([batch])))
