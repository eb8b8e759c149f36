"""Bronze -> silver: current readings, quarantine, edit trail, and the ledger that proves nothing is lost."""

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial, reduce

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from meterlake.errors import LedgerUnbalanced
from meterlake.quality.alerts import raise_alerts
from meterlake.quality.repeated_hour import Repeated, repeated_hours, told_apart
from meterlake.quality.rules import EXACT_DUPLICATE
from meterlake.quality.survey import Survey
from meterlake.quality.validation import (
    CURRENT,
    INTERVAL,
    NOT_DELIVERED,
    REPLACED,
    SUPERSEDED,
    contested,
    of_several,
    of_torn_days,
)
from meterlake.run import Outcome, Run
from meterlake.session import beside
from meterlake.sources.source import Source
from meterlake.tables.arrow_pass import ArrowPass
from meterlake.tables.corrected_readings import CORRECTED_READINGS
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LEDGER
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.spans import Span, around, bridged, on_days, widened
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import (
    corrected_readings,
    plain_readings,
    quarantined_readings,
    stg_meter_readings,
    stg_meters,
)

FEW_INTERVALS = 1_000_000  # 40 MB


@dataclass(frozen=True)
class Scope:
    """The batches to stage, the readings that stood before them, and whether their commit is done already.

    Attributes:
        stood: how many of the readings that `standing` holds were delivered.
        spans: the days in which `standing` lies.
        repeated: the hours on the days of the batches that the source's clock shows twice.
        ahead: how far the source's clock is ahead of UTC on all of those days; None where a line needs others beside it
            to become a reading.
    """

    batches: list[Row]
    standing: DataFrame
    stood: int
    spans: list[Span]
    committed: bool
    repeated: list[Repeated]
    ahead: timedelta | None

    @property
    def names(self) -> list[str]:
        return [batch.batch_id for batch in self.batches]


def stage(run: Run) -> Outcome:
    """Validate the batches that were ingested but not staged, and merge them into the current readings.

    Raises:
        LedgerUnbalanced: a line was lost or doubled.
    """
    batches = pending(run)
    if not batches:
        return Outcome(nothing_new=True)
    store, source = run.store, run.source
    names = [batch.batch_id for batch in batches]
    lines = store.read(METER_READINGS, source.name).where(F.col("batch_id").isin(names))
    survey = _survey(run, names)
    scope = _scope(run, batches, survey.spans if survey else days_of(lines))
    few = _doubtful(survey, scope)
    to_judge = lines if few is None else few
    rows = told_apart(stg_meter_readings.interpret(to_judge, source), scope.repeated, source)
    if few is not None:
        scope = replace(scope, standing=_about(rows, scope.standing).persist())
    intervals = _contested(rows, scope, source, few is not None)
    torn = source.varies and bool(_of_torn_days(rows, scope).head(1))
    judged = stg_meter_readings.judge(rows, source, scope.standing, intervals, lengths_differ=torn)
    for kept in (judged.aside, judged.compared):  # read by quarantine, edit trail, counts and silver
        kept.persist()

    quarantined = quarantined_readings.build(judged.compared, judged.rejected)
    # The lines that are no readings are planned while the tasks write those that are.
    with beside(store.spark, partial(store.replace_batches, quarantined, QUARANTINED_READINGS, names)):
        counts = _counted(judged.compared)
        corrections = sum(rows for (_, status), rows in counts.items() if status == REPLACED)
        # Without corrections, too, where the table stands: a killed attempt may have left some.
        if corrections or store.exists(CORRECTED_READINGS):
            corrected = corrected_readings.build(judged.compared, run.run_id, names[-1])
            store.replace_batches(corrected, CORRECTED_READINGS, names)
        places = survey.places() if survey else stg_meters.places(lines)
        store.upsert(stg_meters.build(places, store.read(STG_METERS, source.name)), STG_METERS)
        _write_current(run, judged, scope, survey, corrections)
    read = (*([survey.seen] if survey else []), to_judge, scope.standing)
    for kept in (judged.compared, judged.aside, intervals, *read):
        kept.unpersist()
    entries = _ledger(run, counts, scope)
    store.append_rows(entries, LEDGER)
    outcome = _outcome(run, entries, corrections)
    alerts = raise_alerts(entries, run_id=run.run_id, source=source, settings=run.settings)
    run.keep(alerts)
    outcome.said += [f"ALERT: {alert.observed}" for alert in alerts if not alert.success]
    return outcome


def pending(run: Run) -> list[Row]:
    """The batches that were ingested but not staged, in the order of delivery: `batch_id` and sums of their files."""
    run.store.ensure(LEDGER)
    asked = """
        SELECT batch_id, count(*) AS files, sum(lines) AS lines, sum(loaded) AS loaded, sum(unparsable) AS unparsable
        FROM loaded_files
        WHERE source = :source AND batch_id NOT IN (SELECT batch_id FROM ledger WHERE source = :source)
        GROUP BY batch_id
        ORDER BY min(file_id)
    """
    return run.store.ask(asked, source=run.source.name)


def _survey(run: Run, batches: list[str]) -> Survey | None:
    """A look at the lines with Arrow; None where a line needs others beside it to become a reading."""
    if not plain_readings.alone(run.source):
        return None
    bronze = run.store.scan(METER_READINGS, source=[run.source.name], batch_id=batches)
    return Survey.of(bronze, run.source) if bronze else None


def _doubtful(survey: Survey | None, scope: Scope) -> DataFrame | None:
    """The few lines to be judged, where all others are readings as they stand; None where all are to be judged."""
    if survey is None or scope.ahead is None or scope.repeated:
        return None
    return survey.doubtful(scope.standing, scope.ahead)


def _about(rows: DataFrame, standing: DataFrame) -> DataFrame:
    """The standing readings of the intervals that a few rows are about."""
    intervals = F.broadcast(rows.select(*INTERVAL).distinct())
    return standing.join(intervals, on=list(INTERVAL), how="left_semi")


def _scope(run: Run, batches: list[Row], spans: list[Span]) -> Scope:
    """The standing readings that the batches can touch: those of their days, and a day either side for the time zone.

    A run that was killed after the commit of silver but before the ledger finds its own note there, and compares
    with the version before that commit: it comes to the same result and does not write again.
    """
    note = _note(batches)
    committed = run.store.version_noted(STG_METER_READINGS, note)
    # Pinned, so that the commit of this step does not show up in what it compares with.
    before = run.store.version(STG_METER_READINGS) if committed is None else committed - 1
    # Two days: the stamp's day and the interval's local day may differ by one, and a register looks one further.
    near = widened(spans, 2, 2)
    within = _within(run.source, near)
    standing = run.store.read(STG_METER_READINGS, version=before).where(within)
    asked = f"SELECT count(*) AS stood FROM stg_meter_readings WHERE {within} AND batch_id <> :none"
    stood = run.store.ask(asked, {STG_METER_READINGS: before}, none=NOT_DELIVERED)[0].stood if before >= 0 else 0
    repeated = repeated_hours(run.source.time_zone, spans)
    ahead = plain_readings.ahead_of_utc(run.source, spans)
    return Scope(batches, standing, stood, near, committed is not None, repeated, ahead)


def _within(source: Source, spans: list[Span], of: str = "") -> str:
    """A condition on rows of silver: those of the source on these days."""
    return f"{of}source = '{source.name}' AND {on_days(f'{of}reading_date_local', spans)}"


def days_of(lines: DataFrame) -> list[Span]:
    """The days of the lines' stamps, on the source's clock, and perhaps some between."""
    found = lines.agg(F.collect_set(F.to_date("stamp_local")).alias("days")).collect()[0]
    return bridged(around(found.days))


def delivered() -> Column:
    """Whether a line delivered the reading. One that stands by its estimate only is no line: no balance counts it."""
    return F.col("batch_id") != NOT_DELIVERED


def _note(batches: list[Row]) -> str:
    return "staged " + " ".join(batch.batch_id for batch in batches)


def _contested(rows: DataFrame, scope: Scope, source: Source, are_few: bool) -> DataFrame:
    """The intervals to compare, ready to be sent to every task while they are few."""
    both = rows.select(*INTERVAL).unionByName(scope.standing.select(*INTERVAL))
    intervals = of_several(both) if are_few else contested(both, source.grid_minutes)
    if source.varies:
        intervals = intervals.union(_of_torn_days(rows, scope)).distinct()
    intervals = intervals.persist()
    return F.broadcast(intervals) if intervals.count() <= FEW_INTERVALS else intervals


def _of_torn_days(rows: DataFrame, scope: Scope) -> DataFrame:
    """The intervals of meter-days that are there in several lengths, in the batches and what stands together."""
    names = [*INTERVAL, "reading_date_local", "interval_minutes"]
    return of_torn_days(rows.select(names).unionByName(scope.standing.select(names)))


def _write_current(
    run: Run, judged: stg_meter_readings.Judged, scope: Scope, survey: Survey | None, replaced: int
) -> None:
    """One commit: an append where it replaces nothing, else an upsert."""
    if scope.committed:
        return
    source, note = run.source, _note(scope.batches)
    plain = _plain(judged, scope, survey)
    if replaced and plain and _replaced_by(run, judged, plain, note):
        return
    readings = plain.frame() if plain else _readings(judged, scope, source)
    if replaced or (scope.stood and source.units.is_register):
        bounds = _within(source, scope.spans, of="t.")
        gone = None
        if source.varies:
            # A day that comes again in other lengths leaves readings behind that no new one has the start of.
            replaced_rows = judged.compared.where(F.col("status") == REPLACED).select("source", *INTERVAL)
            gone = replaced_rows.join(readings, on=["source", *INTERVAL], how="left_anti")
        run.store.upsert(readings, STG_METER_READINGS, bounds, note=note, gone=gone)
    elif plain:
        run.store.append_passes([plain], note=note)
    else:
        run.store.append(readings, STG_METER_READINGS, note=note)


def _replaced_by(run: Run, judged: stg_meter_readings.Judged, plain: ArrowPass, note: str) -> bool:
    """Let the pass's readings stand, and take out the few that they replace; whether that could be done."""
    replaced = judged.compared.where(F.col("status") == REPLACED)
    places = replaced.select("source", *INTERVAL, "reading_date_local").toArrow()
    return run.store.replace_by_pass(plain, STG_METER_READINGS, run.source.name, places, note) is not None


def _readings(judged: stg_meter_readings.Judged, scope: Scope, source: Source) -> DataFrame:
    """Rows of silver by Spark, where all lines were judged."""
    current = judged.current
    if source.units.is_register:
        # A new reading of a register gives energy to the interval before it, which may stand already.
        around = stg_meter_readings.as_delivered(scope.standing.where(delivered()), source)
        current = current.unionByName(around.join(current, on=list(INTERVAL), how="left_anti"))
        current = stg_meter_readings.energy_from_registers(current, source)
    else:
        current = current.where(F.col("file_id") > 0)
    return stg_meter_readings.build(current, source)


def _plain(judged: stg_meter_readings.Judged, scope: Scope, survey: Survey | None) -> ArrowPass | None:
    """The pass that maps the current lines with Arrow; None where it takes Spark."""
    if survey is None or scope.ahead is None:
        return None
    not_current = judged.compared.where((F.col("file_id") > 0) & (F.col("status") != CURRENT))
    places = (lines.select(*plain_readings.PLACE) for lines in (judged.rejected, not_current))
    left_out = reduce(DataFrame.unionByName, places).limit(FEW_INTERVALS + 1).toArrow()
    if left_out.num_rows > FEW_INTERVALS:
        return None
    return plain_readings.build(survey.bronze, plain_readings.lines_of(left_out), survey.source, scope.ahead)


def _counted(compared: DataFrame) -> dict[tuple[str, str], int]:
    """Compared rows by (batch, status); standing rows are there as replaced, under the batch that delivered them."""
    rows = compared.where((F.col("file_id") > 0) | (F.col("status") == REPLACED)).groupBy("batch_id", "status").count()
    return {(row.batch_id, row.status): row["count"] for row in rows.collect()}


def _ledger(run: Run, count: dict[tuple[str, str], int], scope: Scope) -> list[Row]:
    """An entry per batch. Every count is of rows in a table or of compared rows, none comes by subtraction."""
    quarantined = run.store.read(QUARANTINED_READINGS).where(F.col("batch_id").isin(scope.names))
    kept = {row.batch_id: row for row in quarantined.groupBy("batch_id").agg(*quarantined_readings.counts()).collect()}
    replaced = sum(rows for (batch, status), rows in count.items() if status == REPLACED and batch != NOT_DELIVERED)
    before = scope.stood
    asked = f"""
        SELECT batch_id, count(*) AS readings FROM stg_meter_readings
        WHERE {_within(run.source, scope.spans)} AND batch_id <> :none GROUP BY batch_id
    """
    current_of = {row.batch_id: row.readings for row in run.store.ask(asked, none=NOT_DELIVERED)}
    after = sum(current_of.values())
    entries = []
    for position, batch in enumerate(scope.batches):
        last = position == len(scope.batches) - 1
        current, held = current_of.get(batch.batch_id, 0), kept.get(batch.batch_id)
        # Several batches at once change the state in one commit: the steps between them are not states that stood.
        stands = after if last else before + current
        entries.append(
            Row(*LEDGER.names)(
                run.source.name,
                batch.batch_id,
                batch.files,
                batch.lines,
                batch.loaded,
                batch.unparsable,
                current,
                count.get((batch.batch_id, EXACT_DUPLICATE), 0),
                count.get((batch.batch_id, SUPERSEDED), 0),
                held.quarantined if held else 0,
                held.other_quantity if held else 0,
                replaced if last else 0,
                before,
                stands,
                run.run_id,
            )
        )
        before = stands
    for entry in entries:
        check_balance(entry)
    return entries


def check_balance(entry: Row) -> None:
    """The three balances of a ledger entry.

    Raises:
        LedgerUnbalanced: one of them does not hold.
    """
    where = f"batch {entry.batch_id}: "
    balances = (
        ("lines = loaded + unparsable", entry.lines, entry.loaded + entry.unparsable),
        (
            "loaded = current + exact duplicates + superseded + quarantined",
            entry.loaded,
            entry.current + entry.exact_duplicates + entry.superseded + entry.quarantined,
        ),
        (
            "readings after = readings before + current - replaced",
            entry.readings_after,
            entry.readings_before + entry.current - entry.replaced,
        ),
    )
    for balance, left, right in balances:
        if left != right:
            raise LedgerUnbalanced(where + balance, left, right)


def _outcome(run: Run, entries: list[Row], corrections: int) -> Outcome:
    names = ("lines", "unparsable", "current", "exact_duplicates", "superseded", "quarantined", "replaced")
    figures = {name: float(sum(entry[name] for entry in entries)) for name in names}
    outcome = Outcome(rows_in=sum(entry.loaded for entry in entries), rows_out=int(figures["current"]))
    outcome.figures = figures | {"corrections": float(corrections)}
    outcome.inputs = {METER_READINGS.name: run.store.version(METER_READINGS)}
    outcome.outputs = {STG_METER_READINGS.name: run.store.version(STG_METER_READINGS)}
    outcome.said = [
        f"{figures['unparsable']:,.0f} lines do not parse, {figures['quarantined']:,.0f} are quarantined, "
        f"{figures['exact_duplicates']:,.0f} repeat a reading, {figures['superseded']:,.0f} are superseded. "
        "The ledger balances."
    ]
    return outcome
