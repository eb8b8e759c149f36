"""When a transformer or feeder was supplied with nothing: who is silent then used nothing, and is not to be estimated.

A meter's own past cannot tell, nor can its neighbours' silence: a lost file looks the same. The supply meter can.
"""

from datetime import timedelta

import numpy as np
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from meterlake.run import Run
from meterlake.tables.changes import Changes
from meterlake.tables.corrected_readings import CORRECTED_READINGS
from meterlake.tables.shared_columns import READING_DATE_LOCAL
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms.mart_energy_balance import LEVELS, placed
from meterlake.vee.estimate import METHODS, NO_SUPPLY
from meterlake.vee.judge import Dark

DAY = READING_DATE_LOCAL.name
ELEMENT = ("level", "element")
# Of each customer below: less than a home on standby takes. A transformer's no-load loss is 0.002 to 0.01 of it.
NOTHING_KW = 0.02
# Longer, and the supply meter is likelier to be dead than its element.
LONGEST_MINUTES = 24 * 60


def concerned(run: Run) -> Changes:
    """The customers' days whose estimates may change as their supply meters' readings did since the step succeeded."""
    nothing = Changes(run.source.name, None, None, None)
    if not _is_measured(run) or run.seen("vee", STG_METER_READINGS) is None:
        return nothing
    assert run.source.losses is not None
    supply = run.changes_of(run.source.losses.supply_source, "vee", STG_METER_READINGS)
    if supply.nothing:
        return nothing
    days = _days(supply, LONGEST_MINUTES // 1440)
    is_now = spans(run, days).select("meter_id", F.explode("days").alias("day"))
    if run.store.exists(CORRECTED_READINGS):
        was = run.store.read(CORRECTED_READINGS, run.source.name).where(F.col("method") == METHODS[NO_SUPPLY])
        is_now = is_now.union(was.where(days).select("meter_id", DAY))
    return Changes.of_frame(run.source.name, is_now.distinct().persist())


def dark(run: Run, changed: Changes, reach_days: int) -> Dark:
    """By changed meter when it was supplied with nothing, around the changed days."""
    if not _is_measured(run):
        return {}
    found = spans(run, _days(changed, reach_days)).select("meter_id", "begin", "end")
    if changed.days is not None:
        found = found.join(changed.days.select("meter_id").distinct(), on="meter_id", how="left_semi")
    of_meters = found.toPandas().groupby("meter_id")
    return {str(meter): rows[["begin", "end"]].to_numpy(np.int64) for meter, rows in of_meters}


def spans(run: Run, days: str) -> DataFrame:
    """`meter_id`, `begin`, `end` (minutes since 1970 UTC), `days` of each stretch in which a customer's transformer,
    feeder or region was supplied with nothing: all of its supply meters say so.
    """
    store, source = run.store, run.source
    assert source.losses is not None
    meters = store.read(STG_METERS)
    levels = F.array(*(F.struct(F.lit(level).alias("level"), F.col(level).alias("element")) for level in LEVELS))
    customers = meters.where(F.col("source") == source.name).select("meter_id", F.inline(levels))
    supply_meters = placed(meters.where(F.col("source") == source.losses.supply_source))
    elements = supply_meters.groupBy(*ELEMENT).agg(F.count("*").alias("meters"))
    elements = elements.join(customers.groupBy(*ELEMENT).agg(F.count("*").alias("customers")), on=list(ELEMENT))
    measured = supply_meters.select("meter_id", *ELEMENT).join(elements, on=list(ELEMENT))

    readings = store.read(STG_METER_READINGS, source.losses.supply_source).where(days).where("quality = 'measured'")
    next_to_nothing = F.col("consumption_kwh") <= NOTHING_KW * F.col("customers") * F.col("interval_minutes") / 60
    begin = (F.unix_timestamp("reading_timestamp") / 60).cast("bigint").alias("begin")
    low = readings.join(F.broadcast(measured), on="meter_id").where(next_to_nothing)
    low = low.groupBy(*ELEMENT, begin, "interval_minutes", "meters").agg(
        F.count("*").alias("say"), F.min(DAY).alias(DAY)
    )
    low = low.where("say = meters").withColumn("end", F.col("begin") + F.col("interval_minutes"))

    by_time = Window.partitionBy(*ELEMENT).orderBy("begin")
    anew = (F.col("begin") != F.coalesce(F.lag("end").over(by_time), F.lit(-1))).cast("int")
    stretches = (
        low.withColumn("stretch", F.sum(anew).over(by_time.rowsBetween(Window.unboundedPreceding, 0)))
        .groupBy(*ELEMENT, "stretch")
        .agg(F.min("begin").alias("begin"), F.max("end").alias("end"), F.collect_set(DAY).alias("days"))
        .where(F.col("end") - F.col("begin") <= LONGEST_MINUTES)
    )
    return customers.join(F.broadcast(stretches), on=list(ELEMENT)).select("meter_id", "begin", "end", "days")


def _is_measured(run: Run) -> bool:
    losses = run.source.losses
    return run.source.vee.estimate and losses is not None and run.store.has(STG_METERS, losses.supply_source)


def _days(changed: Changes, around: int) -> str:
    """A condition of literals, so that Delta skips the files of other days."""
    if changed.everything or changed.first is None or changed.last is None:
        return "true"
    ends = changed.first - timedelta(days=around), changed.last + timedelta(days=around)
    return f"{DAY} BETWEEN DATE'{ends[0]}' AND DATE'{ends[1]}'"
