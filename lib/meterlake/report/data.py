"""What the report reads: small frames, aggregated in Spark to a few thousand rows at most, however large the lake."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from meterlake.report import forecast, losses, queries, series
from meterlake.report.spread import spread
from meterlake.session import at_once
from meterlake.sources.source import Source
from meterlake.tables.mart_anomaly_flags import MART_ANOMALY_FLAGS
from meterlake.tables.mart_energy_balance import MART_ENERGY_BALANCE
from meterlake.tables.mart_load_forecast import MART_LOAD_FORECAST
from meterlake.tables.meter_readings import METER_READINGS
from meterlake.tables.ops import LOADED_FILES, RUNS
from meterlake.tables.quarantined_readings import QUARANTINED_READINGS
from meterlake.tables.store import Store

THREADS = 4  # a small query waits more than it works

Query = Callable[[], DataFrame]


@dataclass(frozen=True)
class Facts:
    """Everything the page shows of one run and one source.

    Attributes:
        of_run: whether the run loaded batches; otherwise ledger, files and reasons cover all batches of the source.
        ledger: sums over those batches by ledger column; empty when nothing was ever loaded.
        meters: meters with readings.
        days: per local day `expected_count`, `reading_count`, `consumption_kwh`, `min_kw`, `max_kw`.
        frames: further frames by the name of the query that made them, see `collect` and `_second_round`.
    """

    source: Source
    of_run: bool
    ledger: dict[str, int]
    meters: int
    days: pd.DataFrame
    frames: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        """The step of `load` and `flagged`: hours for a month and a half, days for four years, weeks beyond."""
        return "hour" if len(self.days) <= 45 else "day" if len(self.days) <= 1500 else "week"

    def __getitem__(self, name: str) -> pd.DataFrame:
        """A frame; an empty one where its query was not needed."""
        return self.frames.get(name, pd.DataFrame())


def collect(store: Store, source: Source, run_id: str, steps_known: bool = False) -> Facts:
    """Read all that the page needs. Two rounds of queries: the second is cut to the size that the first one found.

    Args:
        steps_known: the caller knows the run's steps; they need not be read.
    """
    wanted: dict[str, Query] = {
        "batches": lambda: queries.batches(store, source, run_id),
        "days": lambda: queries.days(store, source),
        "gates": lambda: queries.gates(store, source, run_id),
        "model": lambda: queries.model(store, source),
    }
    if not steps_known:
        marks = store.read(RUNS, source.name).where(F.col("run_id") == run_id)
        wanted["steps"] = lambda: marks.orderBy("started_at")
    first = _all(store.spark, wanted)
    batches, days = first.pop("batches"), first.pop("days")
    of_run = bool(batches["of_run"].any())
    in_scope = batches[batches["of_run"].astype(bool)] if of_run else batches
    ledger = {name: int(in_scope[name].sum()) for name in queries.LEDGER_SUMS} if len(batches) else {}
    facts = Facts(source, of_run, ledger, int(days["meters"].iloc[-1]) if len(days) else 0, days.iloc[:-1], first)
    second = _all(store.spark, _second_round(store, facts, _filter(in_scope, of_run)))
    if facts.bucket != "hour":
        second["load"] = series.load_by_day(facts.days, facts.bucket)
    ranked = second.get("forecast_elements", pd.DataFrame())
    if len(ranked):
        second["forecast"] = _forecast(store, source, ranked)
    return replace(facts, frames=first | second)


def _forecast(store: Store, source: Source, ranked: pd.DataFrame) -> pd.DataFrame:
    """The hours of the elements that are drawn: they are read once it is known which and of when."""
    read: dict[str, Query] = {
        "hours": lambda: forecast.hours(store, source, ranked),
        "metered": lambda: forecast.metered(store, source, ranked),
    }
    found = _all(store.spark, read)
    return forecast.beside(found["hours"], found["metered"], source)


def _filter(batches: pd.DataFrame, of_run: bool) -> Callable[[DataFrame], DataFrame]:
    """Keeps the rows of this run's batches; all rows when it loaded none."""
    if not of_run:
        return lambda frame: frame
    ids = [batch for several in batches["batch_ids"] for batch in several]
    return lambda frame: frame.where(F.col("batch_id").isin(ids))


def _second_round(store: Store, facts: Facts, of_batches: Callable[[DataFrame], DataFrame]) -> dict[str, Query]:
    source = facts.source
    names = F.flatten(F.collect_set("extra_columns")).alias("extra_columns")
    wanted: dict[str, Query] = {
        "files": lambda: of_batches(store.read(LOADED_FILES, source.name)).agg(names),
        "reasons": lambda: queries.reasons(of_batches(store.read(QUARANTINED_READINGS, source.name))),
        "heat": lambda: queries.heat(store, source),
        "spread": lambda: spread(store, source, facts.days),
        "flagged": lambda: series.flagged_over_time(store, source, facts.bucket),
        "top": lambda: queries.top(store, source),
    }
    if facts.bucket == "hour":
        wanted["load"] = lambda: series.load_by_hour(store, source)
    if len(facts.days) and store.exists(MART_LOAD_FORECAST):
        last_day = facts.days["reading_date_local"].iloc[-1]
        wanted["forecast_elements"] = lambda: forecast.elements(store, source, last_day)
    if store.exists(MART_ANOMALY_FLAGS):
        wanted["surest"] = lambda: queries.surest(store, source)
    if facts.meters > 1:
        wanted["suspects"] = lambda: series.suspects(store, source)
    if source.losses and store.exists(MART_ENERGY_BALANCE):
        wanted["losses_by_day"] = lambda: losses.by_day(store, source)
        wanted["losses_by_element"] = lambda: losses.by_element(store, source)
        wanted["recoverable"] = lambda: losses.recoverable(store, source)
    if facts.ledger.get("unparsable"):
        wanted["unparsable"] = lambda: queries.unparsable(of_batches(store.read(METER_READINGS, source.name)))
    return wanted


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """A frame's rows as dictionaries."""
    return cast(list[dict[str, Any]], frame.to_dict("records"))


def _all(spark: SparkSession, wanted: dict[str, Query]) -> dict[str, pd.DataFrame]:
    """The queries' results, some at a time."""

    def reading(query: Query) -> Callable[[], pd.DataFrame]:
        return lambda: query().toPandas()

    frames = at_once(spark, [reading(query) for query in wanted.values()], THREADS)
    return dict(zip(wanted, frames, strict=True))
