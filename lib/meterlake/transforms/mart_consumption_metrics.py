"""Days -> consumption per day, week and month, against the period before and a year before."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.sources.source import Source
from meterlake.tables.months import later
from meterlake.tables.spans import A_DAY, last_day
from meterlake.transforms.int_readings_daily import peak_of
from meterlake.transforms.int_readings_hourly import SHARES, exact_sum, hours_of, joint_share, worst_quality

METER = ("source", "meter_id")


@dataclass(frozen=True)
class Period:
    """A kind of period: from a day to its first day, and from a first day to the ones it is compared with.

    Attributes:
        compared: what `previous` and `year_before` give.
    """

    name: str
    start: Callable[[Column], Column]
    previous: Callable[[Column], Column]
    year_before: Callable[[Column], Column]
    compared: Callable[[date], tuple[date, date]]


def _years_later(day: date, years: int) -> date:
    """As Spark's add_months: of 29 February the 28th."""
    month = later(day, 12 * years)
    return month.replace(day=min(day.day, last_day(month).day))


PERIODS = (
    Period(
        "day",
        lambda day: day,
        lambda day: F.date_sub(day, 1),
        lambda day: F.add_months(day, -12),
        lambda day: (day - A_DAY, _years_later(day, -1)),
    ),
    # 52 weeks before, so that a week is compared with one of the same season and the same weekdays.
    Period(
        "week",
        lambda day: F.trunc(day, "week"),
        lambda day: F.date_sub(day, 7),
        lambda day: F.date_sub(day, 364),
        lambda week: (week - 7 * A_DAY, week - 364 * A_DAY),
    ),
    Period(
        "month",
        lambda day: F.trunc(day, "month"),
        lambda day: F.add_months(day, -1),
        lambda day: F.add_months(day, -12),
        lambda month: (later(month, -1), later(month, -12)),
    ),
)


def build(daily: DataFrame, meters: DataFrame, source: Source, changed: Collection[date] | None = None) -> DataFrame:
    """Rows of `mart_consumption_metrics` from all days of the periods concerned and of those they are compared with.

    Args:
        changed: of periods that these days do not affect (`affected_days`) no rows are wanted, though some may come.
    """
    starts = None if changed is None else {start for day in changed for start in affected_days(day)}
    # Everything below groups and joins within a meter: this is the only shuffle.
    by_meter = daily.repartition("meter_id")
    periods = reduce(DataFrame.unionByName, (_compared(by_meter, period, source, starts) for period in PERIODS))
    return periods.join(meters.select(*METER, "region", "feeder"), on=list(METER), how="left")


def affected_days(day: date) -> list[date]:
    """The first days of all periods that a changed day has a part in, directly or as what others are compared with."""
    a_year_later, week, month = _years_later(day, 1), day - timedelta(days=day.weekday()), day.replace(day=1)
    days = [day, day + A_DAY, a_year_later, a_year_later + A_DAY]
    weeks = [week, week + 7 * A_DAY, week + 364 * A_DAY]
    return [*days, *weeks, month, later(month), later(month, 12)]


def days_to_read(first: date, last: date) -> list[tuple[date, date]]:
    """The days of all periods that changes from `first` to `last` affect, and of those they are compared with.

    That is the months around the change, from the one before to the one after, and the same months a year earlier and
    a year later, with a week for the weeks at their ends: not the 26 months between.

    Returns:
        (from, to) ranges, both days included; they may overlap.
    """
    begin, end = later(first, -1), later(last, 2)
    week = timedelta(days=7)
    return [(later(begin, 12 * year) - week, later(end, 12 * year) + week) for year in (-1, 0, 1)]


def _compared(daily: DataFrame, period: Period, source: Source, starts: set[date] | None) -> DataFrame:
    """Rows of one kind of period, of those that begin at `starts` where given, and what these are compared with."""
    if starts is not None:
        needed = starts.union(*map(period.compared, starts))
        daily = daily.where(period.start(F.col("reading_date_local")).isin(needed))
    rows = _summed(daily, period, source)
    key = [*METER, "period_start_local"]
    known = rows.select(*key, "consumption_kwh")
    previous = known.withColumnsRenamed({"period_start_local": "previous_start", "consumption_kwh": "previous_kwh"})
    year = known.withColumnsRenamed({"period_start_local": "year_before_start", "consumption_kwh": "year_before_kwh"})
    start = F.col("period_start_local")
    return (
        rows.withColumn("previous_start", period.previous(start))
        .withColumn("year_before_start", period.year_before(start))
        .join(previous, on=[*METER, "previous_start"], how="left")
        .join(year, on=[*METER, "year_before_start"], how="left")
        .withColumn("change_pct", _change("previous_kwh"))
        .withColumn("year_change_pct", _change("year_before_kwh"))
        .drop("previous_start", "year_before_start")
    )


def _summed(daily: DataFrame, period: Period, source: Source) -> DataFrame:
    mean_power = F.col("consumption_kwh") / F.col("known_hours")
    peak = peak_of("peak_hour_kwh", "peak_hour_start", "peak_hour_of_day")
    start = period.start(F.col("reading_date_local")).cast("date")
    return (
        daily.groupBy(*METER, start.alias("period_start_local"))
        .agg(
            exact_sum("consumption_kwh").alias("consumption_kwh"),
            F.max("peak_power_kw").alias("peak_power_kw"),
            peak["peak_hour_of_day"].alias("peak_hour_of_day"),
            F.sum("reading_count").alias("reading_count"),
            F.sum("expected_count").alias("expected_count"),
            *(joint_share(quality).alias(f"{quality}_share") for quality in SHARES),
            worst_quality().alias("quality"),
            hours_of(source).alias("known_hours"),
            hours_of(source, "expected_count").alias("expected_hours"),
        )
        .withColumn("period", F.lit(period.name))
        .withColumn("load_factor", F.when(F.col("peak_power_kw") > 0, mean_power / F.col("peak_power_kw")))
        .withColumn("completeness", _completeness(source))
        .drop("known_hours", "expected_hours")
    )


def _completeness(source: Source) -> Column:
    known, expected = ("known_hours", "expected_hours") if source.varies else ("reading_count", "expected_count")
    return F.col(known) / F.col(expected)


def _change(before: str) -> Column:
    return F.when(F.col(before) != 0, (F.col("consumption_kwh") / F.col(before) - 1) * 100)
