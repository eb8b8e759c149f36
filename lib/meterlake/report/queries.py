"""The report's small queries: each is aggregated in Spark to a few rows."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from meterlake.quality.completeness import completeness
from meterlake.quality.rules import EXACT_DUPLICATE
from meterlake.sources.source import Source
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.ops import LEDGER, QUALITY_RESULTS
from meterlake.tables.store import Store
from meterlake.transforms.int_readings_hourly import hours_of

LEDGER_SUMS = ("files", "lines", "loaded", "unparsable", "current", "exact_duplicates", "superseded", "quarantined")
MOST_REASONS = 50
TOP = 10


def batches(store: Store, source: Source, run_id: str) -> DataFrame:
    """At most two rows: the ledger summed over the batches of this run, and over all others."""
    of_run = F.col("run_id") == run_id
    return (
        store.read(LEDGER, source.name)
        .groupBy(of_run.alias("of_run"))
        .agg(
            *(F.sum(name).alias(name) for name in LEDGER_SUMS),
            F.collect_list(F.when(of_run, F.col("batch_id"))).alias("batch_ids"),
        )
    )


def days(store: Store, source: Source) -> DataFrame:
    """Per local day, also without data: counts expected and known, kWh, smallest and largest kW; a last row in all.

    The last row, without a day, is the only one whose `meters` (distinct) is used.
    """
    daily = store.read(INT_READINGS_DAILY, source.name)
    counts = completeness(daily, source).select("meter_id", "reading_date_local", "expected_count", "reading_count")
    energy = daily.select("reading_date_local", "consumption_kwh", "min_power_kw", "max_power_kw")
    return (
        counts.unionByName(energy, allowMissingColumns=True)
        .rollup("reading_date_local")
        .agg(
            F.count_distinct("meter_id").alias("meters"),
            F.coalesce(F.sum("expected_count"), F.lit(0)).alias("expected_count"),
            F.coalesce(F.sum("reading_count"), F.lit(0)).alias("reading_count"),
            F.sum("consumption_kwh").alias("consumption_kwh"),
            F.min("min_power_kw").alias("min_kw"),
            F.max("max_power_kw").alias("max_kw"),
        )
        .orderBy(F.asc_nulls_last("reading_date_local"))
    )


def gates(store: Store, source: Source, run_id: str) -> DataFrame:
    """The run's verdicts: failures first, critical before warning."""
    return (
        store.read(QUALITY_RESULTS, source.name)
        .where(F.col("run_id") == run_id)
        .orderBy("success", "severity", "suite", "expectation")
        .limit(500)
    )


def model(store: Store, source: Source) -> DataFrame:
    """Scored readings by model_version and anomaly_type (null: not flagged)."""
    scores = store.read(MART_ANOMALY_SCORES, source.name)
    return scores.groupBy("model_version", "anomaly_type").agg(
        F.count("*").alias("scored"), F.count_if("is_anomaly").alias("flagged")
    ).limit(100)  # fmt: skip


def reasons(quarantined: DataFrame) -> DataFrame:
    """Lines by the set of reasons they broke, the commonest first, with one line as an example.

    Exact duplicates stand in the same table but are no fault: the ledger counts them apart.
    """
    example = F.struct("file_id", "line_order", "source_file", "meter_id", "reading_timestamp", "consumption_kwh")
    return (
        quarantined.where(~F.array_contains("reasons", EXACT_DUPLICATE))
        .groupBy("reasons")
        .agg(F.count("*").alias("lines"), F.min(example).alias("example"))
        .select(
            "reasons",
            "lines",
            "example.source_file",
            "example.meter_id",
            # As text: a stamp that is no reading's may be of the year 1 or 9999, which pandas has no time for.
            F.date_format("example.reading_timestamp", "yyyy-MM-dd HH:mm").alias("began"),
            "example.consumption_kwh",
        )
        .orderBy(F.desc("lines"), "reasons")
        .limit(MOST_REASONS)
    )


def unparsable(lines: DataFrame) -> DataFrame:
    """Unparsable lines by reason, with the start of one line as an example."""
    return (
        lines.where(F.col("parse_error").isNotNull())
        .groupBy("parse_error")
        .agg(F.count("*").alias("lines"), F.min(F.substring("raw_line", 1, 120)).alias("example"))
        .orderBy(F.desc("lines"), "parse_error")
        .limit(TOP)
    )


def heat(store: Store, source: Source) -> DataFrame:
    """Mean load per meter in kW by local weekday (1 Monday) and hour: at most 168 rows."""
    known = store.read(INT_READINGS_HOURLY, source.name).where(F.col("reading_count") > 0)
    return known.groupBy((F.weekday("reading_date_local") + 1).alias("day_of_week"), "hour_of_day").agg(
        (F.sum("consumption_kwh") / hours_of(source)).alias("mean_kw")
    )


def top(store: Store, source: Source) -> DataFrame:
    """The worst reading of each of the worst meter-days; a meter's third day comes after the others' first two."""
    off = F.abs(F.col("consumption_kwh") - F.coalesce("expected_kwh", "consumption_kwh")).cast("double")
    shown = ("anomaly_score", "reading_timestamp", "consumption_kwh", "expected_kwh", "anomaly_type", "reasons")
    worst = F.max(F.struct("anomaly_score", off.alias("off"), *shown[1:])).alias("worst")
    in_order = (F.desc("anomaly_score"), F.desc("off"), F.asc("meter_id"), F.asc("reading_date_local"))
    place = F.row_number().over(Window.partitionBy("meter_id").orderBy(*in_order))
    return (
        store.read(MART_ANOMALY_SCORES, source.name)
        .where("is_anomaly")
        .groupBy("meter_id", "reading_date_local")
        .agg(F.count("*").alias("flagged_count"), worst)
        .select("meter_id", "reading_date_local", "flagged_count", "worst.*")
        .withColumn("repeats", place > 2)
        .orderBy("repeats", *in_order)
        .limit(TOP)
    )


def surest(store: Store, source: Source) -> DataFrame:
    """The surest day of each of the ten meters for which most speaks, and how many it has; a flagged reading alone says
    too little.
    """
    shown = ("reading_date_local", "feeder", "evidence", "why", F.col("scored_kwh").cast("double").alias("kwh"))
    worst = F.max_by(F.struct(*shown), F.struct("confidence", "worst_score")).alias("worst")
    of_meter = store.read(MART_ANOMALY_FLAGS, source.name).where("evidence <> 'reading'").groupBy("meter_id")
    told = of_meter.agg(F.count("*").alias("days"), F.max("confidence").alias("confidence"), worst)
    return told.select("meter_id", "days", "confidence", "worst.*").orderBy(F.desc("confidence"), "meter_id").limit(TOP)
