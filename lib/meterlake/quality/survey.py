"""One look with Arrow at the lines of a delivery: which few of them Spark has to judge.

Nearly every line keeps all rules and is the only one about its interval. To tell that of a line takes no row of
Spark's: a pass over bronze tells per meter and block of intervals what lines there are. Left to Spark are the lines
that do not surely keep the rules (`rules.surely_valid`) and those whose interval others are about, too; a second pass
fetches them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from meterlake.quality.survey_pass import LINES, SURVEYED, doubtful, slots_of, surveyed
from meterlake.quality.validation import FEW_BLOCKS, slots
from meterlake.session import is_small
from meterlake.shares import frame_of
from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import Rows, Work
from meterlake.tables.file_scan import FileScan
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.spans import Span, bridged, joined
from meterlake.transforms.stg_meters import PLACE

FEW_LINES = 1_000_000  # as many are kept and judged: 100 MB


@dataclass(frozen=True)
class Survey:
    """What a look at the lines found.

    Attributes:
        bronze: the lines that parse; the others have no stamp and are no readings.
        seen: rows of SURVEYED.
        spans: of the days of the stamps, on the source's clock, and perhaps some between.
        unsure: how many lines do not surely keep the rules.
    """

    bronze: FileScan
    source: Source
    seen: DataFrame
    spans: list[Span]
    unsure: int

    @classmethod
    def of(cls, bronze: FileScan, source: Source) -> "Survey":
        """Look at lines of a source whose lines are readings by themselves (see `plain_readings.ahead_of_utc`)."""
        parsed = replace(bronze, coded=True).where(pc.field("parse_error").is_null())
        seen = _made(parsed, LINES, partial(surveyed, source=source), SURVEYED)
        # The intervals of a block are neighbours: of quarter hours they lie in a day or two.
        days = F.when(F.col("first").isNotNull(), F.array(F.to_date("first"), F.to_date("last")))
        found, unsure = seen.agg(F.collect_set(days), F.coalesce(F.sum("unsure"), F.lit(0))).collect()[0]
        return cls(parsed, source, seen, bridged(joined((first, last) for first, last in found)), unsure)

    def places(self) -> DataFrame:
        """As `stg_meters.places` of the lines."""
        named = self.seen.where("meter_id <> ''").withColumn("source", F.lit(self.source.name))
        return named.select("source", "meter_id", "file_id", *PLACE, "line_order")

    def doubtful(self, standing: DataFrame, ahead: timedelta) -> DataFrame | None:
        """The lines to be judged: all that break a rule, and all about an interval that another line, or a reading
        that stands, is about. None where they are not few.

        Args:
            standing: the readings of silver that the lines may repeat or replace.
            ahead: how far the source's clock is ahead of UTC on all days of the lines.
        """
        shared = self._shared(standing, ahead)
        if shared.num_rows > FEW_BLOCKS or self.unsure > FEW_LINES:
            return None
        if not self.unsure and not shared.num_rows:
            return frame_of(self.bronze.spark, [], METER_READINGS.schema)
        meters, keys = slots_of(shared)
        if self.unsure + len(keys) > FEW_LINES:
            return None
        sent = self.bronze.spark.sparkContext.broadcast((meters, keys))
        schema = to_arrow_schema(METER_READINGS.schema, timezone="UTC")
        lines = _made(self.bronze, schema.names, partial(doubtful, source=self.source, shared=sent), schema)
        if is_small(lines.sparkSession) or lines.count() <= FEW_LINES:
            return lines
        lines.unpersist()
        return None

    def _shared(self, standing: DataFrame, ahead: timedelta) -> pa.Table:
        """`meter_id`, `block` and `slots`, a bitmap of the block's slots that several lines, or a line and a reading
        that stands, are about. FEW_BLOCKS and one more at most."""
        minutes, ends = self.source.interval_minutes, self.source.stamp == "end"
        stamp_after = ahead + timedelta(minutes=minutes if ends else 0)
        stamp = F.col("reading_timestamp") + F.make_dt_interval(secs=F.lit(int(stamp_after.total_seconds())))
        block, mark = slots(self.source.grid_minutes)
        by_block = standing.withColumn("reading_timestamp", stamp).groupBy("meter_id", block.alias("block"))
        stood = by_block.agg(F.bit_or(mark).alias("once"), F.lit(0).alias("several"))
        lines = self.seen.dropna(subset=["meter_id", "block"]).select("meter_id", "block", "once", "several")
        blocks = lines.unionByName(stood).groupBy("meter_id", "block").agg(_several().alias("slots"))
        return blocks.where("slots <> 0").limit(FEW_BLOCKS + 1).toArrow()


def _several() -> Column:
    """Of rows about one block the slots that several lines are about.

    A slot that two rows mark is in their OR and not in their XOR. Where one is marked more often, which the number of
    marks shows, all slots of the block are taken: too many do no harm.
    """
    any_of, odd = F.bit_or("once"), F.bit_xor("once")
    twice = any_of.bitwiseAND(F.bitwise_not(odd))
    told = F.sum(F.bit_count("once")) == F.bit_count(any_of) + F.bit_count(twice)
    return F.bit_or("several").bitwiseOR(F.when(told, twice).otherwise(any_of))


def _made(scan: FileScan, columns: Sequence[str], work: Work, schema: pa.Schema) -> DataFrame:
    """The rows of a pass, kept: by tasks, or of a small table here and now, without a job."""
    made = Rows.of(scan, columns).through(work, from_arrow_schema(schema, prefer_timestamp_ntz=True))
    return made if is_small(scan.spark) else made.persist()
