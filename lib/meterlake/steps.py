"""The story of a run, step by step. A job file, a CLI command and a DAG task have the name of the step they do.

Each step reads what changed since its own last success, hands it to a pure function, writes, and is marked as done by
its last write (`Run.perform`). A step that was killed is done again from the same state. The first steps fill files of
their own: ingest.py, stage.py and validate.py.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial

from pyspark.sql import DataFrame

from meterlake.anomaly import meter_day, registry
from meterlake.anomaly.counted import Counted, counted_by_task
from meterlake.anomaly.evaluation.tables import rankings
from meterlake.anomaly.labelled import LabelledModel
from meterlake.anomaly.labels import Inspections
from meterlake.anomaly.model_file import ModelMismatch
from meterlake.anomaly.train import TooFewReadings
from meterlake.anomaly.train import train as fit_forest
from meterlake.anomaly.train_days import FEWEST_DAYS, train_days
from meterlake.anomaly.train_labelled import train_labelled
from meterlake.anomaly.watch import watch
from meterlake.forecast.step import forecast_step as forecast
from meterlake.ingest import check_source, ingest
from meterlake.losses.step import losses, supply_changes
from meterlake.outages.step import outages
from meterlake.report.page import StepDone, Summary, write_report
from meterlake.run import Outcome, Run
from meterlake.serving import postgres_ops
from meterlake.serving.embedded import never_started, stores
from meterlake.serving.publish import lost_rows, make_empty, needs_full
from meterlake.serving.publish import publish as publish_mart
from meterlake.serving.slices import Slice, spans
from meterlake.session import at_once
from meterlake.sources.catalog import supply_sources
from meterlake.sources.source import Source
from meterlake.stage import stage
from meterlake.tables.arrow_pass import ArrowPass, Rows
from meterlake.tables.catalog import MARTS
from meterlake.tables.changes import Changes, following_days, month_of
from meterlake.tables.file_scan import FileScan
from meterlake.tables.int_consumption_features import INT_CONSUMPTION_FEATURES
from meterlake.tables.int_place_loads import INT_PLACE_LOADS
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.loss_findings import LOSS_FINDINGS
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.mart_consumption_metrics import MART_CONSUMPTION_METRICS
from meterlake.tables.mart_inspections import MART_INSPECTIONS
from meterlake.tables.mart_load_factors import MART_LOAD_FACTORS
from meterlake.tables.mart_load_profile import MART_LOAD_PROFILE
from meterlake.tables.mart_weekly_load_profile import MART_WEEKLY_LOAD_PROFILE
from meterlake.tables.months import about, all_months, changed_months, later, within
from meterlake.tables.shared_columns import READING_DATE_LOCAL
from meterlake.tables.spans import MOST_SPANS, Span, around, joined, months_of, on_days
from meterlake.tables.stg_meter_readings import STG_METER_READINGS
from meterlake.tables.stg_meters import STG_METERS
from meterlake.tables.table import Table
from meterlake.tables.vee_findings import VEE_FINDINGS
from meterlake.text_tables import as_text
from meterlake.transforms import (
    int_consumption_features,
    int_readings_daily,
    int_readings_hourly,
    int_readings_monthly,
    mart_anomaly_flags,
    mart_anomaly_scores,
    mart_consumption_metrics,
    mart_inspections,
    mart_load_factors,
    mart_load_profile,
    mart_weekly_load_profile,
    place_loads,
    plain_days,
    plain_hours,
    resolution,
    tariff_hours,
)
from meterlake.validate import require_passed, validate
from meterlake.vee.clock import clock_of
from meterlake.vee.step import vee

__all__ = [
    "aggregate",
    "check_source",
    "forecast",
    "ingest",
    "marts",
    "publish",
    "report",
    "score",
    "stage",
    "train",
    "validate",
    "vee",
]

DAY = READING_DATE_LOCAL.name
# A feature looks back 168 h. In local days that is 7, and one more where a clock change or the zone cuts a day.
LOOKS_BACK_DAYS = 8
# Of small marts each waits for Spark's planning and its stores more than it works; of large ones each takes up to
# outgoing.MOST_CONNECTIONS of a store.
MARTS_AT_ONCE = 3
# Where the flagged share of a run should lie, and from how many readings on it says something.
FLAGGED_SHARE, ENOUGH_FOR_A_SHARE = (0.005, 0.02), 1000


def aggregate(run: Run) -> Outcome:
    """Silver readings -> hours, days, months and features of the meter-days that changed."""
    changed = run.changes("aggregate", STG_METER_READINGS)
    if changed.nothing:
        return Outcome(nothing_new=True)
    version = run.store.version(STG_METER_READINGS)
    standing, new = _told_apart(run, changed)
    rows = written = 0
    if not standing.nothing:
        readings = run.store.read(STG_METER_READINGS, version=version)
        until = standing.last if new else None
        # The two share nothing but silver: while one is planned, the other has the cores.
        work = (partial(_hours, run, readings, standing), partial(_features, run, readings, standing, until))
        rows, written = at_once(run.store.spark, work, len(work))
        rows += _days(run, standing)
    if new:
        hours, days, features = run.store.append_passes(new)
        rows, written = rows + hours + days, written + features
    rows += _months(run, changed)
    return Outcome(rows_in=written, rows_out=rows + written, inputs={STG_METER_READINGS.name: version})


def _told_apart(run: Run, changed: Changes) -> tuple[Changes, tuple[ArrowPass, ArrowPass, ArrowPass] | None]:
    """The changes of days of which anything stands, and the passes over whole meters that make hours, days and features
    of the days after them: all changes, and none, where nothing is after them or silver's files cannot be read as they
    are.
    """
    store, source, first, last = run.store, run.source, changed.first, changed.last
    if not (first and last and _clock_is_known(source, first, last)):
        return changed, None
    made = (INT_READINGS_HOURLY, INT_READINGS_DAILY, INT_CONSUMPTION_FEATURES)
    asked = f"SELECT max({DAY}) AS day FROM {{}} WHERE source = :source AND {DAY} >= DATE '{first}'"
    found = [store.ask(asked.format(table.name), source=source.name)[0].day for table in made if store.exists(table)]
    until = max((day for day in found if day), default=first - timedelta(days=1))
    if until >= last or (changed.everything and until >= first):
        return changed, None
    begin = until + timedelta(days=1)
    looked_at = int_consumption_features.looked_at(begin, last, source)
    files = store.scan(STG_METER_READINGS, *looked_at, source=[source.name])
    if files is None:
        return changed, None
    rows = Rows.by_meter(files, sorted({*plain_hours.NEEDED, *int_consumption_features.CARRIED}))
    hours = plain_hours.build(rows, source, begin)
    return changed.until(until), (
        hours,
        plain_days.build(hours, source),
        int_consumption_features.build(rows, source, begin),
    )


def _hours(run: Run, readings: DataFrame, changed: Changes) -> int:
    """Hours of the changed meter-days; the number of rows written."""
    files, only = _plain_files(run, changed), changed.set_of(DAY)
    if files and only and changed.first:
        hours = plain_hours.build(Rows.by_meter(files, plain_hours.NEEDED), run.source, changed.first)
        return run.store.replace(hours.of_days(only), INT_READINGS_HOURLY, changed)
    hourly = int_readings_hourly.build(changed.days_in(readings, DAY), run.source)
    return run.store.replace(hourly, INT_READINGS_HOURLY, changed)


def _plain_files(run: Run, changed: Changes, around: int = 0) -> FileScan | None:
    """Silver's files, for a pass over the meters with a few changes, and so many days around those; None where it takes
    Spark."""
    first, last = changed.first, changed.last
    if not (first and last and _clock_is_known(run.source, first, last)):
        return None
    return run.store.scan_meters(STG_METER_READINGS, changed, changed.spans(around, around))


def _of_meters(run: Run, table: Table, changed: Changes, spans: list[Span]) -> FileScan | DataFrame:
    """Rows of the changed meters in these days; of files perhaps beside those of other meters."""
    store = run.store
    files = store.scan_meters(table, changed, spans) or store.scan(table, *spans, source=[changed.source])
    return files or changed.meters_in(store.read(table), DAY, spans)


def _clock_is_known(source: Source, first: date, last: date) -> bool:
    """Whether hours of these days are made by a pass over whole meters: of one interval length, on a known clock."""
    return not source.varies and clock_of(source.time_zone).knows(first, last)


def _days(run: Run, changed: Changes) -> int:
    """Days of the changed meter-days, of their hours; the number of rows written."""
    hourly = changed.days_in(run.store.read(INT_READINGS_HOURLY), DAY)
    return run.store.replace(int_readings_daily.build(hourly, run.source), INT_READINGS_DAILY, changed)


def _months(run: Run, changed: Changes) -> int:
    """Months of the changed meter-days, of their days; the number of rows written."""
    months = changed.also(month_of)
    monthly = int_readings_monthly.build(_of_meters(run, INT_READINGS_DAILY, changed, changed.months()), run.source)
    of_months = monthly if months.everything else months.days_in(monthly.frame(), "month_local")
    return run.store.replace(of_months, INT_READINGS_MONTHLY, months)


def _features(run: Run, readings: DataFrame, changed: Changes, until: date | None) -> int:
    """Features of the readings that lie in, or look back at, the changed meter-days, none after the day `until`; the
    number of rows written.
    """
    depend = changed.also(following_days(LOOKS_BACK_DAYS, until))
    # One day more than a feature looks back: the prefix sums begin at a UTC midnight.
    files, only = _plain_files(run, changed, LOOKS_BACK_DAYS + 1), depend.set_of(DAY)
    if files and only:
        rows = Rows.by_meter(files, int_consumption_features.CARRIED)
        features = int_consumption_features.build(rows, run.source).of_days(only)
        return run.store.replace(features, INT_CONSUMPTION_FEATURES, depend)
    near = changed.meters_in(readings, DAY, changed.spans(LOOKS_BACK_DAYS + 1, LOOKS_BACK_DAYS))
    if run.source.varies:
        near = resolution.on_grid(near, run.source)
    rows = Rows.by_meter(near, int_consumption_features.CARRIED)
    made = int_consumption_features.build(rows, run.source)
    dependent = made if depend.everything else depend.days_in(made.frame(), DAY)
    return run.store.replace(dependent, INT_CONSUMPTION_FEATURES, depend)


def train(*, again: bool, challenger: bool = False, labels: Inspections | None = None) -> Callable[[Run], Outcome]:
    """The step that fits a model: when told to, or when the source has none. It becomes champion, or challenger.

    Args:
        labels: what inspections found; without, the model keeps what the champion has learnt from earlier ones.
    """

    def fit(run: Run) -> Outcome:
        if not again and registry.champion(run.source.name, run.settings):
            return Outcome(nothing_new=True)
        version = run.store.version(INT_CONSUMPTION_FEATURES)
        features = run.store.read(INT_CONSUMPTION_FEATURES, run.source.name, version)
        try:
            trained = fit_forest(features, run.settings.model)
        except TooFewReadings as few:
            return Outcome(nothing_new=True, said=[str(few)])
        hours, days, meters = (
            run.store.read(table, run.source.name) for table in (INT_READINGS_HOURLY, INT_READINGS_DAILY, STG_METERS)
        )
        labelled, told = _taught(run, labels) if labels else _kept(run)
        trained = replace(trained, days=train_days(hours, days, meters, run.settings.model), labelled=labelled)
        role = registry.CHALLENGER if challenger else registry.CHAMPION
        model = registry.register(trained, run.source.name, run.settings, version, role)
        outcome = Outcome(rows_in=trained.training.rows, inputs={INT_CONSUMPTION_FEATURES.name: version})
        outcome.figures = {"flagged_share": trained.training.flagged_share, "model_version": model.version}
        outcome.said = [f"{model.label} is {role}; it flags {trained.training.flagged_share:.2%} of its training rows."]
        if trained.days is None:
            outcome.said.append(f"It judges no whole days: that takes {FEWEST_DAYS} meter-days and weeks before them.")
        outcome.said += told
        if challenger:
            outcome.said.append(f"`meterlake model promote --source {run.source.name}` judges it beside the champion.")
        return outcome

    return fit


def _taught(run: Run, labels: Inspections) -> tuple[LabelledModel, list[str]]:
    """What the inspections teach of meters, and what it is worth beside scores that have seen none."""
    daily, meters, mart = (
        run.store.read(table, run.source.name) for table in (INT_READINGS_DAILY, STG_METERS, MART_INSPECTIONS)
    )
    seed = run.settings.model.seed
    model, merits = train_labelled(daily, meters, mart, labels, run.source.tells_hours, seed)
    made = model.made
    lines = as_text(rankings(merits, made.inspections, made.thefts / made.inspections, "found theft")).splitlines()
    said = f"It ranks meters by {made.told}; `meterlake anomaly rank --source {run.source.name}` shows them."
    return model, [said, *lines]


def _kept(run: Run) -> tuple[LabelledModel | None, list[str]]:
    """What the champion has learnt from inspections."""
    try:
        champion = registry.champion(run.source.name, run.settings)
    except ModelMismatch as mismatch:
        return None, [f"What the champion may have learnt from inspections is not kept: {mismatch}"]
    labelled = champion.model.labelled if champion else None
    return labelled, [f"It keeps what {champion.label} learnt from inspections."] if champion and labelled else []


def score(run: Run) -> Outcome:
    """Features -> scores, and days worth an inspection, by the champion: of what changed, or of everything when the
    champion is another one than before.
    """
    store = run.store
    champion = registry.champion(run.source.name, run.settings)
    if champion is None:
        return Outcome(
            nothing_new=True, said=["Nothing is scored without a model; `meterlake train` says what it takes."]
        )
    mark = run.last_done("score")
    same_model = mark is not None and mark.figures.get("model_version") == champion.version
    changed, days = (
        run.changes_since(mark.inputs.get(table.name) if mark and same_model else None, table)
        for table in (INT_CONSUMPTION_FEATURES, INT_READINGS_DAILY)
    )
    days = run.with_hours("score", days) if same_model else days
    if changed.nothing and days.nothing:
        return Outcome(nothing_new=True)
    inputs = run.hours_made_of() | {
        table.name: store.version(table) for table in (INT_CONSUMPTION_FEATURES, INT_READINGS_DAILY)
    }
    readings, whole_days = (counted_by_task(store.spark.sparkContext) for _ in range(2))
    work = (
        partial(_scores, run, champion, changed, readings),
        partial(_inspections, run, champion, days, whole_days),
    )
    outcome, found = at_once(store.spark, work, len(work))
    outcome.inputs = inputs
    outcome.figures |= found.figures | {"model_version": champion.version}
    outcome.said += [*found.said, *watch(run, champion, readings, whole_days)]
    return outcome


def _scores(run: Run, champion: registry.ModelVersion, changed: Changes, counted: Counted) -> Outcome:
    """Every reading with its score."""
    store = run.store
    table = INT_CONSUMPTION_FEATURES
    files = store.scan(table, source=[run.source.name]) if changed.everything else store.scan_days(table, changed)
    features = files or changed.days_in(store.read(table), DAY)
    scores = mart_anomaly_scores.build(features, champion.model, champion.label, datetime.now(UTC), counted)
    rows = store.replace(scores, MART_ANOMALY_SCORES, changed)
    flagged = store.count(MART_ANOMALY_SCORES, changed, "is_anomaly")
    outcome = Outcome(rows_in=rows, rows_out=rows, figures={"flagged": flagged})
    share = flagged / rows if rows else 0.0
    outcome.said = [f"{flagged:,} readings are flagged ({share:.2%}) by {champion.label}."]
    if rows >= ENOUGH_FOR_A_SHARE and not FLAGGED_SHARE[0] <= share <= FLAGGED_SHARE[1]:
        outcome.said.append("That is outside of 0.5-2 %: look at the data, or train again with `meterlake train`.")
    return outcome


def _inspections(run: Run, champion: registry.ModelVersion, changed: Changes, counted: Counted) -> Outcome:
    """The days that deserve an inspection; a day is judged by itself and the 56 before it."""
    store, model, table = run.store, champion.model.days, MART_INSPECTIONS
    if model is None:
        if store.has(table, run.source.name):  # what an earlier champion has found
            store.replace_months(store.read(table).limit(0), table, run.source.name, None)
        return Outcome(said=[f"{champion.label} judges no whole days: it has seen too few of them, or none at all."])
    if changed.nothing:
        return Outcome()
    asked = f"SELECT max({DAY}) AS latest FROM int_readings_daily WHERE source = :source"
    (latest,) = store.ask(asked, source=run.source.name)[0]
    depend = changed.also(following_days(meter_day.LOOKS_BACK_DAYS, latest))
    days_around = changed.spans(meter_day.LOOKS_BACK_DAYS, meter_day.LOOKS_BACK_DAYS)
    hourly = changed.meters_in(store.read(INT_READINGS_HOURLY), DAY, days_around)
    first = None if changed.everything else changed.first
    meters = store.read(STG_METERS, run.source.name)
    found = mart_inspections.build(hourly, meters, run.source, model, champion.label, first, counted)
    store.replace(found if depend.everything else depend.days_in(found, DAY), table, depend)
    rows = store.count(table, depend)
    said = f"{rows:,} meter-days stand among the inspections."
    return Outcome(figures={"inspections": rows}, said=[said])


def marts(run: Run) -> Outcome:
    """Days, hours, scores, findings -> the marts, for what changed; balances also where the supply meters' days did."""
    store = run.store
    days, scored = run.changes("marts", INT_READINGS_DAILY), run.changes("marts", MART_ANOMALY_SCORES)
    found, supply = run.changes("marts", VEE_FINDINGS), supply_changes(run)
    hours = run.with_hours("marts", days)
    if hours.nothing and scored.nothing and found.nothing and supply.nothing:
        return Outcome(nothing_new=True)
    read = (INT_READINGS_DAILY, MART_ANOMALY_SCORES, VEE_FINDINGS, MART_INSPECTIONS)
    inputs = {table.name: store.version(table) for table in read}
    if not hours.nothing:  # who moved without a reading is asked again
        inputs[STG_METERS.name] = store.version(STG_METERS)
    inputs |= run.hours_made_of()
    meters = store.read(STG_METERS, run.source.name)

    def losses_and_flags() -> int:
        """The flags ask the losses of meters that have just been made."""
        rows = losses(run, days, supply)
        inputs[LOSS_FINDINGS.name] = store.version(LOSS_FINDINGS)
        return rows + _anomaly_flags(run, _evidence_changes(run, scored, found), meters)

    work = (
        losses_and_flags,
        partial(_consumption_metrics, run, days, meters),
        partial(_load_profile, run, hours, meters),
        partial(_loads, run, hours, meters),
        partial(outages, run, days, found),
    )
    rows = sum(at_once(store.spark, work, len(work)))
    outputs = {table.name: store.version(table) for table in MARTS}
    return Outcome(rows_in=rows, rows_out=rows, inputs=inputs, outputs=outputs)


def _consumption_metrics(run: Run, days: Changes, meters: DataFrame) -> int:
    if days.nothing:
        return 0
    periods = days.also(mart_consumption_metrics.affected_days)
    near = joined(span for of in days.spans() for span in mart_consumption_metrics.days_to_read(*of))
    daily = _of_meters(run, INT_READINGS_DAILY, days, near)
    changed = None if days.everything else days.each_day
    made = mart_consumption_metrics.build(daily, meters, run.source, changed)
    metrics = periods.days_in(made, "period_start_local")
    return run.store.replace(metrics, MART_CONSUMPTION_METRICS, periods)


def _load_profile(run: Run, days: Changes, meters: DataFrame) -> int:
    if days.nothing:
        return 0
    months = days.also(month_of)
    hourly = _of_meters(run, INT_READINGS_HOURLY, days, days.months())
    profile = months.days_in(mart_load_profile.build(hourly, meters, run.source), "month_local")
    return run.store.replace(profile, MART_LOAD_PROFILE, months)


def _loads(run: Run, days: Changes, meters: DataFrame) -> int:
    """What the source, its regions and feeders use in the months with a changed day: load factors, weekly profiles."""
    store, source = run.store, run.source
    if not source.tells_hours:
        return 0
    # A home of a version that did not make one of them gets all months of a source with its next readings.
    made = (MART_LOAD_FACTORS, MART_WEEKLY_LOAD_PROFILE)
    everything = days.everything or not all(store.has(table, source.name) for table in made)
    months = all_months(store, source.name) if everything else changed_months(days)
    if not months:
        return 0
    loads = _place_loads(run, [] if everything else days.each_day, meters, months)
    count = _load_factors(run, loads, meters, months, everything)
    profile = mart_weekly_load_profile.build(loads, source)
    return count + store.replace_months(profile, MART_WEEKLY_LOAD_PROFILE, source.name, None if everything else months)


def _place_loads(run: Run, changed: list[date], meters: DataFrame, months: list[date]) -> DataFrame:
    """The loads of places in these months, of which the changed days are made anew; all of them, where none is named.

    What is kept was added up where the meters hang now. So nothing stands once a meter hangs elsewhere than it did, and
    months of which nothing stands are made of all their days.
    """
    store, source = run.store, run.source.name
    places = """
        SELECT meter_id, coalesce(region, '') AS region, coalesce(feeder, '') AS feeder
        FROM stg_meters WHERE source = :source
    """
    anew = not changed or store.lost(places, STG_METERS, run.seen("marts", STG_METERS), source)
    standing: set[date] = set()
    if not anew and store.exists(INT_PLACE_LOADS):
        asked = f"SELECT DISTINCT {DAY} AS day FROM int_place_loads WHERE source = :source AND {within(months)}"
        standing = {row.day.replace(day=1) for row in store.ask(asked, source=source)}
    days = around(day for day in changed if day.replace(day=1) in standing)
    spans = joined([*months_of(month for month in months if month not in standing), *days])
    spans = spans if len(spans) <= MOST_SPANS else months_of(months)
    files = store.scan(INT_READINGS_HOURLY, *spans, source=[source])
    hourly = files or store.read(INT_READINGS_HOURLY, source).where(on_days(DAY, spans))
    made = place_loads.build(hourly, meters, run.source)
    store.replace_days(made, INT_PLACE_LOADS, source, None if anew else spans)
    return store.read(INT_PLACE_LOADS, source).where(within(months))


def _load_factors(run: Run, loads: DataFrame, meters: DataFrame, months: list[date], everything: bool) -> int:
    """Load factors of the months, and beside them anew the same months a year later, which are compared with them.

    What stands of other months is not computed again, but read where it is compared.
    """
    store, source = run.store, run.source
    monthly = store.read(INT_READINGS_MONTHLY, source.name).where(about(months))
    hours = store.spark.createDataFrame(tariff_hours.calendar(months, source))
    figures = mart_load_factors.build(loads, monthly, meters, hours, source).persist()
    written = sorted({*months, *(later(month, 12) for month in months)})
    around = {*written, *(later(month, -12) for month in months)}.difference(months)
    standing = store.read(MART_LOAD_FACTORS, source.name).where("false" if everything else about(sorted(around)))
    known = figures.unionByName(standing.select(figures.columns))
    rows = mart_load_factors.compared(known, source).where(about(written))
    count = store.replace_months(rows, MART_LOAD_FACTORS, source.name, None if everything else written)
    figures.unpersist()
    return count


def _evidence_changes(run: Run, scored: Changes, found: Changes) -> Changes:
    """The meter-days whose scores or other evidence changed."""
    return scored.or_in(
        found.also(following_days(mart_anomaly_flags.LONGEST_FINDING_DAYS - 1)),
        run.changes("marts", MART_INSPECTIONS),
        run.changes("marts", LOSS_FINDINGS),
    )


def _anomaly_flags(run: Run, changed: Changes, meters: DataFrame) -> int:
    store = run.store
    # Rows of a version that told less of a day get it with the next readings of the source.
    store.ensure(MART_ANOMALY_FLAGS)  # with those columns
    if store.has(MART_ANOMALY_FLAGS, run.source.name, "confidence IS NULL"):
        changed = run.changes_since(None, MART_ANOMALY_SCORES)
    evidence = mart_anomaly_flags.evidence_of(
        changed.meters_in(
            store.read(VEE_FINDINGS), DAY, changed.spans(before=mart_anomaly_flags.LONGEST_FINDING_DAYS - 1)
        ),
        changed.days_in(store.read(MART_INSPECTIONS), DAY),
        changed.days_in(store.read(LOSS_FINDINGS), DAY),
        run.source,
    )
    files = run.files_of(MART_ANOMALY_SCORES, changed)
    scores = files or changed.days_in(store.read(MART_ANOMALY_SCORES), DAY)
    flags = mart_anomaly_flags.build(scores, evidence, meters, run.settings.model.base_rate)
    return store.replace(flags, MART_ANOMALY_FLAGS, changed)


def publish(run: Run) -> Outcome:
    """The months of each mart that changed since the last publication -> PostgreSQL and ClickHouse.

    All months, where a store lost rows since then: somebody emptied or dropped its mart. What supply meters measure is
    published as the balances of their customers' source: beside the customers' it would be counted twice.
    """
    if run.source.name in supply_sources(run.settings):
        return Outcome(nothing_new=True, said=["Supply meters are published as balances of their customers' source."])
    marts_made = [table for table in MARTS if run.store.exists(table)]
    versions = {table.name: run.store.version(table) for table in marts_made}
    changed = {table: _months_changed(run, table) for table in marts_made}
    lost = any(_lost(run, table) for table in marts_made)
    if not any(changed.values()) and not lost and not never_started(run.settings):
        return Outcome(nothing_new=True)
    require_passed(run)
    work = [partial(_publish_months, run, table, months) for table, months in changed.items()]
    others = [partial(make_empty, table, run.settings) for table in MARTS if table not in changed]
    with stores(run.settings):
        rows = sum(at_once(run.store.spark, work, MARTS_AT_ONCE))
        at_once(run.store.spark, others, MARTS_AT_ONCE)
        _copy_ops(run)
    return Outcome(rows_in=rows, rows_out=rows, inputs=versions)


def _publish_months(run: Run, table: Table, months: set[Slice]) -> int:
    months = _every_month(run, table) if _lost(run, table) else months
    whole = needs_full(table, run.settings)
    slices, files = (None, run.store.scan(table)) if whole else (months, _files_of(run, table, months))
    without = supply_sources(run.settings)
    results = publish_mart(table, run.store.read(table), slices, run.settings, files, without)
    return max((result.rows for result in results), default=0)


def _files_of(run: Run, table: Table, months: set[Slice]) -> FileScan | None:
    """The files of the mart that may hold rows of these months."""
    if not months:
        return None
    found = spans(months)
    return run.store.scan(table, (found[0].first, found[-1].last), source=[run.source.name])


def _copy_ops(run: Run) -> None:
    """What ran, for the auditor. Read at once, as each read waits for Spark more than it works."""
    held = postgres_ops.held(run.settings)
    reads = [partial(_not_copied, run, table, held.get(table.name)) for table in postgres_ops.OPS]
    for table, found in zip(postgres_ops.OPS, at_once(run.store.spark, reads, len(reads)), strict=True):
        if found:
            postgres_ops.copy(table, found, run.settings)


def _not_copied(run: Run, table: Table, held: postgres_ops.State | None) -> postgres_ops.News | None:
    """The rows that came after what is held; all of them where that cannot be told, or is not all that changed."""
    store, newest = run.store, postgres_ops.State(run.store.identity(table), run.store.version(table))
    if held == newest:
        return None
    grown = held and held.identity == newest.identity and held.version < newest.version
    added = store.added(table, held.version, newest.version) if held and grown else None
    rows = store.answer(f"SELECT * FROM {table.name}") if added is None else added
    return postgres_ops.News(rows, newest, whole=added is None)


def report(run: Run) -> Outcome:
    """The report page of the run."""
    done = [
        StepDone(step=d.step, seconds=d.seconds, rows_in=d.outcome.rows_in, rows_out=d.outcome.rows_out)
        for d in run.done
    ]
    said = [sentence for d in run.done for sentence in d.outcome.said]
    places = {"Data Docs": str(run.settings.home / "data_docs" / "index.html")}
    told = Summary(run_id=run.run_id, input=run.input, steps=done, said=said, places=places)
    page = write_report(run.store, run.source, told, run.settings)
    return Outcome(said=[f"The report: {page.as_uri()}"], marked=False)


def _lost(run: Run, table: Table) -> bool:
    """Whether a store that is up no longer holds what the last publication put there."""
    seen = run.seen("publish", table)
    return seen is not None and lost_rows(
        table, run.store.read(table, run.source.name, seen), run.source.name, run.settings
    )


def _months_changed(run: Run, table: Table) -> set[Slice]:
    """The (source, first of month) slices of a mart that changed since they were published."""
    changed = run.changes("publish", table)
    if changed.nothing:
        return set()
    if changed.days is None:
        return _every_month(run, table)
    return {Slice(run.source.name, month) for month in changed_months(changed)}


def _every_month(run: Run, table: Table) -> set[Slice]:
    month = f"cast(date_trunc('month', {table.day}) AS date)"
    asked = f"SELECT DISTINCT {month} AS month FROM {table.name} WHERE source = :source"
    return {Slice(run.source.name, row.month) for row in run.store.ask(asked, source=run.source.name)}
