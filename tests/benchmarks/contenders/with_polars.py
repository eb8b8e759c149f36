"""Polars: lazy frames on its streaming engine where it has one, every table to Parquet."""

from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
from tests.benchmarks.given_model import INPUTS, load, scored
from tests.benchmarks.job import Job

BLOCK = 100_000
NUMBERS = ("consumption_kwh", "voltage_v", "temperature_c")
COLUMNS = ("meter_id", "reading_timestamp", *NUMBERS, "region", "feeder", "transformer", "customer_id")
KEY = ["meter_id", "reading_timestamp"]
TYPES = ("high_consumption", "low_consumption", "unusual_pattern")


def run(job: Job) -> None:
    with job.step("readings"):
        lines = _read(job)
        readings, rejected = split(lines)
        place = lines.filter(pl.col("meter_id").is_not_null() & ~pl.col("unread"))
        meters = place.group_by("meter_id").agg(pl.col("region", "feeder").first())
        del lines
        _keep(job, readings=readings, rejected=rejected)
    with job.step("aggregates"):
        hours = hourly(readings)
        days = daily(hours)
        _keep(job, hourly=hours, daily=days, monthly=monthly(days))
    with job.step("features"):
        rolled = features(readings)
        del readings
        _keep(job, features=rolled)
    with job.step("scores"):
        scores = score(rolled, job)
        del rolled
        _keep(job, mart_anomaly_scores=scores)
    with job.step("marts"):
        _keep(
            job,
            mart_anomaly_flags=flags(scores, meters),
            mart_consumption_metrics=metrics(days, meters),
            mart_load_profile=profile(hours, meters),
        )


def _read(job: Job) -> pl.DataFrame:
    """The lines, typed, with `unread` and the line itself where a field cannot be read.

    Polars fills short lines and cuts long ones without a word: a tenth column shows the long ones, and the last column,
    which is never empty, the short ones.
    """
    schema = dict.fromkeys((*COLUMNS, "extra"), pl.String)
    texts = pl.scan_csv(
        job.files,
        has_header=False,
        skip_rows=1,
        schema=schema,
        missing_columns="insert",
        truncate_ragged_lines=True,
        include_file_paths="source_file",
    )
    stamp = pl.col("reading_timestamp").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    typed = [stamp.alias("stamp"), *(pl.col(name).cast(pl.Float64, strict=False).alias(f"{name}_") for name in NUMBERS)]
    fields = (("reading_timestamp", "stamp"), *((name, f"{name}_") for name in NUMBERS))
    lost = [pl.col(text).is_not_null() & pl.col(value).is_null() for text, value in fields]
    unread = pl.any_horizontal(*lost, pl.col("extra").is_not_null(), pl.col("customer_id").is_null())
    line = pl.concat_str(*COLUMNS, "extra", separator=",", ignore_nulls=True)
    return (
        texts.with_columns(*typed)
        .with_columns(unread=unread)
        .select(
            "meter_id",
            pl.col("stamp").alias("reading_timestamp"),
            *(pl.col(f"{name}_").alias(name) for name in NUMBERS),
            "region",
            "feeder",
            "source_file",
            "unread",
            pl.when("unread").then(line).alias("raw_line"),
        )
        .collect(engine="streaming")
    )


def split(lines: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(readings, rejected)."""
    names = ["reading_timestamp", "consumption_kwh", "reasons", "source_file", "raw_line"]
    judged = lines.filter(~pl.col("unread")).with_columns(reasons=_broken_rules())
    valid = judged.filter(pl.col("reasons").list.len() == 0)
    repeated = valid.filter(pl.len().over(KEY) > 1).with_columns(
        conflicts=pl.struct(NUMBERS).n_unique().over(KEY) > 1, copy=pl.int_range(pl.len()).over(KEY)
    )
    reason = pl.when("conflicts").then(pl.lit("conflicting_duplicate")).otherwise(pl.lit("exact_duplicate"))
    kept = repeated.filter(~pl.col("conflicts") & (pl.col("copy") == 0))
    dropped = repeated.filter(pl.col("conflicts") | (pl.col("copy") > 0)).with_columns(reasons=pl.concat_list(reason))
    unparsable = lines.filter("unread").select(
        pl.lit(None, pl.String).alias("meter_id"),
        pl.lit(None, pl.Datetime("us")).alias("reading_timestamp"),
        pl.lit(None, pl.Float64).alias("consumption_kwh"),
        pl.concat_list(pl.lit("unparsable")).alias("reasons"),
        "source_file",
        "raw_line",
    )
    invalid = judged.filter(pl.col("reasons").list.len() > 0)
    rejected = pl.concat([frame.select("meter_id", *names) for frame in (invalid, dropped, unparsable)])
    once = valid.join(repeated.select(KEY).unique(), on=KEY, how="anti")
    return _readings(pl.concat([once, kept.select(once.columns)])), rejected


def _broken_rules() -> pl.Expr:
    energy, stamp = pl.col("consumption_kwh"), pl.col("reading_timestamp")
    now = datetime.now(UTC).replace(tzinfo=None)
    broken = {
        "missing_meter": pl.col("meter_id").is_null() | (pl.col("meter_id").str.strip_chars() == ""),
        "missing_timestamp": stamp.is_null(),
        "missing_value": energy.is_null(),
        "negative_energy": energy < 0,
        "energy_out_of_range": energy > 100,
        "voltage_out_of_range": ~pl.col("voltage_v").is_between(0, 276),
        "temperature_out_of_range": ~pl.col("temperature_c").is_between(-50, 60),
        "future_timestamp": stamp > now,
        "off_cadence_timestamp": stamp.dt.epoch("us") % 900_000_000 != 0,
    }
    return pl.concat_list(pl.when(mask).then(pl.lit(name)) for name, mask in broken.items()).list.drop_nulls()


def _readings(rows: pl.DataFrame) -> pl.DataFrame:
    stamp = pl.col("reading_timestamp")
    return rows.sort(KEY).select(
        pl.concat_str(pl.lit("ami"), "meter_id", stamp.dt.epoch("s"), separator=":").alias("reading_id"),
        *KEY,
        "consumption_kwh",
        (pl.col("consumption_kwh") / 0.25).alias("active_power_kw"),
        "voltage_v",
        "temperature_c",
        stamp.dt.date().alias("reading_date_local"),
        stamp.dt.hour().cast(pl.Int32).alias("hour_of_day"),
        stamp.dt.weekday().cast(pl.Int32).alias("day_of_week"),
    )


def hourly(readings: pl.DataFrame) -> pl.DataFrame:
    hour_start = pl.col("reading_timestamp").dt.truncate("1h").alias("hour_start")
    return (
        readings.lazy()
        .group_by("meter_id", hour_start, "reading_date_local", "hour_of_day")
        .agg(
            pl.col("consumption_kwh").sum().round(8),
            pl.col("active_power_kw").max().alias("max_power_kw"),
            pl.col("active_power_kw").min().alias("min_power_kw"),
            pl.col("voltage_v").mean().alias("avg_voltage_v"),
            pl.len().cast(pl.Int64).alias("reading_count"),
        )
        .with_columns(expected_count=pl.lit(4, pl.Int64))
        .with_columns(*_shares())
        .collect(engine="streaming")
    )


def _shares() -> list[pl.Expr]:
    return [
        (pl.col("consumption_kwh") / (pl.col("reading_count") * 0.25)).alias("avg_power_kw"),
        (pl.col("reading_count") / pl.col("expected_count")).alias("completeness"),
    ]


def _measures() -> list[pl.Expr]:
    volts = (pl.col("avg_voltage_v") * pl.col("reading_count")).sum() / pl.col("reading_count").sum()
    return [
        pl.col("consumption_kwh").sum().round(8).alias("consumption_kwh"),
        pl.col("max_power_kw").max(),
        pl.col("min_power_kw").min(),
        volts.alias("avg_voltage_v"),
        pl.col("reading_count").sum(),
    ]


def _peak(start: str, hour: str, energy: str) -> list[pl.Expr]:
    """The hour of the largest energy; the rows are in the order of time and the first of equals counts."""
    at = pl.col(energy).arg_max()
    return [
        pl.col(start).get(at).alias("peak_hour_start"),
        pl.col(hour).get(at).alias("peak_hour_of_day"),
        pl.col(energy).max().alias("peak_hour_kwh"),
        pl.col("max_power_kw").max().alias("peak_power_kw"),
    ]


def daily(hours: pl.DataFrame) -> pl.DataFrame:
    days = hours.sort("meter_id", "hour_start").group_by("meter_id", "reading_date_local", maintain_order=True)
    rows = days.agg(*_measures(), *_peak("hour_start", "hour_of_day", "consumption_kwh"))
    return rows.with_columns(expected_count=pl.lit(96, pl.Int64)).with_columns(*_shares())


def monthly(days: pl.DataFrame) -> pl.DataFrame:
    month = pl.col("reading_date_local").dt.truncate("1mo").alias("month_local")
    rows = days.group_by("meter_id", month).agg(
        *_measures(), *_peak("peak_hour_start", "peak_hour_of_day", "peak_hour_kwh")
    )
    expected = 96 * pl.col("month_local").dt.month_end().dt.day().cast(pl.Int64)
    return rows.with_columns(expected_count=expected).with_columns(*_shares())


def features(readings: pl.DataFrame) -> pl.DataFrame:
    """Rolling windows per meter, and the readings of one and seven days before joined by time."""
    energy, stamp = pl.col("consumption_kwh"), "reading_timestamp"
    mean = pl.col("rolling_mean_kwh_24h")
    rows = readings.drop("voltage_v").with_columns(
        energy.rolling_mean_by(stamp, "1h").over("meter_id").alias("rolling_mean_kwh_1h"),
        energy.rolling_mean_by(stamp, "24h").over("meter_id").alias("rolling_mean_kwh_24h"),
        energy.rolling_std_by(stamp, "24h", min_samples=2).over("meter_id").alias("rolling_std_kwh_24h"),
    )
    for name, days in (("same_hour_last_day_kwh", 1), ("same_hour_last_week_kwh", 7)):
        past = readings.select("meter_id", pl.col(stamp) + pl.duration(days=days), energy.alias(name))
        rows = rows.join(past, on=KEY, how="left")
    return rows.with_columns(
        pl.when(mean != 0).then(energy / mean).alias("ratio_to_mean_24h"),
        (pl.col("day_of_week") >= 6).alias("is_weekend"),
        pl.col("reading_date_local").dt.month().cast(pl.Int32).alias("month_of_year"),
    )


def score(rows: pl.DataFrame, job: Job) -> pl.DataFrame:
    """Rows of mart_anomaly_scores."""
    inputs = (part.to_arrow().combine_chunks().to_batches()[0] for part in rows.select(INPUTS).iter_slices(BLOCK))
    judged = pa.Table.from_batches(scored(inputs, load(job.model), job.threads))
    found = pl.DataFrame(pl.from_arrow(judged.select(["raw_score", "anomaly_score", "is_anomaly", "reasons"])))
    day, week, energy = pl.col("same_hour_last_day_kwh"), pl.col("same_hour_last_week_kwh"), pl.col("consumption_kwh")
    mean, expected = pl.col("rolling_mean_kwh_24h"), pl.col("expected_kwh")
    last_24h = pl.when(pl.col("rolling_std_kwh_24h").is_not_null()).then(mean)
    kind = (
        pl.when(~pl.col("is_anomaly"))
        .then(None)
        .when((energy >= 1.5 * expected) & (energy > mean))
        .then(pl.lit(TYPES[0]))
        .when((energy <= 0.5 * expected) & (energy < mean))
        .then(pl.lit(TYPES[1]))
        .otherwise(pl.lit(TYPES[2]))
    )
    return (
        pl.concat([rows, found], how="horizontal")
        .lazy()
        .with_columns(expected_kwh=pl.coalesce((day + week) / 2, day, week, last_24h))
        .with_columns(anomaly_type=kind)
        .select(
            "reading_id",
            *KEY,
            "reading_date_local",
            energy.round(4),
            "active_power_kw",
            expected.round(4),
            "anomaly_score",
            "raw_score",
            "is_anomaly",
            "anomaly_type",
            "reasons",
        )
        .collect()
    )


def flags(scores: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """Rows of mart_anomaly_flags."""
    key = ["meter_id", "reading_date_local"]
    counts = scores.group_by(key).agg(
        pl.len().cast(pl.Int64).alias("reading_count"), pl.col("consumption_kwh").sum().alias("scored_kwh")
    )
    flagged = scores.filter("is_anomaly").sort("anomaly_score", "reading_timestamp", descending=[True, False])
    days = flagged.group_by(key, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("flagged_count"),
        pl.col("anomaly_score").first().alias("worst_score"),
        pl.col("reading_timestamp").first().alias("worst_reading_timestamp"),
        pl.col("reasons").first(),
        (pl.col("consumption_kwh") - pl.col("expected_kwh")).abs().sum().alias("energy_at_stake_kwh"),
        *((pl.col("anomaly_type") == name).sum().alias(name) for name in TYPES),
    )
    commonest = pl.max_horizontal(*TYPES)
    main = pl.coalesce(pl.when(pl.col(name) == commonest).then(pl.lit(name)) for name in TYPES)
    rows = days.with_columns(main_type=main).drop(TYPES).join(counts, on=key, how="left")
    return rows.join(meters, on="meter_id", how="left")


def metrics(days: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """Rows of mart_consumption_metrics."""
    day = pl.col("reading_date_local")
    periods = (
        _period(days, "day", day, "1d", "1y"),
        _period(days, "week", day.dt.truncate("1w"), "1w", "52w"),
        _period(days, "month", day.dt.truncate("1mo"), "1mo", "1y"),
    )
    return pl.concat(periods).join(meters, on="meter_id", how="left")


def _period(days: pl.DataFrame, name: str, start: pl.Expr, step: str, year: str) -> pl.DataFrame:
    key = ["meter_id", "period_start_local"]
    ordered = days.sort("meter_id", "reading_date_local")
    sums = ordered.group_by("meter_id", start.alias("period_start_local"), maintain_order=True).agg(
        pl.col("consumption_kwh").sum().round(8).alias("energy"),
        pl.col("peak_power_kw").max(),
        pl.col("peak_hour_of_day").get(pl.col("peak_hour_kwh").arg_max()),
        pl.col("reading_count").sum(),
        pl.col("expected_count").sum(),
    )
    rows = sums
    for column, change, back in (("previous_kwh", "change_pct", step), ("year_before_kwh", "year_change_pct", year)):
        past = sums.select("meter_id", pl.col("period_start_local").dt.offset_by(back), pl.col("energy").alias(column))
        rows = rows.join(past.unique(key), on=key, how="left").with_columns(
            pl.when(pl.col(column) != 0).then((pl.col("energy") / pl.col(column) - 1) * 100).alias(change),
            pl.col(column).round(4),
        )
    mean_power = pl.col("energy") / (pl.col("reading_count") * 0.25)
    return rows.with_columns(
        pl.lit(name).alias("period"),
        pl.col("energy").round(4).alias("consumption_kwh"),
        pl.when(pl.col("peak_power_kw") > 0).then(mean_power / pl.col("peak_power_kw")).alias("load_factor"),
        (pl.col("reading_count") / pl.col("expected_count")).alias("completeness"),
    ).drop("energy")


def profile(hours: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """Rows of mart_load_profile."""
    month = pl.col("reading_date_local").dt.truncate("1mo").alias("month_local")
    weekend = pl.col("reading_date_local").dt.weekday() >= 6
    day_type = pl.when(weekend).then(pl.lit("weekend")).otherwise(pl.lit("weekday")).alias("day_type")
    number = pl.col("month_local").dt.month()
    season = pl.when(number.is_in([12, 1, 2])).then(pl.lit("winter")).when(number <= 5).then(pl.lit("spring"))
    rows = hours.group_by("meter_id", month, day_type, "hour_of_day").agg(
        pl.col("consumption_kwh").sum().round(8).alias("energy"),
        (pl.col("reading_count").sum() * 0.25).alias("hours"),
    )
    return (
        rows.with_columns(
            season.when(number <= 8).then(pl.lit("summer")).otherwise(pl.lit("autumn")).alias("season"),
            pl.col("energy").round(4).alias("energy_kwh"),
            (pl.col("energy") / pl.col("hours")).alias("mean_load_kw"),
        )
        .drop("energy")
        .join(meters, on="meter_id", how="left")
    )


def _keep(job: Job, **tables: pl.DataFrame) -> None:
    for name, rows in tables.items():
        rows.write_parquet(job.table(name))
