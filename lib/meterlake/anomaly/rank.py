"""Every meter of a source with the chance that an inspection finds theft: one shuffle of its days, one pass."""

from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark import Broadcast
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from meterlake.anomaly.labelled import LabelledModel
from meterlake.anomaly.meter_signs import Days, matrix, signs
from meterlake.anomaly.meter_windows import DAY, WINDOW_DAYS, grids, known_days, known_enough, windows
from meterlake.tables.arrow_pass import whole_meters
from meterlake.tables.arrow_writer import Batches

# Days of whole meters that are worked off together: some thousand meters.
DAYS_AT_ONCE = 500_000
RANKED = {"meter_id": pa.string(), "probability": pa.float64(), "days": pa.int64(), "reasons": pa.string()}


@dataclass(frozen=True)
class Ranking:
    """Meters, likeliest theft first.

    Attributes:
        meters: columns of RANKED; `days` are those known in the window, `reasons` what raises the probability.
        last: last day of the source.
        unknown: meters with too few known days to be ranked.
    """

    meters: pd.DataFrame
    last: date
    unknown: int


def rank(daily: DataFrame, meters: DataFrame, model: LabelledModel, tells_hours: bool) -> Ranking | None:
    """The ranking of rows of int_readings_daily and stg_meters of one source; None where there are no days."""
    last = daily.agg(F.max(DAY)).head()
    if last is None or last[0] is None:
        return None
    days = known_days(daily.where(F.col(DAY) > F.date_sub(F.lit(last[0]), WINDOW_DAYS)), tells_hours)
    tomorrow = F.unix_date(F.lit(last[0])) + 1
    until = meters.select("meter_id", F.col("meter_id").alias("window"), tomorrow.alias("until"))
    by_meter = windows(days, until, model.typical_kwh).withColumn("meter_id", F.col("window")).repartition("meter_id")
    broadcast = daily.sparkSession.sparkContext.broadcast(model)
    work = partial(_ranked, broadcast=broadcast)
    made = by_meter.sortWithinPartitions("meter_id").mapInArrow(work, from_arrow_schema(pa.schema(RANKED)))
    found = made.toArrow().to_pandas().sort_values(["probability", "meter_id"], ascending=[False, True])
    return Ranking(found.reset_index(drop=True), last[0], meters.count() - len(found))


def judged(names: list[str], of: Days, model: LabelledModel) -> pa.RecordBatch:
    """RANKED of meters of which enough days are known."""
    rows = matrix(signs(of, model.typical_kwh))
    columns = [names, model.probability(rows), np.sum(~np.isnan(of.kwh), axis=1), model.reasons(rows)]
    return pa.RecordBatch.from_arrays(
        [pa.array(values, kind) for values, kind in zip(columns, RANKED.values(), strict=True)],
        schema=pa.schema(RANKED),
    )


def _ranked(batches: Batches, broadcast: Broadcast[LabelledModel]) -> Batches:
    """The pass over one partition, whose rows are sorted by meter."""
    for rows in whole_meters(batches, DAYS_AT_ONCE):
        names, of = grids(rows)
        known = known_enough(of)
        if known.any():
            yield judged(names[known].tolist(), of.at(known), broadcast.value)
