"""What the first two gates look at: small frames whose rows are batches, files or days and whose columns are facts.

Great Expectations on millions of rows takes minutes and keeps a sample of the failing rows at best. So one Spark
aggregation turns rows into facts (mostly counts of rows with a fault), and the suites of quality/expectations.py judge
the facts. `kind` and `subject` name a row in words; a fact is null where it does not apply to the kind of subject.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from meterlake.quality import reading_blocks
from meterlake.quality.rules import EARLIEST
from meterlake.session import Begin, as_it_is
from meterlake.sources.source import Source
from meterlake.tables.file_scan import FileScan
from meterlake.tables.partial_sums import summed
from meterlake.transforms.plain_readings import trimmed
from meterlake.transforms.stg_meter_readings import local_time

LEAST_LINES = 100  # a share of fewer lines says little: one bad line in three would stop a delivery
DAY_MICROSECONDS = 86_400_000_000
FILE = ("batch_id", "source_file")
ORIGIN = ("source", "source_file", "file_id", "line_order", "batch_id", "ingested_at")
DELIVERED = ("meter_id", "stamp_local", "value", "raw_line", "parse_error")


def raw_profile(bronze: DataFrame | FileScan) -> DataFrame:
    """Facts about each batch and each of its files.

    Args:
        bronze: rows of meter_readings, of the batches to judge, or the table's files with those rows.
    """
    faults = _line_faults()
    if isinstance(bronze, FileScan):
        # Some 3 CPU seconds instead of 17 for 11.5 M lines (docs/performance.md).
        files = summed(bronze, FILE, (*ORIGIN, *DELIVERED), _faulty_lines)
    else:
        files = bronze.groupBy(*FILE).agg(F.count("*").alias("lines"), *_counts(faults))
    kind = F.explode(F.array(F.lit("batch"), F.lit("file"))).alias("kind")
    name = F.when(F.col("kind") == "batch", F.col("batch_id")).otherwise(F.col("source_file"))
    return (
        files.select("*", kind)
        .groupBy("kind", F.concat_ws(" ", "kind", name).alias("subject"))
        .agg(*(F.sum(name).alias(name) for name in ("lines", *faults)))
        .select("*", *_line_shares())
    )


def staging_profile(
    readings: DataFrame | FileScan, ledger: DataFrame, source: Source, now: datetime, begin: Begin = as_it_is
) -> DataFrame:
    """Facts about each local day of current readings and about each batch that was staged.

    Whether `reading_id` is unique is found exactly and without a shuffle of the readings: an id must spell its own
    meter and interval (`ids_of_another` counts those that do not), and within a meter each interval sets one bit of a
    mark, so that readings without a bit of their own repeat an interval.

    Args:
        readings: rows of stg_meter_readings of one source, or the table's files, see `reading_blocks`.
        ledger: rows of the ledger, of the batches to judge.
        now: the moment of the check, with its time zone.
        begin: of `session.begun`, for what tasks make of files.
    """
    blocks = reading_blocks.blocks(readings, source)
    ahead = (F.unix_timestamp(F.max("last")) - F.lit(int(now.timestamp()))) / 3600
    days = blocks.groupBy("reading_date_local").agg(
        F.lit("day").alias("kind"),
        F.concat_ws(" ", F.lit("day"), "reading_date_local").alias("subject"),
        F.sum("readings").alias("readings"),
        F.sum(F.col("readings") - F.col("intervals")).alias("repeated_intervals"),
        F.sum(_on_another_day(source).cast("int")).alias("on_another_day"),
        ahead.alias("hours_ahead_of_now"),
        *(F.sum(name).alias(name) for name in reading_blocks.faults(source)),
    )
    days = days.drop("reading_date_local")
    days = begin(days) if isinstance(readings, FileScan) else days
    return days.unionByName(_batches(ledger), allowMissingColumns=True)


def _batches(ledger: DataFrame) -> DataFrame:
    """What staging did with the lines of a batch; null where they are too few to speak of a share.

    A recovery posts differences, which have no share, and no files.
    """
    energy = F.col("loaded") - F.col("other_quantity")
    rejected = F.try_divide(F.col("quarantined") - F.col("other_quantity"), energy)
    return ledger.select(
        F.lit("batch").alias("kind"),
        F.concat_ws(" ", F.lit("batch"), "batch_id").alias("subject"),
        F.when((F.col("files") > 0) & (energy >= LEAST_LINES), rejected).alias("rejected_share"),
    )


def _line_faults() -> dict[str, Column]:
    """What can be wrong with a line of bronze: fact -> condition."""
    parsed, stamp = F.col("parse_error").isNull(), F.col("stamp_local")
    return {
        "unparsable": ~parsed,
        "without_origin": _any_null(*ORIGIN),
        "unexplained": parsed != F.col("raw_line").isNull(),
        "without_stamp": parsed & stamp.isNull(),
        "without_meter": parsed & (F.coalesce(F.trim("meter_id"), F.lit("")) == ""),
        "without_value": parsed & F.col("value").isNull(),
        "not_finite": _not_finite("value"),
        "long_past": stamp < F.lit(f"{EARLIEST:%Y-%m-%d}").cast("timestamp_ntz"),
        # The clock's zone is not applied yet: a day covers the farthest one.
        # In numbers: adding an interval of days to a time of every row goes through the calendar of its zone.
        "in_future": F.unix_micros(stamp.cast("timestamp")) - F.unix_micros("ingested_at") > DAY_MICROSECONDS,
    }


def _faulty_lines(lines: pa.RecordBatch) -> Mapping[str, pa.Array]:
    """Which lines have a fault of `_line_faults`."""
    parsed, stamp, value = pc.is_null(lines["parse_error"]), lines["stamp_local"], lines["value"]
    meter, micros = pc.fill_null(trimmed(lines["meter_id"]), ""), stamp.cast(pa.int64())
    earliest = pa.scalar(EARLIEST.replace(tzinfo=None), stamp.type)
    late = pc.subtract(micros, lines["ingested_at"].cast(pa.int64()))
    return {
        "lines": pa.repeat(1, lines.num_rows),
        "unparsable": pc.invert(parsed),
        "without_origin": reduce(pc.or_, (pc.is_null(lines[name]) for name in ORIGIN)),
        "unexplained": pc.not_equal(parsed, pc.is_null(lines["raw_line"])),
        "without_stamp": pc.and_(parsed, pc.is_null(stamp)),
        "without_meter": pc.and_(parsed, pc.equal(meter, "")),
        "without_value": pc.and_(parsed, pc.is_null(value)),
        "not_finite": pc.invert(pc.is_finite(value)),
        "long_past": pc.less(stamp, earliest),
        "in_future": pc.greater(late, DAY_MICROSECONDS),
    }


def _line_shares() -> list[Column]:
    """Shares of a batch's lines, and of a file's: one bad file is told, but does not stop the others of its batch."""
    lines, unparsable = F.col("lines"), F.col("unparsable")
    parsed = lines - unparsable
    shares = {
        "unparsable_share": ("batch", unparsable / lines),
        "unparsable_share_of_file": ("file", unparsable / lines),
        "stamp_share": ("batch", 1 - F.try_divide("without_stamp", parsed)),
        "meter_share": ("batch", 1 - F.try_divide("without_meter", parsed)),
        "value_share": ("batch", 1 - F.try_divide("without_value", parsed)),
    }
    enough = lines >= LEAST_LINES
    return [F.when(enough & (F.col("kind") == kind), share).alias(name) for name, (kind, share) in shares.items()]


def _on_another_day(source: Source) -> Column:
    """Whether the first or the last reading of a block is not on the local day that the block carries."""
    days = (local_time(F.col(name), source).cast("date") for name in ("first", "last"))
    first, last = (~day.eqNullSafe(F.col("reading_date_local")) for day in days)
    return first | last


def _counts(faults: dict[str, Column]) -> list[Column]:
    return [F.count_if(fault).alias(name) for name, fault in faults.items()]


def _any_null(*names: str) -> Column:
    return F.greatest(*(F.col(name).isNull() for name in names))


def _not_finite(name: str) -> Column:
    return F.isnan(name) | (F.abs(name) == float("inf"))
