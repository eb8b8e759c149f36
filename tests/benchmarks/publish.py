"""What Spark takes to write a mart into each store, beside the fastest way to load the same rows into it.

    make bench-publish [SIZE=meters=1000,days=30] [PAIRS=3]

The rows are those of `mart_anomaly_scores`, a reading each, of a lake that meterlake makes of generated files first.
Each way fills an empty staging table of the product's own, and its rows and sums must be Delta's; the swap, the same
for all, is not in the seconds.

    native, jdbc   the product's write with `serving.loader` set so: Delta to the store, by Spark's tasks
    binary, csv    PostgreSQL's COPY of files that lie ready, one for each core, all at once
    Native, Parquet    the same of ClickHouse's INSERT
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks import asked, passes
from tests.benchmarks.agreement import Disagreement
from tests.benchmarks.workload import Workload

from meterlake.serving import clickhouse, ddl, embedded, postgres
from meterlake.serving.endpoint import TITLES, StoreName
from meterlake.serving.outgoing import Outgoing, outgoing
from meterlake.serving.publish import TARGETS
from meterlake.serving.slices import Wanted
from meterlake.serving.totals import Totals, differences
from meterlake.session import size_to, spark_session
from meterlake.settings import Settings, load
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES as MART
from meterlake.tables.store import Store

TARGET = 1.5
OURS = ("native", "jdbc")
READY: dict[StoreName, tuple[str, ...]] = {"postgres": ("binary", "csv"), "clickhouse": ("Native", "Parquet")}
NAMES = ddl.columns(MART.names)

Rounds = dict[str, list[float]]


def run(given: argparse.Namespace) -> None:
    workload = Workload.named(given.size)
    folder = asked.bench_folder(given)
    home = folder / "out" / "publish"
    shutil.rmtree(home, ignore_errors=True)
    print("making the mart ...", flush=True)
    passes.ours(workload.files(folder / "data"), workload.model(folder / "data"), home, given.threads)
    settings = load(home=home / "tables")
    local = settings.spark.model_copy(update={"master": f"local[{given.threads}]"})
    settings = settings.model_copy(update={"spark": local})
    spark = spark_session(settings, "bench-publish")
    store = Store(spark, settings)
    size_to(spark, store.bytes(MART), settings)
    with embedded.stores(settings):
        rows, expected = outgoing(store.read(MART), Wanted(MART), store.scan(MART))
        seconds = {name: compare(name, rows, expected, home, settings, given) for name in READY}
    spark.stop()
    shutil.rmtree(home)
    found = {
        "rows": int(expected["rows"]),
        "seconds": seconds,
        "ratios": {n: ratios(n, of) for n, of in seconds.items()},
    }
    place = asked.keep(found, "publish", workload, given)
    print(table(found))
    print(place)


def compare(
    store: StoreName, rows: Outgoing, expected: Totals, home: Path, settings: Settings, given: argparse.Namespace
) -> Rounds:
    """Seconds of each way, one after the other in each round; what lies ready is written by the store before."""
    ready = {"postgres": _postgres_ready, "clickhouse": _clickhouse_ready}[store]
    serving = settings.serving
    with_loader = {
        name: settings.model_copy(update={"serving": serving.model_copy(update={"loader": name})}) for name in OURS
    }
    staging = TARGETS[store].stage(MART, settings)
    TARGETS[store].write(MART, rows, staging, with_loader["native"])
    ways: dict[str, Callable[[str], None]] = {
        name: lambda into, own=own: TARGETS[store].write(MART, rows, into, own) for name, own in with_loader.items()
    }
    for kind in READY[store]:
        files = ready(staging, kind, home, given.threads, settings)
        ways[kind] = partial(_load, store, kind, files, settings)
    taken: Rounds = {name: [] for name in ways}
    for number in range(given.pairs):
        for name, way in ways.items():
            print(f"round {number + 1} of {given.pairs}: {TITLES[store]}, {name} ...", flush=True)
            into = TARGETS[store].stage(MART, settings)
            started = time.monotonic()
            way(into)
            taken[name].append(time.monotonic() - started)
            for what, (wanted, found) in differences(expected, TARGETS[store].staged(MART, into, settings)).items():
                raise Disagreement(MART.name, what, ("Delta", float(wanted)), (name, float(found)))
            TARGETS[store].discard(MART, into, settings)
    return taken


def _postgres_ready(staging: str, kind: str, home: Path, parts: int, settings: Settings) -> list[Path]:
    files = [home / f"postgres-{part}.{kind}" for part in range(parts)]
    with postgres.session(settings) as asks:
        for part, file in enumerate(files):
            select = f"SELECT {NAMES} FROM {ddl.SCHEMA}.{staging} WHERE abs(hashtext(meter_id)) % {parts} = {part}"
            with file.open("wb") as out:
                asks.copy_expert(f"COPY ({select}) TO STDOUT (FORMAT {kind})", out)
    return files


def _clickhouse_ready(staging: str, kind: str, home: Path, parts: int, settings: Settings) -> list[Path]:
    files = [home / f"clickhouse-{part}.{kind}" for part in range(parts)]
    client = clickhouse.connect(settings)
    for part, file in enumerate(files):
        select = f"SELECT {NAMES} FROM {_named(staging, settings)} WHERE cityHash64(meter_id) % {parts} = {part}"
        with file.open("wb") as out:
            shutil.copyfileobj(client.raw_stream(select, fmt=kind), out)
    client.close()
    return files


def _load(store: StoreName, kind: str, files: list[Path], settings: Settings, into: str) -> None:
    """All files at once, a connection each."""
    one = {"postgres": _copy, "clickhouse": _insert}[store]
    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(partial(one, kind=kind, into=into, settings=settings), files))


def _copy(file: Path, kind: str, into: str, settings: Settings) -> None:
    with postgres.session(settings) as asks, file.open("rb") as text:
        asks.copy_expert(f"COPY {ddl.SCHEMA}.{into} ({NAMES}) FROM STDIN (FORMAT {kind})", text)


def _insert(file: Path, kind: str, into: str, settings: Settings) -> None:
    client = clickhouse.connect(settings)
    with file.open("rb") as block:
        client.raw_insert(_named(into, settings), MART.names, block, clickhouse.ANY_PARTITIONS, kind)
    client.close()


def _named(table: str, settings: Settings) -> str:
    return f"{settings.clickhouse.database}.{table}"


def ratios(store: StoreName, taken: Rounds) -> dict[str, list[float]]:
    """Seconds of each way / of the fastest of those that lie ready, in the same round."""
    fastest = [min(each) for each in zip(*(taken[kind] for kind in READY[store]), strict=True)]
    return {name: [one / best for one, best in zip(each, fastest, strict=True)] for name, each in taken.items()}


def table(found: dict[str, Any]) -> str:
    lines = [f"\n{found['rows']:,} rows\n{'store':<12}{'way':<10}{'seconds':>10}{'rows/s':>12}{'of the fastest':>22}"]
    for store, of in found["ratios"].items():
        for way, each in of.items():
            seconds = median(found["seconds"][store][way])
            told = f"{seconds:>10.1f}{found['rows'] / seconds:>12,.0f}{asked.spread(each):>22}"
            lines.append(f"{TITLES[store]:<12}{way:<10}{told}")
    return "\n".join([*lines, f"target of the product's own: {TARGET}"])


def main() -> int:
    parser = asked.parser(__doc__, "meters=1000,days=30")
    parser.set_defaults(kind="publish")
    return asked.ending(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
