"""PySpark as the textbooks write it: one read, dropDuplicates, RANGE frames, groupBys, a pandas UDF, Parquet.

Readable and right, by a good engineer who has not tuned: Spark's own defaults, each table written and read back by the
steps after it.
"""

import os
import sys

import pandas as pd
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from tests.benchmarks.given_model import INPUTS, load
from tests.benchmarks.job import Job

LINE = """meter_id string, timestamp timestamp, consumption_kwh double, voltage_v double, temperature_c double,
    region string, feeder string, transformer string, customer_id string, _corrupt_record string"""
KEY = ["meter_id", "reading_timestamp"]
VALUES = ["consumption_kwh", "voltage_v", "temperature_c"]
DAY = 24 * 3600
TYPES = ("high_consumption", "low_consumption", "unusual_pattern")
SCORED = "raw_score double, anomaly_score double, reasons string"


def run(job: Job) -> None:
    with job.step("start"):
        spark = _session(job)
    with job.step("readings"):
        lines = spark.read.csv(str(job.input), schema=LINE, header=True, columnNameOfCorruptRecord="_corrupt_record")
        lines = (
            lines.withColumnRenamed("timestamp", "reading_timestamp")
            .withColumn("source_file", F.input_file_name())
            .cache()
        )
        readings, rejected = split(lines)
        _write(readings, job, "readings")
        _write(rejected, job, "rejected")
        meters = lines.where("meter_id IS NOT NULL").groupBy("meter_id")
        # A line with too few fields has a meter but no place.
        known = (F.first(name, ignorenulls=True).alias(name) for name in ("region", "feeder"))
        places = meters.agg(*known).cache()
        places.count()
        lines.unpersist()
    with job.step("aggregates"):
        _write(hourly(_read(spark, job, "readings")), job, "hourly")
        _write(daily(_read(spark, job, "hourly")), job, "daily")
        _write(monthly(_read(spark, job, "daily")), job, "monthly")
    with job.step("features"):
        _write(features(_read(spark, job, "readings")), job, "features")
    with job.step("scores"):
        _write(scores(_read(spark, job, "features"), job), job, "mart_anomaly_scores")
    with job.step("marts"):
        _write(flags(_read(spark, job, "mart_anomaly_scores"), places), job, "mart_anomaly_flags")
        _write(metrics(_read(spark, job, "daily"), places), job, "mart_consumption_metrics")
        _write(profile(_read(spark, job, "hourly"), places), job, "mart_load_profile")
    spark.stop()


def _session(job: Job) -> SparkSession:
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return (
        SparkSession.builder.appName("textbook")
        .master(f"local[{job.threads}]")
        .config("spark.driver.memory", "8g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.local.dir", str(job.out.parent / "tmp"))
        .config("spark.sql.warehouse.dir", str(job.out.parent / "tmp"))
        .getOrCreate()
    )


def _read(spark: SparkSession, job: Job, table: str) -> DataFrame:
    return spark.read.parquet(str(job.out / table))


def _write(frame: DataFrame, job: Job, table: str) -> None:
    frame.write.parquet(str(job.out / table))


def split(lines: DataFrame) -> tuple[DataFrame, DataFrame]:
    """(readings, rejected)."""
    read = lines.where("_corrupt_record IS NULL").withColumn("reasons", F.array_compact(F.array(*_broken_rules())))
    invalid = read.where(F.size("reasons") > 0)
    valid = read.where(F.size("reasons") == 0)
    distinct = valid.dropDuplicates([*KEY, *VALUES])
    conflicting = distinct.groupBy(*KEY).count().where("count > 1").select(*KEY)
    copies = valid.groupBy(*KEY, *VALUES).agg(F.count("*").alias("count"), F.first("source_file").alias("source_file"))
    exact = (
        copies.where("count > 1")
        .join(conflicting, on=KEY, how="left_anti")
        .withColumn("copy", F.explode(F.sequence(F.lit(2), F.col("count"))))
    )
    corrupt = lines.where("_corrupt_record IS NOT NULL").select(
        F.lit(None).cast("string").alias("meter_id"),
        F.lit(None).cast("timestamp").alias("reading_timestamp"),
        F.lit(None).cast("double").alias("consumption_kwh"),
        F.array(F.lit("unparsable")).alias("reasons"),
        "source_file",
        F.col("_corrupt_record").alias("raw_line"),
    )
    rejected = (
        invalid.select(*KEY, "consumption_kwh", "reasons", "source_file")
        .unionByName(_repeated(valid.join(conflicting, on=KEY, how="left_semi"), "conflicting_duplicate"))
        .unionByName(_repeated(exact, "exact_duplicate"))
        .unionByName(corrupt, allowMissingColumns=True)
    )
    return _readings(distinct.join(conflicting, on=KEY, how="left_anti")), rejected


def _broken_rules() -> list[Column]:
    off_cadence = F.unix_micros("reading_timestamp") % 900_000_000 != 0
    broken = {
        "missing_meter": F.col("meter_id").isNull() | (F.trim("meter_id") == ""),
        "missing_timestamp": F.col("reading_timestamp").isNull(),
        "missing_value": F.col("consumption_kwh").isNull(),
        "negative_energy": F.col("consumption_kwh") < 0,
        "energy_out_of_range": F.col("consumption_kwh") > 100,
        "voltage_out_of_range": ~F.col("voltage_v").between(0, 276),
        "temperature_out_of_range": ~F.col("temperature_c").between(-50, 60),
        "future_timestamp": F.col("reading_timestamp") > F.current_timestamp(),
        "off_cadence_timestamp": off_cadence,
    }
    return [F.when(condition, F.lit(name)) for name, condition in broken.items()]


def _repeated(rows: DataFrame, reason: str) -> DataFrame:
    return rows.select(*KEY, "consumption_kwh", F.array(F.lit(reason)).alias("reasons"), "source_file")


def _readings(rows: DataFrame) -> DataFrame:
    stamp = F.col("reading_timestamp")
    return rows.select(
        F.concat_ws(":", F.lit("ami"), "meter_id", F.unix_timestamp(stamp)).alias("reading_id"),
        *KEY,
        "consumption_kwh",
        (F.col("consumption_kwh") / 0.25).alias("active_power_kw"),
        "voltage_v",
        "temperature_c",
        F.to_date(stamp).alias("reading_date_local"),
        F.hour(stamp).alias("hour_of_day"),
        (F.weekday(stamp) + 1).alias("day_of_week"),
    )


def hourly(readings: DataFrame) -> DataFrame:
    hour_start = F.date_trunc("hour", "reading_timestamp").alias("hour_start")
    return (
        readings.groupBy("meter_id", hour_start, "reading_date_local", "hour_of_day")
        .agg(
            F.round(F.sum("consumption_kwh"), 8).alias("consumption_kwh"),
            F.max("active_power_kw").alias("max_power_kw"),
            F.min("active_power_kw").alias("min_power_kw"),
            F.avg("voltage_v").alias("avg_voltage_v"),
            F.count("*").alias("reading_count"),
        )
        .withColumn("expected_count", F.lit(4))
        .transform(_with_shares)
    )


def _with_shares(rows: DataFrame) -> DataFrame:
    return rows.withColumns(
        {
            "avg_power_kw": F.col("consumption_kwh") / (F.col("reading_count") * 0.25),
            "completeness": F.col("reading_count") / F.col("expected_count"),
        }
    )


def _measures() -> list[Column]:
    return [
        F.round(F.sum("consumption_kwh"), 8).alias("consumption_kwh"),
        F.max("max_power_kw").alias("max_power_kw"),
        F.min("min_power_kw").alias("min_power_kw"),
        (F.sum(F.col("avg_voltage_v") * F.col("reading_count")) / F.sum("reading_count")).alias("avg_voltage_v"),
        F.sum("reading_count").alias("reading_count"),
    ]


def _at_peak(name: str, energy: str, start: str) -> Column:
    """A column at the hour of the largest energy, the first of equals."""
    return F.max_by(name, F.struct(F.col(energy), -F.unix_timestamp(start)))


def daily(hours: DataFrame) -> DataFrame:
    return (
        hours.groupBy("meter_id", "reading_date_local")
        .agg(
            *_measures(),
            _at_peak("hour_start", "consumption_kwh", "hour_start").alias("peak_hour_start"),
            _at_peak("hour_of_day", "consumption_kwh", "hour_start").alias("peak_hour_of_day"),
            F.max("consumption_kwh").alias("peak_hour_kwh"),
        )
        .withColumns({"expected_count": F.lit(96), "peak_power_kw": F.col("max_power_kw")})
        .transform(_with_shares)
    )


def monthly(days: DataFrame) -> DataFrame:
    month = F.trunc("reading_date_local", "month").alias("month_local")
    return (
        days.groupBy("meter_id", month)
        .agg(
            *_measures(),
            _at_peak("peak_hour_start", "peak_hour_kwh", "peak_hour_start").alias("peak_hour_start"),
            _at_peak("peak_hour_of_day", "peak_hour_kwh", "peak_hour_start").alias("peak_hour_of_day"),
            F.max("peak_hour_kwh").alias("peak_hour_kwh"),
        )
        .withColumn("expected_count", 96 * F.day(F.last_day("month_local")))
        .withColumn("peak_power_kw", F.col("max_power_kw"))
        .transform(_with_shares)
    )


def features(readings: DataFrame) -> DataFrame:
    in_time = Window.partitionBy("meter_id").orderBy(F.unix_timestamp("reading_timestamp"))
    hour, day = in_time.rangeBetween(-3599, 0), in_time.rangeBetween(1 - DAY, 0)
    last_day, last_week = in_time.rangeBetween(-DAY, -DAY), in_time.rangeBetween(-7 * DAY, -7 * DAY)
    mean = F.col("rolling_mean_kwh_24h")
    return (
        readings.drop("voltage_v")
        .withColumn("rolling_mean_kwh_1h", F.avg("consumption_kwh").over(hour))
        .withColumn("rolling_mean_kwh_24h", F.avg("consumption_kwh").over(day))
        .withColumn("rolling_std_kwh_24h", F.stddev_samp("consumption_kwh").over(day))
        .withColumn("same_hour_last_day_kwh", F.first("consumption_kwh").over(last_day))
        .withColumn("same_hour_last_week_kwh", F.first("consumption_kwh").over(last_week))
        .withColumn("ratio_to_mean_24h", F.when(mean != 0, F.col("consumption_kwh") / mean))
        .withColumn("is_weekend", F.col("day_of_week") >= 6)
        .withColumn("month_of_year", F.month("reading_date_local"))
    )


def scores(rows: DataFrame, job: Job) -> DataFrame:
    given = rows.sparkSession.sparkContext.broadcast(load(job.model))

    @F.pandas_udf(SCORED)  # type: ignore[call-overload]
    def judge(*columns: pd.Series) -> pd.DataFrame:
        inputs = {name: column.to_numpy(dtype="float64") for name, column in zip(INPUTS, columns, strict=True)}
        raw, score, why = given.value.judge(inputs)
        return pd.DataFrame({"raw_score": raw, "anomaly_score": score, "reasons": why})

    day, week, mean = F.col("same_hour_last_day_kwh"), F.col("same_hour_last_week_kwh"), F.col("rolling_mean_kwh_24h")
    expected = F.coalesce((day + week) / 2, day, week, F.when(F.col("rolling_std_kwh_24h").isNotNull(), mean))
    energy = F.col("consumption_kwh")
    high = (energy >= 1.5 * F.col("expected_kwh")) & (energy > mean)
    low = (energy <= 0.5 * F.col("expected_kwh")) & (energy < mean)
    kind = F.when(high, TYPES[0]).when(low, TYPES[1]).otherwise(TYPES[2])
    return (
        rows.withColumn("judged", judge(*INPUTS))
        .withColumn("is_anomaly", F.col("judged.anomaly_score") > given.value.threshold)
        .withColumn("expected_kwh", expected)
        .withColumn("anomaly_type", F.when(F.col("is_anomaly"), kind))
        .select(
            "reading_id",
            *KEY,
            "reading_date_local",
            energy.cast("decimal(18,4)").alias("consumption_kwh"),
            "active_power_kw",
            F.col("expected_kwh").cast("decimal(18,4)").alias("expected_kwh"),
            "judged.anomaly_score",
            "judged.raw_score",
            "is_anomaly",
            "anomaly_type",
            "judged.reasons",
        )
    )


def flags(scored: DataFrame, places: DataFrame) -> DataFrame:
    severity = F.struct("anomaly_score", -F.unix_timestamp("reading_timestamp"))
    at_stake = F.abs(F.col("consumption_kwh") - F.col("expected_kwh"))
    commonest = F.greatest(*TYPES)
    main_type = F.coalesce(*(F.when(F.col(name) == commonest, F.lit(name)) for name in TYPES))
    return (
        scored.groupBy("meter_id", "reading_date_local")
        .agg(
            F.count("*").alias("reading_count"),
            F.count_if("is_anomaly").alias("flagged_count"),
            F.sum("consumption_kwh").alias("scored_kwh"),
            F.max("anomaly_score").alias("worst_score"),
            F.max_by("reading_timestamp", severity).alias("worst_reading_timestamp"),
            F.max_by("reasons", severity).alias("reasons"),
            F.coalesce(F.sum(F.when(F.col("is_anomaly"), at_stake)), F.lit(0)).alias("energy_at_stake_kwh"),
            *(F.count_if(F.col("anomaly_type") == name).alias(name) for name in TYPES),
        )
        .where("flagged_count > 0")
        .withColumn("main_type", main_type)
        .drop(*TYPES)
        .join(places, on="meter_id", how="left")
    )


def metrics(days: DataFrame, places: DataFrame) -> DataFrame:
    day, start = F.col("reading_date_local"), F.col("period_start_local")
    week, month = F.trunc(day, "week"), F.trunc(day, "month")
    periods = (
        _period(days, "day", day, F.date_sub(start, 1), F.add_months(start, -12)),
        _period(days, "week", week, F.date_sub(start, 7), F.date_sub(start, 364)),
        _period(days, "month", month, F.add_months(start, -1), F.add_months(start, -12)),
    )
    return periods[0].unionByName(periods[1]).unionByName(periods[2]).join(places, on="meter_id", how="left")


def _period(days: DataFrame, name: str, start: Column, previous: Column, year_before: Column) -> DataFrame:
    sums = days.groupBy("meter_id", start.alias("period_start_local")).agg(
        F.round(F.sum("consumption_kwh"), 8).alias("energy"),
        F.max("peak_power_kw").alias("peak_power_kw"),
        _at_peak("peak_hour_of_day", "peak_hour_kwh", "peak_hour_start").alias("peak_hour_of_day"),
        F.sum("reading_count").alias("reading_count"),
        F.sum("expected_count").alias("expected_count"),
    )
    mean_power = F.col("energy") / (F.col("reading_count") * 0.25)
    with_past = sums.withColumn("previous_start", previous).withColumn("year_before_start", year_before)
    for column, key in (("previous_kwh", "previous_start"), ("year_before_kwh", "year_before_start")):
        past = sums.select("meter_id", F.col("period_start_local").alias(key), F.col("energy").alias(column))
        with_past = with_past.join(past, on=["meter_id", key], how="left")
    return with_past.select(
        "meter_id",
        F.lit(name).alias("period"),
        "period_start_local",
        F.col("energy").cast("decimal(18,4)").alias("consumption_kwh"),
        F.col("previous_kwh").cast("decimal(18,4)").alias("previous_kwh"),
        _change("previous_kwh").alias("change_pct"),
        F.col("year_before_kwh").cast("decimal(18,4)").alias("year_before_kwh"),
        _change("year_before_kwh").alias("year_change_pct"),
        "peak_power_kw",
        "peak_hour_of_day",
        F.when(F.col("peak_power_kw") > 0, mean_power / F.col("peak_power_kw")).alias("load_factor"),
        "reading_count",
        "expected_count",
        (F.col("reading_count") / F.col("expected_count")).alias("completeness"),
    )


def _change(before: str) -> Column:
    return F.when(F.col(before) != 0, (F.col("energy") / F.col(before) - 1) * 100)


def profile(hours: DataFrame, places: DataFrame) -> DataFrame:
    weekend = F.weekday("reading_date_local") >= 5
    month = F.month("month_local")
    season = F.when(month.isin(12, 1, 2), "winter").when(month <= 5, "spring").when(month <= 8, "summer")
    return (
        hours.withColumn("month_local", F.trunc("reading_date_local", "month"))
        .withColumn("day_type", F.when(weekend, "weekend").otherwise("weekday"))
        .groupBy("meter_id", "month_local", "day_type", "hour_of_day")
        .agg(
            F.round(F.sum("consumption_kwh"), 8).alias("energy"),
            (F.sum("reading_count") * 0.25).cast("double").alias("hours"),
        )
        .withColumn("mean_load_kw", F.col("energy") / F.col("hours"))
        .withColumn("energy_kwh", F.col("energy").cast("decimal(18,4)"))
        .withColumn("season", season.otherwise("autumn"))
        .drop("energy")
        .join(places, on="meter_id", how="left")
    )
