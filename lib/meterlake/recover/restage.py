"""Bronze -> silver once more, for a scope: all its lines are judged together by today's code and declarations.

No reading that stands is looked at, only lines in the order of delivery, so the result is that of a full rebuild.
"""

from dataclasses import dataclass, replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake import __version__
from meterlake.errors import LedgerUnbalanced, UsageError
from meterlake.quality.repeated_hour import repeated_hours, told_apart
from meterlake.quality.rules import CONFLICTING_DUPLICATE, broken_rules
from meterlake.quality.validation import INTERVAL, MEASURED, SUPERSEDED, contested
from meterlake.recover.scope import Scope
from meterlake.run import Run
from meterlake.sources.source import Source
from meterlake.stage import days_of, delivered, pending
from meterlake.tables.changes import Changes
from meterlake.tables.corrected_readings import CORRECTED_READINGS
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.recoveries import RELEASED_READINGS
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.transforms import quarantined_readings, stg_meter_readings
from meterlake.transforms.stg_meter_readings import Judged
from meterlake.vee.step import AMENDED

LINE = ["file_id", "line_order"]
RELEASED = "released"


@dataclass(frozen=True)
class Restaged:
    """What became of the lines of the scope, each number counted in a table, and the meter-days concerned.

    lines = current + exact_duplicates + superseded + quarantined.
    """

    changes: Changes
    lines: int
    current: int
    exact_duplicates: int
    superseded: int
    quarantined: int
    corrections: int

    @property
    def figures(self) -> dict[str, float]:
        names = ("lines", "current", "exact_duplicates", "superseded", "quarantined", "corrections")
        return {name: float(getattr(self, name)) for name in names}


def restage(run: Run, scope: Scope, recovery: str, kind: str) -> Restaged:
    """Judge the scope's lines again and make silver and quarantine what comes of it.

    Killed between its commits it is done again, also by another declaration than before: each write replaces the scope,
    and the version that silver had before is known by the note of the first commit.

    Raises:
        UsageError: batches wait to be staged, or the source's clock was changed and the scope has edges.
        LedgerUnbalanced: a line of the scope was lost or doubled.
    """
    if pending(run):
        raise UsageError(
            f"Lines of {run.source.name} were ingested and not staged; run `meterlake stage --source "
            f"{run.source.name}` first."
        )
    store, source = run.store, run.source
    scope = scope.from_the_day_before() if source.units.is_register else scope
    rows = _interpreted(scope.lines(store.read(METER_READINGS)), source)
    note = f"recovered {recovery}"
    committed = store.version_noted(STG_METER_READINGS, note)
    before = store.version(STG_METER_READINGS) if committed is None else committed - 1
    standing = store.read(STG_METER_READINGS, source.name, before)
    if not scope.whole:
        _edges_stand(scope.around(standing), rows, source.name)
    # Checkpoints, not caches: with all that they are made of in it, the plan of each MERGE below took a minute.
    inside = scope.of(rows).localCheckpoint()
    lines, changes = inside.count(), scope.changes([inside, standing])
    judged = _judged(run, inside)
    judged = replace(judged, compared=judged.compared.localCheckpoint())

    rejected = quarantined_readings.build(judged.compared, judged.rejected)
    _exchange_quarantine(run, scope, rejected)
    readings = _readings(run, scope, judged, standing).localCheckpoint()
    _exchange_trail(run, scope, _trail(scope.of(standing), readings, recovery, kind), recovery)
    store.replace(readings, STG_METER_READINGS, changes, note)
    superseded = judged.compared.where(F.col("status") == SUPERSEDED).count()
    corrections = store.read(CORRECTED_READINGS).where(F.col("batch_id") == recovery).count()
    return _proved(run, scope, Restaged(changes, lines, 0, 0, superseded, 0, corrections))


def _interpreted(lines: DataFrame, source: Source) -> DataFrame:
    """The lines as `stage` reads them: those of an hour that the clock shows twice are told apart."""
    rows = stg_meter_readings.interpret(lines, source)
    return told_apart(rows, repeated_hours(source.time_zone, days_of(lines)), source)


def _edges_stand(around: DataFrame, rows: DataFrame, source: str) -> None:
    """The readings beside the scope must come out of the same lines as before, or lines would fall between."""
    moved = around.where(delivered()).join(rows.select(*INTERVAL).distinct(), on=list(INTERVAL), how="left_anti").head()
    if moved:
        raise UsageError(
            f"Time stamps of {source} are read differently than before (no line gives the reading of "
            f"{moved.meter_id} at {moved.reading_timestamp} any more): a period would lose readings at its edges; "
            "run `meterlake backfill` without --from and --to."
        )


def _judged(run: Run, inside: DataFrame) -> Judged:
    """`judge` on lines alone. A released line is valid; what its file says otherwise of the interval is not."""
    source, nothing = run.source, run.store.read(STG_METER_READINGS).where(F.lit(False))
    released = run.store.read(RELEASED_READINGS, source.name).select(*LINE).withColumn(RELEASED, F.lit(True))
    marked = inside.join(F.broadcast(released), on=LINE, how="left")
    marked = marked.withColumn(RELEASED, F.coalesce(RELEASED, F.lit(False)))
    decided = marked.where(RELEASED).select(*INTERVAL, "file_id").distinct()
    rivals = marked.where(~F.col(RELEASED)).join(F.broadcast(decided), on=[*INTERVAL, "file_id"], how="left_semi")
    rest = marked.join(rivals.select(*LINE), on=LINE, how="left_anti") if decided.head(1) else marked
    # Where a meter's intervals may be of several lengths, all are compared: a scope is small.
    rivalled = rest.select(*INTERVAL).distinct() if source.varies else contested(rest, source.grid_minutes)
    judged = stg_meter_readings.judge(rest, source, nothing, rivalled, lengths_differ=source.varies, released=RELEASED)
    refused = rivals.withColumn("reasons", F.array_append(broken_rules(source), F.lit(CONFLICTING_DUPLICATE)))
    return replace(judged, rejected=judged.rejected.unionByName(refused))


def _readings(run: Run, scope: Scope, judged: Judged, standing: DataFrame) -> DataFrame:
    """The scope's rows of silver. A register's energy also needs the readings beside the scope."""
    source, current = run.source, judged.current
    if source.units.is_register:
        around = stg_meter_readings.as_delivered(scope.around(standing).where(delivered()), source)
        current = stg_meter_readings.energy_from_registers(current.unionByName(around), source)
    readings = stg_meter_readings.build(current.where(F.col("file_id") > 0), source)
    return _with_estimates(readings, scope.of(standing))


def _with_estimates(readings: DataFrame, standing: DataFrame) -> DataFrame:
    """The readings as the step vee had left them where it would find the same deliveries. It judges them next.

    Else a recovery that changes nothing would withdraw every estimate, and make it again.
    """
    energy = F.when(F.col("quality") == "measured", F.col("consumption_kwh")).otherwise(F.col("delivered_kwh"))
    measured = F.xxhash64(energy, *(name for name in MEASURED if name != "consumption_kwh")).alias("measured")
    left = (F.col(name).alias(f"left_{name}") for name in AMENDED)
    amended = standing.where(F.col("quality").isin("estimated", "edited") & delivered())
    told = amended.select(*INTERVAL, measured, *left)
    both = readings.withColumn("measured", measured).join(told, on=[*INTERVAL, "measured"], how="left")
    stands = F.col("left_quality").isNotNull()
    kept = {name: F.when(stands, F.col(f"left_{name}")).otherwise(F.col(name)) for name in AMENDED}
    alone = standing.where(~delivered()).join(readings.select(*INTERVAL), on=list(INTERVAL), how="left_anti")
    return both.withColumns(kept).select(*readings.columns).unionByName(alone)


def _exchange_quarantine(run: Run, scope: Scope, rejected: DataFrame) -> None:
    existing = scope.of(run.store.read(QUARANTINED_READINGS))
    run.store.exchange(rejected, existing, QUARANTINED_READINGS, f"t.source = '{run.source.name}'")


def _exchange_trail(run: Run, scope: Scope, trail: DataFrame, recovery: str) -> None:
    """What an earlier attempt at this recovery noted of other meter-days stays: they are not changed again."""
    noted = scope.of(run.store.read(CORRECTED_READINGS)).where(F.col("batch_id") == recovery)
    run.store.exchange(trail, noted, CORRECTED_READINGS, f"t.batch_id = '{recovery}'")


def _trail(before: DataFrame, after: DataFrame, recovery: str, kind: str) -> DataFrame:
    """Rows of `corrected_readings`: every reading that came, went, or has another energy or quality than before."""
    of_reading = ["reading_id", "source", "meter_id", "reading_timestamp", "reading_date_local"]

    def named(rows: DataFrame, when: str) -> DataFrame:
        energy, quality = F.col("consumption_kwh").alias(f"{when}_kwh"), F.col("quality").alias(f"{when}_quality")
        return rows.select(*of_reading, energy, quality)

    both = named(before, "before").join(named(after, "after"), on=of_reading, how="full_outer")
    same = F.col("before_kwh").eqNullSafe(F.col("after_kwh")) & F.col("before_quality").eqNullSafe(
        F.col("after_quality")
    )
    return both.where(~same).select(
        *of_reading,
        "before_kwh",
        "after_kwh",
        "before_quality",
        "after_quality",
        F.lit(kind).alias("method"),
        F.lit(__version__).alias("rule_version"),
        F.lit(recovery).alias("run_id"),
        F.lit(recovery).alias("batch_id"),
    )


def _proved(run: Run, scope: Scope, done: Restaged) -> Restaged:
    """Count the scope in the tables as they stand now, against its lines in bronze."""
    current = scope.of(run.store.read(STG_METER_READINGS)).where(delivered()).count()
    (held,) = scope.of(run.store.read(QUARANTINED_READINGS)).agg(*quarantined_readings.counts()).collect()
    found = current + held.exact_duplicates + done.superseded + held.quarantined
    if done.lines != found:
        balance = "lines of the scope = current + exact duplicates + superseded + quarantined"
        raise LedgerUnbalanced(balance, done.lines, found)
    return replace(done, current=current, exact_duplicates=held.exact_duplicates, quarantined=held.quarantined)
