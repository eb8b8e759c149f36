"""Which of several lines about one interval is the current reading.

A meter's interval may be delivered many times. Lines are taken in the order of delivery (file, then line):

- the same values again change nothing: `exact_duplicate`;
- other values in a later file replace the reading: the line before is `superseded`;
- other values in the same file: nobody can say which line is right, none is taken: `conflicting_duplicate`.

Reading the batches one by one and reading them all at once end in the same state, because each line is compared with
what stood before it.
"""

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from meterlake.quality.rules import CONFLICTING_DUPLICATE, EXACT_DUPLICATE

CURRENT, SUPERSEDED, REPLACED = "current", "superseded", "replaced"

# What makes two lines about an interval the same: everything measured.
MEASURED = (
    "consumption_kwh",
    "register_kwh",
    "voltage_v",
    "sub_metering_1_kwh",
    "sub_metering_2_kwh",
    "sub_metering_3_kwh",
    "temperature_c",
    "humidity_pct",
    "wind_speed_kmh",
    "avg_past_consumption_kwh",
    "anomaly_label",
)

INTERVAL = ("meter_id", "reading_timestamp")
DELIVERY = ("file_id", "line_order")
WHOLE = (Window.unboundedPreceding, Window.unboundedFollowing)


def resolve(rows: DataFrame) -> DataFrame:
    """Give each row its `status` among the rows of the same meter and interval.

    One shuffle by meter and one sort by (meter, interval, file, line) serve all windows, and the rows leave in that
    order: silver is written meter by meter.

    Args:
        rows: valid rows of one source; rows that are current already stand first with `file_id` 0.

    Returns:
        The same rows with `status` (current, exact_duplicate, conflicting_duplicate, superseded; replaced for a row
        that was current before) and `after_kwh`, the interval's energy in the end.
    """
    by_interval = Window.partitionBy(*INTERVAL)
    # Ordered although it takes the whole file: so it shares the sort of the windows below.
    in_file = Window.partitionBy(*INTERVAL, "file_id").orderBy("line_order").rowsBetween(*WHOLE)
    delivered = by_interval.orderBy(*DELIVERY)
    before = delivered.rowsBetween(Window.unboundedPreceding, -1)
    after = delivered.rowsBetween(1, Window.unboundedFollowing)
    whole = delivered.rowsBetween(*WHOLE)

    # Equal hashes stand for equal measurements: two lines about one interval collide once in 2^64.
    hashed = rows.repartition("meter_id").withColumn("measured", F.xxhash64(*MEASURED))
    judged = hashed.withColumn("conflicts", F.min("measured").over(in_file) != F.max("measured").over(in_file))
    stood = F.last(F.when(~F.col("conflicts"), F.col("measured")), ignorenulls=True).over(before)
    changed = judged.withColumn("changes", ~F.col("conflicts") & ~stood.eqNullSafe(F.col("measured")))
    changes_later = F.coalesce(F.max("changes").over(after), F.lit(False))
    # In a struct, so that a change to an unknown value is told from a line that changes nothing.
    last_change = F.last(F.when(F.col("changes"), F.struct("consumption_kwh")), ignorenulls=True).over(whole)
    return changed.select(
        *rows.columns, _status(changes_later).alias("status"), last_change["consumption_kwh"].alias("after_kwh")
    )


def _status(changes_later: Column) -> Column:
    replaced = F.when(F.col("file_id") == 0, F.lit(REPLACED)).otherwise(F.lit(SUPERSEDED))
    return (
        F.when(F.col("conflicts"), F.lit(CONFLICTING_DUPLICATE))
        .when(~F.col("changes"), F.lit(EXACT_DUPLICATE))
        .when(changes_later, replaced)
        .otherwise(F.lit(CURRENT))
    )
