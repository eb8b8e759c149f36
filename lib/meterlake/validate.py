"""The gates: Great Expectations judges what changed in a layer since its suite last passed."""

from collections.abc import Callable

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.anomaly import registry
from meterlake.errors import GateFailed
from meterlake.quality.gate import TABLES_OF, run_gate
from meterlake.quality.profile_marts import NO_FILES, SUMMED_BY_DAY, SUMMED_BY_MONTH, Bounds, Files, whole_periods
from meterlake.run import Outcome, Run
from meterlake.stage import pending
from meterlake.tables.catalog import TABLES
from meterlake.tables.file_scan import FileScan
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LEDGER
from meterlake.tables.recoveries import RELEASED_READINGS
from meterlake.tables.shared_columns import READING_DATE_LOCAL
from meterlake.tables.stg_meter_readings import STG_METER_READINGS


def validate(suite: str) -> Callable[[Run], Outcome]:
    """The step that judges what changed in a layer since the suite last passed.

    A critical failure raises GateFailed: data are kept, the verdicts too, and no later step runs.
    """
    return {"raw_readings": _validate_raw, "staging_readings": _validate_staging, "marts_metrics": _validate_marts}[
        suite
    ]


def require_passed(run: Run) -> None:
    """Refuse to publish marts that the gate has not passed as they stand.

    Raises:
        GateFailed: the gate failed, or has not judged the newest version.
    """
    for table in (INT_READINGS_DAILY, MART_ANOMALY_SCORES):
        if not run.changes("validate_marts", table).nothing:
            raise GateFailed(
                f"The marts of {run.source.name} have not passed their gate as they stand, nothing was published; run "
                f"`meterlake validate --suite marts_metrics --source {run.source.name}` and see what it says."
            )


def _validate_raw(run: Run) -> Outcome:
    waiting = [batch.batch_id for batch in pending(run)]
    if not waiting:
        return Outcome(nothing_new=True)
    lines = run.store.read(METER_READINGS, run.source.name).where(F.col("batch_id").isin(waiting))
    files = run.files(METER_READINGS, batch_id=waiting)
    return _judged(
        run, "raw_readings", {METER_READINGS.name: lines}, files={METER_READINGS.name: files} if files else NO_FILES
    )


def _validate_staging(run: Run) -> Outcome:
    changed = run.changes("validate_staging", STG_METER_READINGS)
    batches = _not_judged(run)
    if changed.nothing and not batches:
        return Outcome(nothing_new=True)
    version = run.store.version(STG_METER_READINGS)
    readings = changed.days_in(run.store.read(STG_METER_READINGS, version=version), READING_DATE_LOCAL.name)
    # What an operator took as valid is not held against the source's limits again.
    is_released = run.store.has(RELEASED_READINGS, run.source.name)
    files = None if is_released or run.source.varies else run.files_of(STG_METER_READINGS, changed)
    if is_released:
        released = run.store.read(RELEASED_READINGS, run.source.name).select("reading_id")
        readings = readings.join(F.broadcast(released), on="reading_id", how="left_anti")
    frames = {
        STG_METER_READINGS.name: readings,
        LEDGER.name: run.store.read(LEDGER, run.source.name).where(F.col("batch_id").isin(batches)),
    }
    outcome = _judged(run, "staging_readings", frames, files={STG_METER_READINGS.name: files} if files else NO_FILES)
    outcome.inputs = {STG_METER_READINGS.name: version, LEDGER.name: run.store.version(LEDGER)}
    return outcome


def _validate_marts(run: Run) -> Outcome:
    days = run.with_hours("validate_marts", run.changes("validate_marts", INT_READINGS_DAILY))
    scored = run.changes("validate_marts", MART_ANOMALY_SCORES)
    if days.nothing and scored.nothing:
        return Outcome(nothing_new=True)
    frames = {name: run.store.read(TABLES[name], run.source.name) for name in TABLES_OF["marts_metrics"]}
    everything = days.everything or scored.everything
    firsts = [day for day in (days.first, scored.first) if day]
    lasts = [day for day in (days.last, scored.last) if day]
    changed = (None, None) if everything else (min(firsts), max(lasts))
    outcome = _judged(run, "marts_metrics", frames, changed, _has_model(run), _files(run, changed))
    judged = (INT_READINGS_DAILY, MART_ANOMALY_SCORES)
    outcome.inputs = run.hours_made_of() | {table.name: run.store.version(table) for table in judged}
    return outcome


def _files(run: Run, changed: Bounds) -> dict[str, FileScan]:
    """The files of the large tables, of the changed days or their months; where tasks can read them."""
    asked = dict.fromkeys(SUMMED_BY_DAY, changed) | dict.fromkeys(SUMMED_BY_MONTH, whole_periods(changed))
    spans = {name: [(first, last)] if first and last else [] for name, (first, last) in asked.items()}
    scans = {name: run.files(TABLES[name], *spans[name]) for name in asked}
    return {name: scan for name, scan in scans.items() if scan}


def _judged(
    run: Run,
    suite: str,
    frames: dict[str, DataFrame],
    changed: Bounds = (None, None),
    has_model: bool = True,
    files: Files = NO_FILES,
) -> Outcome:
    """Run a gate, keep its verdicts, and stop the run on a critical failure."""
    result = run_gate(
        suite,
        frames,
        run_id=run.run_id,
        source=run.source,
        settings=run.settings,
        changed=changed,
        has_model=has_model,
        files=files,
    )
    run.keep(result.verdicts)
    if result.critical_failures:
        raise GateFailed(result.sentence)
    met = sum(row.success for row in result.verdicts)
    said = [f"{met} of {len(result.verdicts)} expectations of {suite} are met."]
    said += [f"warning: {row.expectation} ({row.observed})" for row in result.warnings]
    return Outcome(rows_in=len(result.verdicts), rows_out=met, said=said)


def _has_model(run: Run) -> bool:
    """Whether readings have to have scores. The registry, slow to open, is asked only where none was ever made."""
    return run.last_done("score") is not None or registry.CHAMPION in registry.aliases(run.source.name, run.settings)


def _not_judged(run: Run) -> list[str]:
    """Batches of the ledger that the staging gate has not judged yet."""
    seen, asked = run.seen("validate_staging", LEDGER), "SELECT batch_id FROM ledger WHERE source = :source"
    batches = {row.batch_id for row in run.store.ask(asked, source=run.source.name)}
    if seen is not None:
        batches -= {row.batch_id for row in run.store.ask(asked, {LEDGER: seen}, source=run.source.name)}
    return sorted(batches)
