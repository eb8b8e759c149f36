"""Give back the readings that a run of the step `vee` changed, where they still stand as it left them."""

import argparse
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.errors import UsageError
from meterlake.run import Outcome, Run, holding
from meterlake.settings import Settings
from meterlake.tables.corrected_readings import CORRECTED_READINGS
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.vee.step import DAY, TRAIL, amend, readings_of, trail

KEY = ["source", "meter_id", "reading_timestamp"]


def from_arguments(parsed: argparse.Namespace, settings: Settings) -> str:
    """`meterlake vee undo --source NAME --run ID`."""
    from meterlake import headstart
    from meterlake.sources.catalog import source_named
    from meterlake.tables.store import Store

    source = source_named(parsed.source, settings)
    with holding(settings):
        spark = headstart.session(settings, f"meterlake vee undo {source.name}").result()
        run = Run(source, settings, Store(spark, settings), run_id=parsed.run_id or "")
        return " ".join(undo(run, parsed.run).said)


def undo(run: Run, undone: str) -> Outcome:
    """Undo what the run `undone` changed. It leaves a marker of the step `vee`, which takes the readings as seen.

    A reading that changed again since then (a later delivery, another run) stays as it is.

    Raises:
        UsageError: no such run changed a reading; or readings wait for the step, whose changes this would hide.
    """
    if not run.changes("vee", STG_METER_READINGS).nothing:
        raise UsageError(
            f"Readings of {run.source.name} have changed since the step vee; run `meterlake vee --source "
            f"{run.source.name}` first, then undo."
        )
    made = run.store.read(CORRECTED_READINGS, run.source.name).where(F.col("batch_id") == TRAIL + undone)
    bounds = made.agg(F.count("*"), F.min(DAY), F.max(DAY)).head()
    if bounds is None or not bounds[0]:
        raise UsageError(
            f"No run {undone} of the step vee changed a reading of {run.source.name}; see `meterlake status`."
        )
    return run.perform("vee", lambda run: _undone(run, made, *bounds))


def _undone(run: Run, made: DataFrame, count: int, first: date, last: date) -> Outcome:
    silver = run.store.read(STG_METER_READINGS, run.source.name).where(F.col(DAY).between(first, last))
    # Pinned by persisting: the trail is written from it before silver changes.
    back = turned(made, silver).persist()
    rows = back.count()
    run.store.replace_batches(trail(back, run.run_id), CORRECTED_READINGS, [TRAIL + run.run_id])
    amend(run, readings_of(back, run.source), first, last)
    back.unpersist()
    outcome = Outcome(rows_in=count, rows_out=rows)
    outcome.inputs = {STG_METER_READINGS.name: run.store.version(STG_METER_READINGS)}
    outcome.said = [f"{rows:,} of {count:,} readings are as they were before; the others have changed since."]
    return outcome


def turned(made: DataFrame, silver: DataFrame) -> DataFrame:
    """Changes that turn the made ones back, of the readings that stand as they left them."""
    standing = silver.select(*KEY, "consumption_kwh", "quality", "delivered_kwh")
    stands_so = F.col("quality").eqNullSafe(F.col("after_quality")) & F.col("consumption_kwh").eqNullSafe(
        F.col("after_kwh")
    )
    return (
        made.join(standing, on=KEY, how="left")
        .where(stands_so)
        .select(
            "source",
            "meter_id",
            DAY,
            F.col("reading_timestamp").alias("begin"),
            "delivered_kwh",
            F.col("after_kwh").alias("before_kwh"),
            F.col("before_kwh").alias("after_kwh"),
            F.col("after_quality").alias("before_quality"),
            F.col("before_quality").alias("after_quality"),
            F.lit("undone").alias("method"),
        )
    )
