"""Months by Arrow: bit for bit what Spark makes of the same days, where lengths of intervals vary, too."""

from datetime import date, datetime, timedelta

import pytest
from numpy.random import default_rng
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from tests.lake import VILLAGE, row_of

from meterlake.quality.completeness import expected_intervals
from meterlake.sources.source import Format, Source
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.transforms import int_readings_monthly
from meterlake.transforms.int_readings_daily import consumption_measures, peak_of

LONDON = VILLAGE.model_copy(update={"time_zone": "Europe/London"})
VARIES = LONDON.model_copy(update={"format": Format(layout="nem12")})


def daily(spark: SparkSession, source: Source) -> DataFrame:
    """Two meters over a change of the clock, one of them from the 10th on, with days of which nothing is known."""
    rng, rows = default_rng(7), []
    for meter, first in (("a", date(2024, 2, 25)), ("b", date(2024, 3, 10))):
        for day in (first + timedelta(days=n) for n in range(40)):
            length = int(rng.choice([15, 30])) if source.varies else source.interval_minutes
            known = int(rng.choice([0, 20, 1440 // length]))
            share = int(rng.integers(0, known)) / known if known else None
            values = {
                "consumption_kwh": round(float(rng.uniform(0, 9)), 4) if known else None,
                "max_power_kw": float(rng.choice([2.5, 3.0])) if known else None,
                "min_power_kw": float(rng.uniform(0, 1)) if known else None,
                "avg_voltage_v": float(rng.uniform(220, 240)) if known and rng.random() < 0.7 else None,
                "estimated_share": share,
                "edited_share": 0.0 if known else None,
                "quality": str(rng.choice(["measured", "edited", "estimated"])) if known else "missing",
                "peak_hour_kwh": float(rng.choice([1.0, 1.5])) if known else None,
                "peak_hour_start": datetime(day.year, day.month, day.day, 18) if known else None,
                "peak_hour_of_day": 18 if known else None,
                "peak_power_kw": float(rng.choice([2.5, 3.0])) if known else None,
            }
            key = {"source": "village", "meter_id": meter, "reading_date_local": day, "interval_minutes": length}
            counts = {"reading_count": known, "expected_count": 1440 // length}
            rows.append(row_of(INT_READINGS_DAILY, **key, **counts, **values))
    return spark.createDataFrame(rows, INT_READINGS_DAILY.schema)


@pytest.mark.parametrize("source", [LONDON, VARIES], ids=["one_length", "lengths_vary"])
def test_it_says_what_spark_says(spark: SparkSession, source: Source) -> None:
    days = daily(spark, source)
    made = int_readings_monthly.build(days, source).frame().orderBy("meter_id", "month_local").collect()
    month = F.trunc("reading_date_local", "month").alias("month_local")
    peak = peak_of("peak_hour_kwh", "peak_hour_start", "peak_hour_of_day").alias("peak")
    largest = F.max("peak_power_kw").alias("peak_power_kw")
    sums = days.groupBy("meter_id", month).agg(*consumption_measures(source), peak, largest)
    expected = sums.orderBy("meter_id", "month_local").collect()
    names = [name for name in sums.columns if name != "peak"]
    assert [[row[name] for name in names] for row in made] == [[row[name] for name in names] for row in expected]
    peaks = ("peak_hour_kwh", "peak_hour_start", "peak_hour_of_day")
    of_months = [row.peak and tuple(row.peak[name] for name in peaks) for row in expected]
    assert [row.peak_hour_kwh and tuple(row[name] for name in peaks) for row in made] == of_months
    assert len(made) == 5


def test_a_month_has_the_intervals_of_its_days(spark: SparkSession) -> None:
    made = int_readings_monthly.build(daily(spark, LONDON), LONDON).frame().where("meter_id = 'a'")
    days = spark.range(31).select(F.expr("date_add(DATE'2024-03-01', CAST(id AS INT))").alias("day"))
    (expected,) = days.agg(F.sum(expected_intervals(F.col("day"), "Europe/London", 30))).head() or ()
    march = {row.month_local: row for row in made.collect()}[date(2024, 3, 1)]
    assert march.expected_count == expected == 31 * 48 - 2
    assert march.completeness == march.reading_count / expected


def test_where_lengths_vary_days_without_a_row_have_the_last_ones(spark: SparkSession) -> None:
    """Two days of quarter hours and one of half hours in a February of 29 days: 26 more days of half hours."""
    lengths = {1: 15, 2: 15, 3: 30}
    rows = [
        row_of(
            INT_READINGS_DAILY,
            meter_id="a",
            reading_date_local=date(2024, 2, day),
            interval_minutes=length,
            consumption_kwh=1.0,
            reading_count=1440 // length,
            expected_count=1440 // length,
        )
        for day, length in lengths.items()
    ]
    days = spark.createDataFrame(rows, INT_READINGS_DAILY.schema)
    (month,) = int_readings_monthly.build(days, VARIES).frame().collect()
    assert (month.reading_count, month.expected_count) == (2 * 96 + 48, 2 * 96 + 27 * 48)
    assert month.completeness == 3 / 29
    assert month.avg_power_kw == 3.0 / 72
