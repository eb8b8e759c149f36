"""Builders for the stories of recovery: a village whose source was declared wrongly, and tables to compare."""

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from tests.lake import VILLAGE, half_hours

from meterlake.recover.downstream import ForcedRun
from meterlake.recover.record import Request
from meterlake.settings import Settings
from meterlake.sources.source import Source, Units
from meterlake.stage import delivered
from meterlake.tables.catalog import TABLES
from meterlake.tables.store import Store

# What differs between two runs of the same data, or tells of runs. `line_order` only orders the lines of a file: the
# number of a line depends on how many files its task read.
OF_A_RUN = {"batch_id", "ingested_at", "run_id", "scored_at", "raw_line", "source_file", "line_order"}
WATT_HOURS = VILLAGE.model_copy(update={"units": Units(value="Wh")})


def forced(spark: SparkSession, settings: Settings, source: Source, run_id: str = "") -> ForcedRun:
    return ForcedRun(source, settings, Store(spark, settings), run_id=run_id)


def request(kind: str, **period: Any) -> Request:
    return Request(kind, "the adapter was wrong", "Ann", **period)


def contents(spark: SparkSession, settings: Settings, *without: str) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every table but the trail and those that tell of runs, as a bag of rows without what is of a run."""
    store, found = Store(spark, settings), {}
    for name, table in TABLES.items():
        if table.layer != "ops" and name not in {"corrected_readings", "released_readings", *without}:
            kept = [column for column in table.names if column not in OF_A_RUN]
            found[name] = Counter(tuple(map(str, row)) for row in store.read(table).select(kept).collect())
    return found


def unlike(one: dict[str, Counter[Any]], other: dict[str, Counter[Any]]) -> dict[str, tuple[Any, Any]]:
    """What only one of the two holds, by table; nothing where they are equal."""
    return {name: (one[name] - other[name], other[name] - one[name]) for name in one if one[name] != other[name]}


def ledger_is_true(spark: SparkSession, settings: Settings) -> bool:
    """Whether the ledger's sums are those of the tables, for the only source of the lake."""
    (sums,) = Store(spark, settings).read(TABLES["ledger"]).groupBy().sum().collect()
    of = {name.removeprefix("sum(").removesuffix(")"): value for name, value in sums.asDict().items()}
    held = Store(spark, settings).read(TABLES["quarantined_readings"])
    repeated = held.where("array_contains(reasons, 'exact_duplicate')").count()
    bronze = Store(spark, settings).read(TABLES["meter_readings"])
    booked = (of["current"] - of["replaced"], of["quarantined"], of["exact_duplicates"], of["unparsable"], of["lines"])
    return booked == (
        Store(spark, settings).read(TABLES["stg_meter_readings"]).where(delivered()).count(),
        held.count() - repeated,
        repeated,
        bronze.where("parse_error IS NOT NULL").count(),
        bronze.count(),
    )


def village_day(folder: Path, day: int, *more: str) -> Path:
    """A file of one day of January 2024 of the meters a and b, in whole Wh: 20 to 80 per half-hour."""
    first = datetime(2024, 1, day)
    lines = [line for meter in "ab" for line in half_hours(meter, first, 48)]
    in_wh = [f"{line.rsplit(',', 1)[0]},{float(line.rsplit(',', 1)[1]) * 100 - 30:.0f}" for line in lines]
    path = folder / f"{day:02}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["meter,at,kwh", *in_wh, *more]) + "\n")
    return path
