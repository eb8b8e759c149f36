"""The step `vee`: current readings -> findings of the rules, and estimates and edits in silver with their trail."""

from dataclasses import dataclass
from datetime import date
from functools import partial, reduce

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from meterlake import __version__
from meterlake.quality.validation import NOT_DELIVERED
from meterlake.run import Outcome, Run
from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import Rows, whole_meters
from meterlake.tables.arrow_writer import Batches
from meterlake.tables.changes import Changes
from meterlake.tables.corrected_readings import CORRECTED_READINGS
from meterlake.tables.file_scan import FileScan
from meterlake.tables.ops import RUNS
from meterlake.tables.shared_columns import READING_DATE_LOCAL
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.vee_findings import VEE_FINDINGS
from meterlake.transforms.stg_meter_readings import local_time
from meterlake.vee import unsupplied
from meterlake.vee.judge import ABSENT, JUDGED, MEASURED, QUALITIES, Dark, judged
from meterlake.vee.rulebook import LOOKS_AHEAD_DAYS, LOOKS_BACK_DAYS, RULES, VERSION, severity_of

DAY = READING_DATE_LOCAL.name
TRAIL = "vee:"  # begins the batch_id of this step's rows in corrected_readings
REACH_DAYS = LOOKS_AHEAD_DAYS + LOOKS_BACK_DAYS
READ = ("meter_id", "reading_timestamp", "consumption_kwh", "delivered_kwh", "quality", "batch_id")
ROWS_AT_ONCE = 500_000  # readings of whole meters that are worked off together: about 150 MB
AMENDED = ("consumption_kwh", "delivered_kwh", "active_power_kw", "quality")


@dataclass(frozen=True)
class Scope:
    """The meter-days whose verdicts may change, and those that have to be read for that."""

    verdicts: Changes
    readings: DataFrame | FileScan


def vee(run: Run) -> Outcome:
    """Judge the changed meters, keep what the rules found, and estimate and edit what the source says."""
    store, source = run.store, run.source
    changed = run.changes("vee", STG_METER_READINGS).or_in(unsupplied.concerned(run))
    if changed.nothing:
        return Outcome(nothing_new=True)
    if source.varies:
        return _left_alone(run)
    _forget_unfinished(run)
    version = store.version(STG_METER_READINGS)
    scope = _scope(run, changed, version)
    told = _judged(scope, source, unsupplied.dark(run, changed, REACH_DAYS)).persist()
    found = _findings(told.where(F.col("rule").isNotNull()), source)
    changes = told.where(F.col("rule").isNull())
    rows = store.replace(found, VEE_FINDINGS, scope.verdicts)
    counts = {
        row.rule or row.after_quality: row["count"] for row in told.groupBy("rule", "after_quality").count().collect()
    }
    edits = sum(count for name, count in counts.items() if name not in RULES)
    if edits:
        _keep(run, changes)
    told.unpersist()
    outcome = Outcome(rows_in=0, rows_out=rows + edits)
    outcome.inputs = {STG_METER_READINGS.name: store.version(STG_METER_READINGS)}
    outcome.outputs = {VEE_FINDINGS.name: store.version(VEE_FINDINGS)}
    outcome.figures = {f"vee_{name or 'withdrawn'}": float(count) for name, count in counts.items()}
    outcome.said = _said(counts)
    return outcome


def _left_alone(run: Run) -> Outcome:
    """Where lines bring their own lengths and qualities (NEM12), the meter's data provider has done this work.

    It validates, substitutes and says so for each interval before it delivers (AEMO, Metrology Procedure: Part B). Our
    rules look at series of one interval length, and an estimate of ours would stand against the market's.
    """
    seen = run.store.version(STG_METER_READINGS)
    said = (
        f"Readings of {run.source.name} bring their own qualities and lengths: rules and estimation leave them alone."
    )
    return Outcome(inputs={STG_METER_READINGS.name: seen}, said=[said])


def _scope(run: Run, changed: Changes, version: int) -> Scope:
    """A day's verdict depends on the days around it; the changed days of a meter are taken as one range."""
    store, table, around = run.store, STG_METER_READINGS, changed.end_to_end(REACH_DAYS, REACH_DAYS)
    if changed.everything:
        files = store.scan(table, source=[run.source.name])
    else:
        files = store.scan_meters(table, changed, around)
    near = files or changed.meters_in(store.read(table, version=version), DAY, around)
    if changed.days is None:
        return Scope(changed, near)
    first, last = F.date_sub(F.min("day"), LOOKS_AHEAD_DAYS), F.date_add(F.max("day"), LOOKS_BACK_DAYS)
    days = changed.days.groupBy("meter_id").agg(F.explode(F.sequence(first, last)).alias("day")).persist()
    return Scope(Changes.of_frame(changed.source, days), near)


def _judged(scope: Scope, source: Source, dark: Dark) -> DataFrame:
    """Rows of judge.JUDGED about the meter-days of the scope: one shuffle by meter, one sort, one pass."""
    told = Rows.by_meter(scope.readings, _read(source)).through(
        partial(_pass, source=source, dark=dark), from_arrow_schema(JUDGED)
    )
    return scope.verdicts.days_in(told.withColumn("source", F.lit(source.name)), DAY)


def _read(source: Source) -> list[str]:
    """Columns of silver that the pass reads."""
    channels = ["voltage_v"] if source.columns.voltage else []
    channels += ["register_kwh"] if source.units.is_register else []
    return [*READ, *channels, *_sub_meters(source)]


def _sub_meters(source: Source) -> list[str]:
    return [f"sub_metering_{n}_kwh" for n in (1, 2, 3) if getattr(source.columns, f"sub_metering_{n}")]


def _pass(batches: Batches, source: Source, dark: Dark) -> Batches:
    """The pass over one partition, whose rows are sorted by meter and time: whole meters at a time."""
    for readings in whole_meters(batches, ROWS_AT_ONCE):
        yield from judged(_delivered(readings, source), source, dark).to_batches()


def _delivered(readings: pa.Table, source: Source) -> pa.Table:
    """With what judge.judged looks at beside the columns of silver."""
    energy, quality = readings["consumption_kwh"], readings["quality"]
    code = pc.fill_null(pc.index_in(quality, pa.array(QUALITIES)), MEASURED)
    code = pc.if_else(pc.equal(readings["batch_id"], NOT_DELIVERED), ABSENT, code)
    was = pc.if_else(pc.equal(quality, "measured"), energy, readings["delivered_kwh"])
    told = readings.append_column("delivered", was).append_column("code", code.cast(pa.int8()))
    if subs := _sub_meters(source):
        told = told.append_column("sub_kwh", reduce(pc.add, (readings[name] for name in subs)))
    return told


def _findings(told: DataFrame, source: Source) -> DataFrame:
    rules = {name: (rule.id, severity_of(rule, source.vee.rules)) for name, rule in RULES.items()}
    parts = ([F.lit(part) for name, pair in rules.items() for part in (name, pair[n])] for n in (0, 1))
    ids, severities = (F.create_map(*part) for part in parts)
    return told.select(
        "source",
        "meter_id",
        DAY,
        ids[F.col("rule")].alias("rule_id"),
        "rule",
        severities[F.col("rule")].alias("severity"),
        F.col("begin").alias("from_timestamp"),
        F.col("end").alias("to_timestamp"),
        "interval_count",
        "value",
        "reference",
        "details",
    )


def _keep(run: Run, changes: DataFrame) -> None:
    """Write the trail, then the readings. A run killed in between leaves a trail that the next run forgets."""
    run.store.replace_batches(trail(changes, run.run_id), CORRECTED_READINGS, [TRAIL + run.run_id])
    bounds = changes.agg(F.min(DAY), F.max(DAY), F.min(F.col("before_quality").isNull())).head()
    assert bounds is not None
    first, last, only_new = bounds
    amend(run, readings_of(changes, run.source), first, last, only_new=only_new)


def amend(run: Run, readings: DataFrame, first: date, last: date, *, only_new: bool = False) -> None:
    """Make silver hold these readings, in one commit that carries the run's name."""
    note = TRAIL + run.run_id
    if only_new:
        run.store.append(readings.drop("gone"), STG_METER_READINGS, note)
        return
    run.store.amend(readings, STG_METER_READINGS, run.source.name, (first, last), AMENDED, note)


def trail(changes: DataFrame, run_id: str) -> DataFrame:
    """Rows of `corrected_readings`."""
    return changes.select(
        _reading_id().alias("reading_id"),
        "source",
        "meter_id",
        F.col("begin").alias("reading_timestamp"),
        DAY,
        "before_kwh",
        "after_kwh",
        "before_quality",
        "after_quality",
        "method",
        F.lit(f"{__version__}, rules {VERSION}").alias("rule_version"),
        F.lit(run_id).alias("run_id"),
        F.lit(TRAIL + run_id).alias("batch_id"),
    )


def readings_of(changes: DataFrame, source: Source) -> DataFrame:
    """Rows of silver, whole for intervals that had none; `gone` where there shall be none."""
    local, hours = local_time(F.col("begin"), source), source.interval_minutes / 60
    new = {
        "reading_id": _reading_id(),
        "reading_timestamp": F.col("begin"),
        "interval_minutes": F.lit(source.interval_minutes),
        "consumption_kwh": F.col("after_kwh"),
        "active_power_kw": F.col("after_kwh") / hours,
        # Kept where the reading is not what was delivered.
        "delivered_kwh": F.when(F.col("after_quality") != "measured", F.col("delivered_kwh")),
        "hour_of_day": F.hour(local),
        "day_of_week": F.weekday(local) + 1,
        "quality": F.col("after_quality"),
        "batch_id": F.lit(NOT_DELIVERED),
    }
    known = {"source", "meter_id", DAY}
    columns = [
        new.get(field.name, F.col(field.name) if field.name in known else F.lit(None))
        .cast(field.dataType)
        .alias(field.name)
        for field in STG_METER_READINGS.schema
    ]
    return changes.select(*columns, F.col("after_quality").isNull().alias("gone"))


def _reading_id() -> Column:
    return F.concat_ws(":", "source", "meter_id", F.unix_timestamp("begin"))


def _forget_unfinished(run: Run) -> None:
    """Delete the trail of runs that were killed before silver's commit: what it tells did not happen."""
    if not run.store.exists(CORRECTED_READINGS):
        return
    ours = run.store.read(CORRECTED_READINGS, run.source.name).where(F.col("batch_id").startswith(TRAIL))
    done = run.store.read(RUNS, run.source.name).where(F.col("step").isin("vee", "vee_undo"))
    for row in ours.select("run_id", "batch_id").distinct().join(done, on="run_id", how="left_anti").collect():
        if run.store.version_noted(STG_METER_READINGS, row.batch_id) is None:
            run.store.delete_batch(CORRECTED_READINGS, row.batch_id)


def _said(counts: dict[str | None, int]) -> list[str]:
    rules = {name: count for name, count in counts.items() if name in RULES}
    told = ", ".join(f"{count:,} {name}" for name, count in sorted(rules.items(), key=lambda one: -one[1]))
    return [
        f"{counts.get('estimated', 0):,} readings are estimated and {counts.get('edited', 0):,} edited.",
        f"Rules found: {told or 'nothing'}.",
    ]
