"""The lake as it stands, to try something on: shallow copies that share its files and are removed in the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from meterlake import __version__
from meterlake.recover.downstream import ForcedRun
from meterlake.run import Run, new_run_id
from meterlake.settings import Settings
from meterlake.tables.catalog import TABLES
from meterlake.tables.ops import RUNS
from meterlake.tables.recoveries import RECOVERIES
from meterlake.tables.store import Store

# Versions stand in both, which are those of the real tables: markers, and the state before a killed recovery.
NOT_COPIED = (RUNS, RECOVERIES)
STEPS = ("vee", "aggregate", "score", "marts")


@contextmanager
def rehearsal(run: Run) -> Iterator[ForcedRun]:
    """A run on copies of all tables, whose steps stand where those of the real ones do. Writes there stay there."""
    root = f"{run.settings.lake_root}/_rehearsals/{run.run_id}"
    spark = run.store.spark
    try:
        store = Store(spark, _elsewhere(run.settings, root))
        for table in TABLES.values():
            if table not in NOT_COPIED and run.store.exists(table):
                DeltaTable.forPath(spark, run.store.path(table)).clone(store.path(table), isShallow=True)
        _mark(run, store)
        yield ForcedRun(run.source, store.settings, store, run_id=new_run_id())
    finally:
        _remove(spark, root)


def _elsewhere(settings: Settings, root: str) -> Settings:
    return settings.model_copy(update={"lake": settings.lake.model_copy(update={"root": root})})


def _mark(run: Run, store: Store) -> None:
    """The success markers of steps that are up to date, by the versions of the copies. Others begin from everything."""
    for step in STEPS:
        mark = run.last_done(step)
        inputs = dict(mark.inputs or {}) if mark else {}
        tables = {name: TABLES[name] for name in inputs}
        if not mark or any(inputs[name] != run.store.version(table) for name, table in tables.items()):
            continue
        versions = {name: store.version(table) for name, table in tables.items()}
        values: tuple[Any, ...] = ("rehearsal", step, run.source.name, datetime.now(UTC), 0.0, 0, 0, versions, {})
        store.append_rows([(*values, mark.figures, __version__)], RUNS)


def _remove(spark: SparkSession, root: str) -> None:
    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(root)
    path.getFileSystem(spark._jsc.hadoopConfiguration()).delete(path, True)
