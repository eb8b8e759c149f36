"""Fit the model of ordinary days on a bounded number of the last meter-days, on the driver."""

from datetime import timedelta

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.anomaly.meter_day import DayModel, fit
from meterlake.anomaly.train import drawn
from meterlake.settings import Model
from meterlake.tables.shared_columns import READING_DATE_LOCAL
from meterlake.transforms.mart_inspections import READ, meter_days, metered_hours

DAY = READING_DATE_LOCAL.name
# 500 meters of half a year are 2.2 million hours, 70 MB; of fewer meters as much longer a time, ten years at most.
MOST_METERS, HALF_A_YEAR, MOST_DAYS = 500, 183, 3660
FEWEST_DAYS = 300  # a thousandth of fewer days would be no day at all


def train_days(hourly: DataFrame, daily: DataFrame, meters: DataFrame, conf: Model) -> DayModel | None:
    """A model of the rows of int_readings_hourly of one source; None with fewer than FEWEST_DAYS days to learn from.

    Args:
        daily: rows of int_readings_daily of the source, for its last day.
        meters: rows of stg_meters of the source; the hash of its name decides about a meter.
    """
    last = daily.agg(F.max(DAY)).head()
    count = meters.count()
    if not last or last[0] is None or not count:
        return None
    recent = hourly.where(F.col(DAY) > last[0] - timedelta(days=days_back(count)))
    some = metered_hours(recent.where(drawn("meter_id", conf.seed) < MOST_METERS / count))
    rows: pa.Table = some.toArrow().sort_by([(name, "ascending") for name in READ[:3]])
    known = meter_days(rows)
    judged = known.judged
    return fit(known, judged, conf.day_alarm_share, conf.threshold) if judged.sum() >= FEWEST_DAYS else None


def days_back(meters: int) -> int:
    """How many of the last days are learnt from, of a source with so many meters."""
    return min(HALF_A_YEAR * max(1, MOST_METERS // meters), MOST_DAYS)
