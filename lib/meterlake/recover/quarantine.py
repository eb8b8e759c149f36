"""Look into the quarantine, and take lines out of it that an operator knows to be right."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from math import isfinite

from pyspark.sql import DataFrame, Row, Window
from pyspark.sql import functions as F

from meterlake.errors import UsageError
from meterlake.quality.rules import EXACT_DUPLICATE
from meterlake.recover.downstream import ForcedRun, recompute_and_publish
from meterlake.recover.record import Request
from meterlake.recover.recovery import After, Recovered, recover
from meterlake.recover.restage import LINE
from meterlake.recover.scope import DAY, Scope, of_pairs
from meterlake.run import Run
from meterlake.shares import frame_of
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.recoveries import RELEASED_READINGS
from meterlake.tables.store import Store

UNPARSABLE = "unparsable"
# No word of an operator makes a reading of these: they lack what a reading is known by, or it stands already.
NEVER = {
    "missing_meter": "it names no meter",
    "missing_timestamp": "it has no time stamp",
    "missing_value": "it has no value",
    "off_cadence_timestamp": "its time stamp belongs to no interval",
    "future_timestamp": "its interval has not begun",
    "past_timestamp": "its time stamp is of a clock that does not know the time",
    "unknown_label": "its label is not declared; declare it and replay",
    EXACT_DUPLICATE: "its reading stands already",
}


@dataclass(frozen=True)
class Selection:
    """Which quarantined lines: all that meet every condition that is given.

    Attributes:
        lines: (file_id, line_order) of single lines, as `quarantine show` tells them.
    """

    source: str | None = None
    rule: str | None = None
    meter: str | None = None
    first: date | None = None
    last: date | None = None
    lines: tuple[tuple[int, int], ...] = ()

    def of(self, held: DataFrame) -> DataFrame:
        if self.source:
            held = held.where(F.col("source") == self.source)
        if self.rule:
            held = held.where(F.array_contains("reasons", self.rule))
        if self.meter:
            held = held.where(F.col("meter_id") == self.meter)
        if self.first:
            held = held.where(F.col(DAY) >= self.first)
        if self.last:
            held = held.where(F.col(DAY) <= self.last)
        if self.lines:
            wanted = frame_of(held.sparkSession, self.lines, "file_id bigint, line_order bigint")
            held = held.join(F.broadcast(wanted), on=LINE, how="left_semi")
        return held


def counts(store: Store, selection: Selection) -> list[Row]:
    """`source`, `rule`, `day` (null where unknown), `lines`: a line that broke two rules counts under each."""
    held = selection.of(_held(store))
    rules = held.select("source", F.explode("reasons").alias("rule"), F.col(DAY).alias("day"))
    return (
        rules.groupBy("source", "rule", "day")
        .agg(F.count("*").alias("lines"))
        .orderBy("source", "rule", "day")
        .collect()
    )


def shown(store: Store, selection: Selection, limit: int) -> list[Row]:
    """Quarantined and unparsable lines with what bronze has of them.

    Returns:
        `file_id`, `line_order`, `source_file`, `data_line` (1 is the first below the header, blank lines aside),
        `reasons`, `line` (raw where it was kept, else the delivered meter, stamp and value).
    """
    held = selection.of(_held(store)).orderBy("source", *LINE).limit(limit)
    own = held.select("source", *LINE, "reasons").persist()
    files = [row.file_id for row in own.select("file_id").distinct().collect()]
    bronze = store.read(METER_READINGS, selection.source).where(F.col("file_id").isin(files))
    position = F.row_number().over(Window.partitionBy("source", "file_id").orderBy("line_order"))
    delivered = F.concat_ws(",", "meter_id", F.col("stamp_local").cast("string"), F.col("value").cast("string"))
    told = bronze.select(
        "source",
        *LINE,
        "source_file",
        position.alias("data_line"),
        F.coalesce("raw_line", delivered).alias("line"),
        "parse_error",
    )
    rows = told.join(F.broadcast(own), on=["source", *LINE], how="inner")
    reasons = F.when(F.col("parse_error").isNotNull(), F.array("parse_error")).otherwise(F.col("reasons"))
    return rows.withColumn("reasons", reasons).drop("parse_error").orderBy("source", *LINE).collect()


def release(run: ForcedRun, request: Request, selection: Selection, after: After = recompute_and_publish) -> Recovered:
    """Take the selected lines as valid; of an interval that one file gives several values, the selected one is right.

    Raises:
        UsageError: nothing is selected, or a line that cannot be a reading.
    """

    def decided(run: Run) -> tuple[Scope, dict[str, float]]:
        chosen = selection.of(run.store.read(QUARANTINED_READINGS, run.source.name)).persist()
        check_releasable(chosen.collect())
        _remember(run, chosen, request)
        chosen.unpersist()
        # Also those that a killed release remembered and did not come to stage.
        taken = run.store.read(RELEASED_READINGS, run.source.name)
        held = run.store.read(QUARANTINED_READINGS, run.source.name).select(*LINE)
        waiting = selection.of(taken).unionByName(taken.join(held, on=LINE, how="left_semi")).dropDuplicates(LINE)
        released = waiting.count()
        if not released:
            raise UsageError("No quarantined line is selected; see `meterlake quarantine show`.")
        return of_pairs(run.source.name, waiting), {"released": float(released)}

    return recover(run, request, decided, after)


def check_releasable(chosen: list[Row]) -> None:
    """Refuse lines that no release can make a reading of.

    Raises:
        UsageError: there is one; the sentence names it.
    """
    for row in chosen:
        why = [NEVER[reason] for reason in row.reasons if reason in NEVER]
        if row.consumption_kwh is not None and not isfinite(row.consumption_kwh):
            why.append("its value is no finite number")
        if why:
            raise UsageError(f"Line {row.file_id}:{row.line_order} of {row.source} cannot be released: {why[0]}.")
    intervals: dict[tuple[object, ...], Row] = {}
    for row in chosen:
        interval = row.meter_id, row.reading_timestamp, row.file_id
        if interval in intervals:
            other = intervals[interval].line_order
            raise UsageError(
                f"Lines {row.file_id}:{other} and {row.file_id}:{row.line_order} are about the same interval; "
                "release one of them."
            )
        intervals[interval] = row


def _remember(run: Run, chosen: DataFrame, request: Request) -> None:
    told = {"reason": request.reason, "released_by": request.by, "run_id": run.run_id}
    identity = F.concat_ws(":", "source", "meter_id", F.unix_timestamp("reading_timestamp")).alias("reading_id")
    kept = [name for name in RELEASED_READINGS.names if name in QUARANTINED_READINGS.names]
    rows = chosen.select(*kept, identity, *(F.lit(text).alias(name) for name, text in told.items()))
    run.store.upsert(rows.withColumn("released_at", F.lit(datetime.now(UTC))), RELEASED_READINGS)


def _held(store: Store) -> DataFrame:
    """Quarantined rows, and the lines that do not parse under the rule `unparsable`."""
    names = QUARANTINED_READINGS.names
    raw = store.read(METER_READINGS).where(F.col("parse_error").isNotNull())
    unknown = raw.select(
        *(
            F.array(F.lit(UNPARSABLE)).alias(name)
            if name == "reasons"
            else F.col(name)
            if name in METER_READINGS.names
            else F.lit(None).cast(QUARANTINED_READINGS.schema[name].dataType).alias(name)
            for name in names
        )
    )
    return store.read(QUARANTINED_READINGS).unionByName(unknown)
