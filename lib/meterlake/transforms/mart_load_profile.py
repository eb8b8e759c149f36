"""Hours -> mean load by hour of the day, for weekdays and weekends, per meter and month."""

from collections.abc import Mapping
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.tables.file_scan import FileScan
from meterlake.tables.partial_sums import on_grid, summed
from meterlake.transforms.stg_meter_readings import GRID

CELL = ("meter_id", "month_local", "day_type", "hour_of_day")
SUMMED = ("reading_date_local", "consumption_kwh", "reading_count", "interval_minutes")
SEASONS = ("winter", "spring", "summer", "autumn")  # meteorological: December begins winter
DAY_TYPES = ("weekday", "weekend")
SATURDAY = 5


def build(hourly: FileScan | DataFrame, meters: DataFrame, source: Source) -> DataFrame:
    """Rows of `mart_load_profile` from all hours of the months concerned; hours without a reading do not count."""
    cells = summed(hourly, CELL, SUMMED, partial(_addends, varies=source.varies)).where("known > 0")
    columns = {
        "source": F.lit(source.name),
        "season": _season(F.col("month_local")),
        "energy_kwh": F.col("energy") / GRID,
        "hours": F.col("known") / 60 if source.varies else F.col("known") * (source.interval_minutes / 60),
    }
    rows = cells.withColumns(columns).drop("energy", "known")
    rows = rows.withColumn("mean_load_kw", F.col("energy_kwh") / F.col("hours"))
    return rows.join(meters.select("meter_id", "region", "feeder"), on="meter_id", how="left")


def _addends(hours: pa.RecordBatch, varies: bool) -> Mapping[str, pa.Array]:
    """The cell of each hour, its energy, and its known intervals, or where lengths vary the minutes of those."""
    day, count = hours["reading_date_local"], hours["reading_count"]
    weekend = pc.greater_equal(pc.day_of_week(day), SATURDAY).cast(pa.int32())
    return {
        "month_local": pc.floor_temporal(day, unit="month"),
        "day_type": pa.DictionaryArray.from_arrays(weekend, list(DAY_TYPES)),
        "energy": on_grid(hours["consumption_kwh"], GRID),
        "known": pc.multiply(count, hours["interval_minutes"]) if varies else count,
    }


def _season(month: Column) -> Column:
    seasons = F.array(*(F.lit(season) for season in SEASONS))
    return F.get(seasons, F.floor(F.pmod(F.month(month), F.lit(12)) / 3).cast("int"))
