"""meterlake's real steps on two local cores: bronze, silver, gates, ledger, Delta; without the stores."""

from argparse import Namespace
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.agreement import Ask
from tests.benchmarks.given_model import load as load_model
from tests.benchmarks.job import Job

# A table of the comparison -> the tables of the lake that hold it.
LAKE = {
    "readings": "stg_meter_readings",
    "hourly": "int_readings_hourly",
    "daily": "int_readings_daily",
    "monthly": "int_readings_monthly",
    "features": "int_consumption_features",
}
REJECTED = """
CREATE OR REPLACE TEMP VIEW rejected AS
SELECT meter_id, reading_timestamp, consumption_kwh, reasons, NULL AS raw_line FROM quarantined_readings
UNION ALL
SELECT meter_id, NULL, value, array('unparsable'), raw_line FROM meter_readings WHERE parse_error IS NOT NULL
"""


def prepare(job: Job) -> None:
    """Register the given model as the champion of a new home."""
    from datetime import UTC, datetime

    from meterlake.anomaly import registry
    from meterlake.anomaly.model import Calibration, TrainedModel, Training

    given, when = load_model(job.model), datetime(2024, 1, 1, tzinfo=UTC)
    calibration = Calibration(given.raw, given.score, given.threshold, given.scale)
    training = Training(0, when, when, 0.01, 0, len(given.forest.estimators_), 256, 0.01)
    model = TrainedModel(given.forest, calibration, given.features, given.medians, given.typical_kwh, training)
    registry.register(model, "ami", _settings(job), data_version=0)


def run(job: Job) -> None:
    """The steps of pipeline.whole_run up to the marts, except `train`: the model is given."""
    from meterlake import headstart, pipeline
    from meterlake.run import holding

    settings = _settings(job)
    asked = Namespace(name="run", source="ami", input=str(job.input), run_id=None)
    with holding(settings):
        with job.step("start"):
            run = pipeline._run(asked, settings, pipeline._text_bytes(asked, settings))
            headstart.imports()
        from meterlake import steps

        run.perform("ingest", steps.ingest)
        run.perform("validate_raw", steps.validate("raw_readings"))
        run.perform("stage", steps.stage)
        if job.vee:
            run.perform("vee", steps.vee)
        run.perform("validate_staging", steps.validate("staging_readings"))
        run.perform("aggregate", steps.aggregate)
        run.perform("score", steps.score)
        run.perform("marts", steps.marts)
        run.perform("validate_marts", steps.validate("marts_metrics"))
        job.seconds |= {done.step: done.seconds for done in run.done}
        run.store.spark.stop()
    job.facts = _facts(job, Path(settings.home))


def _facts(job: Job, home: Path) -> dict[str, Any]:
    """What capacity.py reckons with: what each step shuffled and spilled, and what each table holds."""
    from meterlake.tuning import commits, events, profile

    lake = commits.of_lake(home / "lake")
    return {
        "text_bytes": sum(file.stat().st_size for file in job.files),
        "costs": [asdict(cost) for cost in profile.costs(events.read(events.logs(home / "logs" / "spark-events")[-1]))],
        "tables": {
            name: {what: sum(getattr(one, what) for one in of) for what in ("live", "bytes", "rows")}
            for name, of in lake.items()
        },
    }


def asking(job: Job) -> Ask:
    """A way to ask about the lake, through Spark: nobody else need know how Delta keeps it."""
    from meterlake.session import spark_session
    from meterlake.tables.catalog import TABLES
    from meterlake.tables.store import Store

    settings = _settings(job)
    spark = spark_session(settings, "benchmark result")
    store = Store(spark, settings)
    for name, table in TABLES.items():
        if store.exists(table):
            store.read(table).createOrReplaceTempView(name)
    for name, stands_for in LAKE.items():
        spark.table(stands_for).createOrReplaceTempView(name)
    spark.sql(REJECTED)
    return lambda query: tuple(spark.sql(query).head() or ())


def _settings(job: Job):  # type: ignore[no-untyped-def]
    from meterlake.settings import load

    settings = load(home=job.out)
    spark = settings.spark.model_copy(update={"master": job.master or f"local[{job.threads}]"})
    return settings.model_copy(update={"spark": spark})
