"""The story of a run, step by step. A job file, a CLI command and a DAG task have the name of the step they do.

Each step reads what changed since its own last success, hands it to a pure function, writes, and is marked as done by
its last write (`Run.perform`). A step that was killed is done again from the same state.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from pyspark.sql import functions as F

from meterlake.errors import GateFailed, UsageError
from meterlake.ingest import ingest
from meterlake.run import Outcome, Run
from meterlake.stage import stage
from meterlake.tables.catalog import MARTS
from meterlake.tables.changes import following_days, month_of
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.mart_consumption_metrics import MART_CONSUMPTION_METRICS
from meterlake.tables.mart_load_profile import MART_LOAD_PROFILE
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import (
    int_consumption_features,
    int_readings_daily,
    int_readings_hourly,
    int_readings_monthly,
    mart_anomaly_flags,
    mart_anomaly_scores,
    mart_consumption_metrics,
    mart_load_profile,
)

log = logging.getLogger("meterlake")

DAY = "reading_date_local"
# A feature looks back 168 h. In local days that is 7, and one more where a clock change or the zone cuts a day.
LOOKS_BACK_DAYS = 8


def aggregate(run: Run) -> Outcome:
    """Silver readings -> hours, days, months and features of the meter-days that changed."""
    store, source = run.store, run.source
    changed = run.changes("aggregate", STG_METER_READINGS)
    if changed.nothing:
        return Outcome(nothing_new=True)
    version = store.version(STG_METER_READINGS)
    readings = store.read(STG_METER_READINGS, version=version)

    of_changed_days = changed.days_in(readings, DAY)
    rows = store.replace(int_readings_hourly.build(of_changed_days, source), INT_READINGS_HOURLY, changed)
    hourly = changed.days_in(store.read(INT_READINGS_HOURLY), DAY)
    rows += store.replace(int_readings_daily.build(hourly, source), INT_READINGS_DAILY, changed)

    months = changed.also(month_of)
    daily = changed.meters_in(store.read(INT_READINGS_DAILY), DAY, before=31, after=31)
    monthly = months.days_in(int_readings_monthly.build(daily, source), "month_local")
    rows += store.replace(monthly, INT_READINGS_MONTHLY, months)

    depend = changed.also(following_days(LOOKS_BACK_DAYS))
    # One day more than a feature looks back: the prefix sums begin at a UTC midnight.
    near = changed.meters_in(readings, DAY, before=LOOKS_BACK_DAYS + 1, after=LOOKS_BACK_DAYS)
    features = depend.days_in(int_consumption_features.build(near, source.interval_minutes), DAY)
    written = store.replace(features, INT_CONSUMPTION_FEATURES, depend)
    return Outcome(rows_in=written, rows_out=rows + written, inputs={STG_METER_READINGS.name: version})


def marts(run: Run) -> Outcome:
    """Days, hours and scores -> the marts, for what changed."""
    store, source = run.store, run.source
    days, scored = run.changes("marts", INT_READINGS_DAILY), run.changes("marts", MART_ANOMALY_SCORES)
    if days.nothing and scored.nothing:
        return Outcome(nothing_new=True)
    inputs = {table.name: store.version(table) for table in (INT_READINGS_DAILY, MART_ANOMALY_SCORES)}
    meters = store.read(STG_METERS, source.name)

    periods = days.also(mart_consumption_metrics.affected_days)
    daily = days.meters_in(store.read(INT_READINGS_DAILY), DAY, before=400, after=400)
    metrics = periods.days_in(mart_consumption_metrics.build(daily, meters, source), "period_start_local")
    rows = store.replace(metrics, MART_CONSUMPTION_METRICS, periods)

    months = days.also(month_of)
    hourly = days.meters_in(store.read(INT_READINGS_HOURLY), DAY, before=31, after=31)
    profile = months.days_in(mart_load_profile.build(hourly, meters, source), "month_local")
    rows += store.replace(profile, MART_LOAD_PROFILE, months)

    flags = mart_anomaly_flags.build(scored.days_in(store.read(MART_ANOMALY_SCORES), DAY), meters)
    rows += store.replace(flags, MART_ANOMALY_FLAGS, scored)
    outputs = {table.name: store.version(table) for table in MARTS}
    return Outcome(rows_in=rows, rows_out=rows, inputs=inputs, outputs=outputs)
