"""mart_anomaly_flags: the meter-days for which anything speaks: what does, how sure it makes, and what is at stake."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from meterlake.anomaly.evidence import (
    BALANCE,
    DAY,
    EVIDENCE,
    READING,
    RULE,
    TELLING_RULES,
    measured,
    named,
    number,
)
from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import Rows
from meterlake.tables.file_scan import FileScan
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.partial_sums import summed
from meterlake.transforms.stg_meter_readings import local_time

METER_DAY = ("source", "meter_id", "reading_date_local")
# Of types that are equally common on a day, the first of these is the main one.
TYPES = ("high_consumption", "low_consumption", "unusual_pattern")
LONGEST_FINDING_DAYS = 7  # a finding ends with its local week
# What is summed up of a reading, and what is told of the worst one.
SUMMED = ("consumption_kwh", "expected_kwh", "is_anomaly", "anomaly_type")
TOLD = (*METER_DAY, "reading_timestamp", "anomaly_score", "reasons")


def build(scores: DataFrame | FileScan, evidence: DataFrame, meters: DataFrame, base_rate: float) -> DataFrame:
    """The scored meter-days with a flagged reading or other evidence, placed in the grid by stg_meters.

    A flagged reading without an expectation has no known energy at stake and adds nothing to it.

    Args:
        scores: rows of mart_anomaly_scores, or its files.
        evidence: rows of `evidence_of`, of these days or more.
        base_rate: share of the meter-days that are anomalous (`model.base_rate`).
    """
    summed_up, flagged_rows = _of_files(scores) if isinstance(scores, FileScan) else _of_rows(scores)
    days = summed_up.join(evidence, on=list(METER_DAY), how="left")
    flagged = F.col("flagged_count") > 0
    days = days.where(flagged | F.col("others").isNotNull()).join(_worst(flagged_rows), on=list(METER_DAY), how="left")
    code = F.when(flagged, number([READING])).otherwise(0).bitwiseOR(F.coalesce("others", F.lit(0)))
    sure = [measured().confidence(each, base_rate) for each in range(1 << len(EVIDENCE))]
    told = days.withColumns(
        {
            "main_type": F.when(flagged, _main_type()),
            "energy_at_stake_kwh": F.when(flagged, F.coalesce("energy_at_stake_kwh", F.lit(0))),
            "evidence": F.get(F.array(*(F.lit(named(each)) for each in range(len(sure)))), code),
            "confidence": F.get(F.array(*map(F.lit, sure)), code),
            "why": F.concat_ws("; ", "said_of_others", "reasons"),
        }
    )
    places = meters.select("source", "meter_id", "region", "feeder")
    return told.join(places, on=["source", "meter_id"], how="left").select(
        *(F.col(field.name).cast(field.dataType) for field in MART_ANOMALY_FLAGS.schema)
    )


def evidence_of(findings: DataFrame, inspections: DataFrame, loss_findings: DataFrame, source: Source) -> DataFrame:
    """METER_DAY, `others` (number of the set of evidence beside the readings) and `said_of_others`, the surest first.

    Args:
        findings: rows of vee_findings of the source.
        inspections: rows of mart_inspections.
        loss_findings: rows of loss_findings.
    """
    last = F.to_date(local_time(F.col("to_timestamp") - F.expr("INTERVAL 1 MICROSECOND"), source))
    of_rules = findings.where(F.col("rule").isin(*TELLING_RULES)).select(
        "source",
        "meter_id",
        F.explode(F.sequence("reading_date_local", last)).alias("reading_date_local"),
        *_said(RULE, F.concat_ws(" ", F.lit("rule"), "rule_id", "rule")),
    )
    of_days = inspections.select(*METER_DAY, *_said(DAY, F.col("reasons")))
    of_balance = loss_findings.select(*METER_DAY, *_said(BALANCE, F.col("reason")))
    all_of_it = of_days.unionByName(of_balance).unionByName(of_rules)
    said = F.array_sort(F.collect_set(F.struct("rank", "said")))
    return all_of_it.groupBy(*METER_DAY).agg(
        F.bit_or("bit").alias("others"),
        F.concat_ws("; ", F.transform(said, lambda one: one["said"])).alias("said_of_others"),
    )


def _said(name: str, sentence: Column) -> tuple[Column, Column, Column]:
    """Its bit, where it is told, and what it says."""
    rank = (DAY, BALANCE, RULE).index(name)
    return F.lit(number([name])).alias("bit"), F.lit(rank).alias("rank"), sentence.alias("said")


def _of_rows(scores: DataFrame) -> tuple[DataFrame, DataFrame]:
    """The sums of each meter-day, and the flagged readings."""
    at_stake = F.abs(F.col("consumption_kwh") - F.col("expected_kwh"))
    days = scores.groupBy(*METER_DAY).agg(
        F.count("*").alias("reading_count"),
        F.count_if("is_anomaly").alias("flagged_count"),
        F.sum("consumption_kwh").alias("scored_kwh"),
        F.max("anomaly_score").alias("worst_score"),
        F.sum(F.when(F.col("is_anomaly"), at_stake)).alias("energy_at_stake_kwh"),
        *(F.count_if(F.col("anomaly_type") == name).alias(name) for name in TYPES),
    )
    return days, scores.where("is_anomaly")


def _of_files(scores: FileScan) -> tuple[DataFrame, DataFrame]:
    """The same of files: some 6 CPU seconds instead of 13 for 11.5 M scores (docs/performance.md)."""
    days = summed(scores, METER_DAY, SUMMED, _addends, largest={"worst_score": "anomaly_score"})
    types = StructType([scores.table.schema[name] for name in TOLD])
    return days, Rows.of(scores.where(pc.field("is_anomaly")), TOLD).through(iter, types)


def _addends(scores: pa.RecordBatch) -> Mapping[str, pa.Array]:
    """What `_of_rows` counts and adds up."""
    kwh, flagged = scores["consumption_kwh"], scores["is_anomaly"]
    at_stake = pc.abs(pc.subtract(kwh, scores["expected_kwh"]))
    return {
        "reading_count": pa.repeat(1, scores.num_rows),
        "flagged_count": flagged,
        "scored_kwh": kwh,
        "energy_at_stake_kwh": pc.if_else(flagged, at_stake, None),
        **{name: pc.equal(scores["anomaly_type"], name) for name in TYPES},
    }


def _worst(flagged: DataFrame) -> DataFrame:
    """The worst reading of the days with a flag: a flagged one, as flagged are the scores above the threshold. So the
    texts, which Spark can only aggregate by sorting, are read of the few flagged rows alone.
    """
    # The highest score of the day, the earliest of equals.
    severity = F.struct("anomaly_score", -F.unix_micros("reading_timestamp"))
    return flagged.groupBy(*METER_DAY).agg(
        F.max_by("reading_timestamp", severity).alias("worst_reading_timestamp"),
        F.max_by("reasons", severity).alias("reasons"),
    )


def _main_type() -> Column:
    commonest = F.greatest(*TYPES)
    return F.coalesce(*(F.when(F.col(name) == commonest, name) for name in TYPES))
