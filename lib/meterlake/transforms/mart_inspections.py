"""mart_inspections: whole days judged beside their meter's eight weeks before; what stands out is kept, with why."""

from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from meterlake.anomaly.counted import Counted, leave
from meterlake.anomaly.meter_day import DayModel, Hours, MeterDays, Signs, signs_of, told, two_largest, watched_days
from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import whole_meters
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.mart_inspections import MART_INSPECTIONS
from meterlake.transforms.int_readings_hourly import wholly_metered

# Hours of whole meters that are worked off together: 20,000 days.
HOURS_AT_ONCE = 500_000
READ = ("meter_id", "day", "hour_of_day", "kwh", "most_kw", "least_kw")
FOUND = {
    "meter_id": pa.string(),
    "reading_date_local": pa.date32(),
    "day_score": pa.float64(),
    "surprise": pa.float64(),
    "consumption_kwh": pa.float64(),
    "usual_kwh": pa.float64(),
    "reasons": pa.string(),
}


def build(
    hourly: DataFrame,
    meters: DataFrame,
    source: Source,
    model: DayModel,
    model_version: str,
    first: date | None = None,
    counted: Counted | None = None,
) -> DataFrame:
    """The days above the model's threshold: one shuffle of hours by meter, one sort, one pass.

    Args:
        hourly: rows of int_readings_hourly of the source: whole meters, with the 56 days before the first one wanted.
        meters: rows of stg_meters, which place them in the grid.
        model_version: what the rows carry as their model.
        first: earlier days are history only; None judges all.
        counted: takes the judged days in each bin of the model's reference, as they are judged.
    """
    broadcast = hourly.sparkSession.sparkContext.broadcast(model)
    by_meter = metered_hours(hourly).repartition("meter_id").sortWithinPartitions("meter_id", "day", "hour_of_day")
    work = partial(_inspected, broadcast=broadcast, first=first, counted=counted)
    found = by_meter.mapInArrow(work, from_arrow_schema(pa.schema(FOUND)))
    placed = found.join(meters.select("meter_id", "region", "feeder"), on="meter_id", how="left")
    made = placed.withColumns({"source": F.lit(source.name), "model_version": F.lit(model_version)})
    return made.select(*(F.col(field.name).cast(field.dataType) for field in MART_INSPECTIONS.schema))


def metered_hours(hourly: DataFrame) -> DataFrame:
    """READ of rows of int_readings_hourly; null what is not wholly metered."""
    measures = {"kwh": "consumption_kwh", "most_kw": "max_power_kw", "least_kw": "min_power_kw"}
    return hourly.select(
        "meter_id",
        F.unix_date("reading_date_local").alias("day"),
        "hour_of_day",
        *(F.when(wholly_metered(), F.col(column)).alias(name) for name, column in measures.items()),
    )


def meter_days(rows: pa.Table) -> MeterDays:
    """The days of rows of READ, sorted by meter, day and hour. Of an hour that comes twice in autumn one counts."""
    columns = {name: rows[name].combine_chunks() for name in READ}
    meter = columns["meter_id"].dictionary_encode().indices.to_numpy().astype(np.int64)
    key = (meter << 32) + columns["day"].to_numpy()
    days, row = np.unique(key, return_inverse=True)
    cell = row * 24 + columns["hour_of_day"].to_numpy()

    def grid(name: str) -> NDArray[np.float64]:
        values = np.full((len(days), 24), np.nan)
        values.reshape(-1)[cell] = columns[name].to_numpy(zero_copy_only=False)
        return values

    return MeterDays(days, Hours(grid("kwh"), grid("most_kw"), grid("least_kw")))


def _inspected(
    batches: Batches, broadcast: Broadcast[DayModel], first: date | None, counted: Counted | None
) -> Batches:
    """The pass over one partition, whose rows are sorted by meter, day and hour."""
    model, begin = broadcast.value, (first - date(1970, 1, 1)).days if first else 0
    counts = model.reference.nothing if counted and model.reference else None
    for rows in whole_meters(batches, HOURS_AT_ONCE):
        of = meter_days(rows)
        wanted = np.flatnonzero(of.judged & (_day(of.key) >= begin))
        if len(wanted):
            names = pc.unique(rows["meter_id"].combine_chunks())
            found = signs_of(of, wanted, model.typical_kwh)
            surprises = model.surprises_of(found)
            if counts is not None and model.reference:
                counts += model.reference.counts(watched_days(surprises))
            yield _found(found, surprises, of.key[wanted], names, model)
    leave(counted, counts)


def _found(
    of: Signs, surprises: NDArray[np.float64], key: NDArray[np.int64], names: pa.Array, model: DayModel
) -> pa.RecordBatch:
    """FOUND of the days that stand out."""
    scores = two_largest(surprises)
    out = scores > model.threshold
    shown = of.at(out)
    columns = {
        "meter_id": names.take(pa.array(key[out] >> 32)),
        "reading_date_local": pa.array(_day(key[out]), pa.int32()).cast(pa.date32()),
        "day_score": pa.array(model.from_0_to_1(scores[out])),
        "surprise": pa.array(scores[out]),
        "consumption_kwh": pa.array(shown.kwh, from_pandas=True),
        "usual_kwh": pa.array(shown.usual_kwh, from_pandas=True),
        "reasons": pa.array(told(shown, surprises[:, out], tuple(model.surprises)), pa.string()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in FOUND], schema=pa.schema(FOUND))


def _day(key: NDArray[np.int64]) -> NDArray[np.int64]:
    return key & 0xFFFFFFFF
