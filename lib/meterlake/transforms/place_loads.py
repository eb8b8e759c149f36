"""Hours of meters -> hours of the places they hang on: what the marts of load are made of.

A place is a region and feeder as delivered. There are far fewer of them than meters, so the hours of the meters are
added up once, kept (`int_place_loads`), and all marts of load are made of the places' hours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.tables.file_scan import FileScan
from meterlake.tables.partial_sums import on_grid, summed
from meterlake.transforms.int_readings_hourly import MICRO
from meterlake.transforms.stg_meter_readings import GRID

PLACE = ("region", "feeder")
KEY = (*PLACE, "hour_start", "reading_date_local")
SUMMED = ("meter_id", "consumption_kwh", "completeness")


@dataclass(frozen=True)
class _Places:
    """Where meters hang: of each one the number of its place in `names`."""

    of_meter: dict[str, int]
    names: pa.Table

    @classmethod
    def of(cls, meters: DataFrame) -> "_Places":
        held = meters.select("meter_id", *PLACE).toArrow()
        names = held.group_by(PLACE).aggregate([]).combine_chunks()
        numbers = {place: number for number, place in enumerate(_pairs(names))}
        of_meter = zip(held.column("meter_id").to_pylist(), map(numbers.__getitem__, _pairs(held)), strict=True)
        return cls(dict(of_meter), names)


def build(hourly: FileScan | DataFrame, meters: DataFrame, source: Source) -> DataFrame:
    """Rows of `int_place_loads` from all hours of the days concerned.

    Args:
        meters: rows of `stg_meters` of the source, of which each task is sent the places: some 100 bytes a meter.
    """
    places = meters.sparkSession.sparkContext.broadcast(_Places.of(meters))
    loads = summed(hourly, KEY, SUMMED, partial(_addends, places=places))
    named = {name: F.coalesce(name, F.lit("")) for name in PLACE}  # a part of the key is never null
    figures = {"kwh": F.col("kwh") / GRID, "known": F.col("known") / MICRO}
    return loads.withColumns(named | figures | {"source": F.lit(source.name)})


def _addends(hours: pa.RecordBatch, places: "Broadcast[_Places]") -> Mapping[str, pa.Array]:
    """The place of each hour's meter, the hour's energy and the share of it that is known."""
    of_meter, names = places.value.of_meter, places.value.names
    meter = hours["meter_id"].dictionary_encode()
    number = pa.array([of_meter.get(name) for name in meter.dictionary.to_pylist()], pa.int32()).take(meter.indices)
    return {name: names.column(name).chunk(0).dictionary_encode().take(number) for name in PLACE} | {
        "kwh": on_grid(hours["consumption_kwh"], GRID),
        "known": on_grid(hours["completeness"], MICRO),
    }


def _pairs(rows: pa.Table) -> list[tuple[str | None, ...]]:
    return list(zip(*(rows.column(name).to_pylist() for name in PLACE), strict=True))
