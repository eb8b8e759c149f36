"""A meter's typical day worked out by hand, the same of Spark's rows and of the files of the lake."""

from datetime import date, datetime

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from tests.lake import VILLAGE, row_of

from meterlake.settings import Settings
from meterlake.sources.source import Format
from meterlake.tables.file_scan import FileScan
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.store import Store
from meterlake.transforms import mart_load_profile, place_loads

MAY, JUNE = date(2024, 5, 1), date(2024, 6, 1)
# (meter, start, kWh, half-hours known): 31 May is a Friday.
HOURS = [
    ("a", datetime(2024, 5, 30, 7), 1.0, 2),
    ("a", datetime(2024, 5, 31, 7), 2.5, 2),
    ("a", datetime(2024, 5, 31, 8), 0.25, 1),  # half of it is known
    ("a", datetime(2024, 6, 1, 7), 8.0, 2),
    ("a", datetime(2024, 6, 2, 7), None, 0),
    ("lost", datetime(2024, 6, 2, 23), 0.1, 2),
    ("lost", datetime(2024, 6, 3, 23), 0.2, 2),
    ("silent", datetime(2024, 6, 3, 23), None, 0),
]
EXPECTED = {
    ("a", MAY, "weekday", 7): (3.5, 2.0, "spring", "north"),
    ("a", MAY, "weekday", 8): (0.25, 0.5, "spring", "north"),
    ("a", JUNE, "weekend", 7): (8.0, 1.0, "summer", "north"),
    ("lost", JUNE, "weekend", 23): (0.1, 1.0, "summer", None),
    ("lost", JUNE, "weekday", 23): (0.2, 1.0, "summer", None),
}


@pytest.fixture
def store(spark: SparkSession, settings: Settings) -> Store:
    store = Store(spark, settings)
    places = [row_of(STG_METERS, source="village", meter_id="a", region="north", feeder="f1")]
    store.append(spark.createDataFrame(places, STG_METERS.schema), STG_METERS)
    store.append(hours(spark), INT_READINGS_HOURLY)
    return store


def hours(spark: SparkSession) -> DataFrame:
    rows = [
        row_of(
            INT_READINGS_HOURLY,
            source="village",
            meter_id=meter,
            hour_start=start,
            reading_date_local=start.date(),
            hour_of_day=start.hour,
            interval_minutes=30,
            consumption_kwh=kwh,
            reading_count=known,
            completeness=known / 2,
        )
        for meter, start, kwh, known in HOURS
    ]
    return spark.createDataFrame(rows, INT_READINGS_HOURLY.schema)


def of_files(store: Store) -> FileScan:
    scan = store.scan(INT_READINGS_HOURLY, source=["village"])
    assert scan is not None
    return scan


@pytest.mark.parametrize("varies", [False, True])
def test_each_cell_is_the_mean_of_its_known_hours(store: Store, varies: bool) -> None:
    source = VILLAGE.model_copy(update={"format": Format(layout="nem12")}) if varies else VILLAGE
    assert source.varies == varies
    meters = store.read(STG_METERS)
    for hourly in (of_files(store), store.read(INT_READINGS_HOURLY)):
        made = mart_load_profile.build(hourly, meters, source).collect()
        cells = {(row.meter_id, row.month_local, row.day_type, row.hour_of_day): row for row in made}
        assert {key: (row.energy_kwh, row.hours, row.season, row.region) for key, row in cells.items()} == EXPECTED
        assert {row.source for row in made} == {"village"}
        assert cells["a", MAY, "weekday", 7].mean_load_kw == 1.75


def test_loads_of_places_are_the_same_of_rows_and_of_files(store: Store) -> None:
    def loads(hourly: FileScan | DataFrame) -> list[Row]:
        return sorted(place_loads.build(hourly, store.read(STG_METERS), VILLAGE).collect(), key=str)

    found = loads(of_files(store))
    assert loads(store.read(INT_READINGS_HOURLY)) == found
    assert len(found) == 7
    nowhere = {row.hour_start: (row.kwh, row.known) for row in found if not row.feeder}
    assert nowhere[datetime(2024, 6, 3, 23)] == (0.2, 1.0), "a meter that is silent adds nothing"
    assert [(row.kwh, row.known) for row in found if row.hour_start == datetime(2024, 6, 2, 7)] == [(None, 0.0)]
