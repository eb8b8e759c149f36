"""The half year of days before an inspection, or before now, of many meters: rows of Spark's made into grids."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.anomaly.meter_signs import Days
from meterlake.tables.shared_columns import READING_DATE_LOCAL

DAY = READING_DATE_LOCAL.name
WINDOW_DAYS = 182
# So many known days of a window make a meter known.
LEAST_DAYS = 20
# A day counts whose readings are metered, nine tenths of them.
KNOWN_SHARE = 0.9
# So many meters make a day's median one that does not follow any of them.
FEWEST_PEERS = 30
READ = ("window", "at", "kwh", "even", "base")


def known_days(daily: DataFrame, tells_hours: bool) -> DataFrame:
    """meter_id, day (from 1970-01-01), kwh filled up to the whole day, even and base of rows of int_readings_daily that
    are metered.

    Args:
        tells_hours: whether the day's highest and lowest power say anything of its form.
    """
    metered = F.col("completeness") * (1 - F.coalesce("estimated_share", F.lit(0.0))) >= KNOWN_SHARE
    shape = {"even": F.try_divide("avg_power_kw", "max_power_kw"), "base": F.try_divide("min_power_kw", "avg_power_kw")}
    return daily.where(metered & (F.col("consumption_kwh") >= 0)).select(
        "meter_id",
        F.unix_date(DAY).alias("day"),
        (F.col("consumption_kwh") / F.least("completeness", F.lit(1.0))).alias("kwh"),
        *((value if tells_hours else F.lit(None).cast("double")).alias(name) for name, value in shape.items()),
    )


def typical_kwh(days: DataFrame) -> float | None:
    """Energy of an ordinary day among rows of `known_days`; None where there is none above 0."""
    found = days.where("kwh > 0").agg(F.percentile_approx("kwh", 0.5, 10_000)).head()
    return None if found is None or found[0] is None else float(found[0])


def windows(days: DataFrame, until: DataFrame, typical: float) -> DataFrame:
    """READ: the days of each window.

    A day's energy is told beside the median meter's on that day, times the typical day: so weather, season and the date
    of an inspection are no signs. Days with few meters are left as they are.

    Args:
        days: rows of `known_days` of all meters, of the whole time.
        until: meter_id, the name of its window, and until: the first day that the window no longer holds.
    """
    peers = days.groupBy("day").agg(
        F.percentile_approx("kwh", 0.5, 10_000).alias("median"), F.count("*").alias("peers")
    )
    enough = (F.col("peers") >= FEWEST_PEERS) & (F.col("median") > 0)
    beside_peers = F.when(enough, F.col("kwh") * typical / F.col("median")).otherwise(F.col("kwh"))
    return (
        days.join(until, on="meter_id", how="inner")
        .where(F.col("day").between(F.col("until") - WINDOW_DAYS, F.col("until") - 1))
        .join(F.broadcast(peers), on="day", how="left")
        .withColumns({"kwh": beside_peers, "at": F.col("day") - F.col("until") + WINDOW_DAYS})
        .select(*READ)
    )


def grids(rows: pa.Table) -> tuple[NDArray[Any], Days]:
    """The names of the windows and their days, of rows of READ in any order."""
    names, row = np.unique(rows["window"].to_numpy(), return_inverse=True)
    at = rows["at"].to_numpy()

    def grid(name: str) -> NDArray[np.float64]:
        values = np.full((len(names), WINDOW_DAYS), np.nan)
        values[row, at] = rows[name].to_numpy()
        return values

    return names, Days(grid("kwh"), grid("even"), grid("base"))


def known_enough(of: Days) -> NDArray[np.bool_]:
    """(n,) windows of which enough days are known."""
    return np.asarray(np.sum(~np.isnan(of.kwh), axis=1) >= LEAST_DAYS)
