"""loss_findings: hours of customers and of their transformer -> the meter-days that explain what it misses."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from meterlake.losses.attribution import FORMS, HOURS, Attributed, attribute
from meterlake.sources.source import Source, TechnicalLoss
from meterlake.tables.loss_findings import LOSS_FINDINGS
from meterlake.transforms.int_readings_hourly import wholly_metered

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DAY = "reading_date_local"
TRANSFORMER_DAY = ("transformer", DAY)
# A meter that has read within so many days counts as there: an unknown hour of it makes the hour unknown.
MEMBER_DAYS = 7
# Among more meters one meter's load is within the errors of the others: such a transformer is not judged.
MOST_METERS = 200
# Readings of a transformer that are worked off together: 16 MB per array.
AT_ONCE = 2_000_000
FOUND = {
    "transformer": pa.string(),
    "meter_id": pa.string(),
    DAY: pa.date32(),
    "form": pa.string(),
    "probability": pa.float64(),
    "hidden_kwh": pa.float64(),
    "missing_kwh": pa.float64(),
    "reason": pa.string(),
}


def build(
    hourly: DataFrame, daily: DataFrame, meters: DataFrame, source: Source, wanted: DataFrame | None
) -> DataFrame:
    """Rows of `loss_findings`. One shuffle of hours, by transformer.

    Args:
        hourly: hours of the source and of its supply meters, of the wanted days or more.
        daily: days of both, of the wanted days and the MEMBER_DAYS before them: who was there.
        meters: `stg_meters` of both.
        wanted: distinct TRANSFORMER_DAY to judge; None judges all.
    """
    assert source.losses is not None
    placed = meters.where(F.col("transformer").isNotNull()).withColumn(
        "is_supply", F.col("source") == source.losses.supply_source
    )
    # Only where there is something to compare: a supply meter and not too many customers.
    supplied = placed.groupBy("transformer").agg(F.count_if("is_supply").alias("heads"), F.count("*").alias("meters"))
    supplied = supplied.where((F.col("heads") > 0) & (F.col("meters") - F.col("heads") <= MOST_METERS))
    placed = placed.join(supplied.select("transformer"), on="transformer", how="left_semi").select(
        "source", "meter_id", "transformer", "is_supply"
    )
    hours = hourly.join(placed, on=["source", "meter_id"]).select(
        "transformer",
        "is_supply",
        "meter_id",
        DAY,
        "hour_of_day",
        F.when(wholly_metered(), F.col("consumption_kwh")).alias("kwh"),
    )
    there = daily.where(F.col("reading_count") > 0).join(placed, on=["source", "meter_id"])
    if wanted is not None:
        hours = hours.join(wanted, on=list(TRANSFORMER_DAY), how="left_semi")
        there = there.join(wanted.select("transformer").distinct(), on="transformer", how="left_semi")
    presence = there.select(*TRANSFORMER_DAY, "is_supply", "meter_id")  # rows without an hour
    loss = source.losses.transformer

    def of_transformer(rows: pa.Table) -> pa.Table:
        return _explained(rows, loss)

    found = (
        hours.unionByName(presence, allowMissingColumns=True)
        .groupBy("transformer")
        .applyInArrow(of_transformer, from_arrow_schema(pa.schema(FOUND)))
    )
    places = meters.where(F.col("source") == source.name).select("source", "meter_id", "region", "feeder")
    return found.join(places, on="meter_id").select(
        *(F.col(field.name).cast(field.dataType) for field in LOSS_FINDINGS.schema)
    )


def _explained(rows: pa.Table, loss: TechnicalLoss) -> pa.Table:
    """Inside a task: FOUND of one transformer. A row without an hour only tells that its meter was there that day."""
    names = pc.unique(rows["meter_id"]).sort()  # sums are then the same in whatever order the rows come
    meter = pc.index_in(rows["meter_id"], names).to_numpy()
    day = pc.cast(rows[DAY], pa.int32()).to_numpy()
    hour = rows["hour_of_day"].fill_null(-1).to_numpy()
    kwh = rows["kwh"].to_numpy()
    is_supply = np.zeros(len(names), dtype=bool)
    is_supply[meter] = rows["is_supply"].to_numpy()
    customers = names.filter(pa.array(~is_supply))
    member = Members.of(meter, day)
    wanted = np.unique(day[hour >= 0])
    if not len(wanted) or not len(customers):
        return pa.schema(FOUND).empty_table()
    parts = []
    each = max(1, AT_ONCE // (HOURS * len(is_supply)))
    for days in np.array_split(wanted, -(-len(wanted) // each)):
        some = (hour >= 0) & (day >= days[0]) & (day <= days[-1])
        read = np.full((len(days), len(is_supply), HOURS), np.nan)
        cell = np.searchsorted(days, day[some]), meter[some], hour[some]
        read[cell] = 0.0
        np.add.at(read, cell, kwh[some])  # an hour of the clock that comes twice in autumn holds both
        there = member.on(days)
        supplied = _supplied(read[:, is_supply], there[:, is_supply])
        found = attribute(read[:, ~is_supply], there[:, ~is_supply], supplied, loss)
        parts.append(_found(found, days, customers))
    transformer = pa.repeat(rows["transformer"][0], sum(map(len, parts)))
    return pa.concat_tables(parts).add_column(0, "transformer", transformer)


@dataclass(frozen=True)
class Members:
    """Who was there: (days from `first` on, meters) whether the meter has read then or in the MEMBER_DAYS before."""

    first: int
    there: Bools

    @classmethod
    def of(cls, meter: Ints, day: Ints) -> "Members":
        first, last = int(day.min()), int(day.max())
        seen = np.zeros((MEMBER_DAYS + last - first + 1, int(meter.max()) + 1), dtype=bool)
        seen[MEMBER_DAYS + day - first, meter] = True
        weeks = sliding_window_view(seen, MEMBER_DAYS + 1, axis=0)
        return cls(first, np.asarray(weeks.any(axis=-1), dtype=bool))

    def on(self, days: Ints) -> Bools:
        return self.there[days - self.first]


def _supplied(heads: Floats, there: Bools) -> Floats:
    """(d, 24) the sum of the transformer's supply meters (d, s, 24); NaN where one is unknown, or none is there."""
    total = np.where(there[..., None], heads, 0.0).sum(axis=1)
    return np.where(np.asarray(there.any(axis=1), dtype=bool)[:, None], total, np.nan)


def _found(of: Attributed, days: Ints, meters: pa.Array) -> pa.Table:
    """FOUND of the meters that are named, without the transformer."""
    day, meter = np.nonzero(of.named)
    columns = {
        "meter_id": meters.take(pa.array(meter)),
        DAY: pa.array(days[day], pa.int32()).cast(pa.date32()),
        "form": pa.array([FORMS[form] for form in of.form[day, meter]], pa.string()),
        "probability": pa.array(of.probability[day, meter].round(6)),  # what lies below is the order of sums
        "hidden_kwh": pa.array(of.hidden_kwh[day, meter]),
        "missing_kwh": pa.array(of.missing_kwh[day]),
        "reason": pa.array([of.told(*one) for one in zip(day, meter, strict=True)], pa.string()),
    }
    return pa.table(columns)
