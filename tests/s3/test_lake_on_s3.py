"""A lake and its deliveries in an object store, beside the same ones in local folders: `make test-s3`.

Two deliveries, of which the second one is killed half way in the object store and run again. They are small, so what a
large one does otherwise, the pass with Arrow (load_plain.py), is tried by itself.
"""

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as fs
import pyspark
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from tests.benchmarks.rows import OF_A_RUN, fingerprint
from tests.conftest import settings_for
from tests.lake import run_of
from tests.s3_server import BUCKET, ObjectStore
from tests.tables.test_exchange import a_month, few, scored, stands
from tests.test_pipeline import is_killed_in, runs_through

from meterlake import ingest
from meterlake.bootstrap import _artifact, jar_paths, s3_jar_paths
from meterlake.files import filesystem_of
from meterlake.maintain import maintain
from meterlake.session import SMALL_BYTES
from meterlake.settings import Settings
from meterlake.sources.catalog import source_named
from meterlake.sources.generate import generate
from meterlake.tables.catalog import TABLES
from meterlake.tables.mart_anomaly_scores import MART_ANOMALY_SCORES
from meterlake.tables.ops import LEDGER
from meterlake.tables.reader import Lake
from meterlake.tables.store import Store

pytestmark = pytest.mark.s3

METERS, DAYS = 20, 5
FIRST, SECOND = ("--to", "2024-01-04"), ("--from", "2024-01-05")
DELIVERIES, ROOT = f"s3a://{BUCKET}/deliveries", f"s3a://{BUCKET}/lakes/north"


@dataclass(frozen=True)
class Home:
    """A home, where its lake and its deliveries lie, and what a delivery takes."""

    settings: Settings
    deliveries: str

    def run(self, period: tuple[str, str]) -> float:
        """A delivery, to its end; the seconds that it took."""
        began = time.monotonic()
        runs_through(self.settings.home, f"{self.deliveries}/readings", *period)
        return time.monotonic() - began


@pytest.fixture(scope="module")
def local(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("local")
    _generate(spark, str(folder / "deliveries"))
    return Home(settings_for(folder / "home"), str(folder / "deliveries"))


@pytest.fixture(scope="module")
def remote(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Home:
    _generate(spark, DELIVERIES)
    settings = settings_for(tmp_path_factory.mktemp("remote") / "home")
    return Home(settings.model_copy(update={"lake": settings.lake.model_copy(update={"root": ROOT})}), DELIVERIES)


@pytest.fixture(scope="module")
def filled(local: Home, remote: Home, server: ObjectStore) -> dict[str, float]:
    """Both lakes after both deliveries; what each took in seconds, and the first one in requests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METERLAKE_LAKE_ROOT", ROOT)
        before = server.requests
        took = {"S3, first, seconds": remote.run(FIRST), "S3, first, requests": server.requests - before}
        is_killed_in("aggregate", remote.settings.home, f"{remote.deliveries}/readings", *SECOND)
        took["S3, second, seconds after it was killed in aggregate"] = remote.run(SECOND)
    return took | {"folder, first, seconds": local.run(FIRST), "folder, second, seconds": local.run(SECOND)}


def _generate(spark: SparkSession, out: str) -> None:
    generate(spark, out, meters=METERS, start=date(2024, 1, 1), days=DAYS)


def _sizes(deliveries: str) -> dict[str, int]:
    filesystem, inner = filesystem_of(f"{deliveries}/readings")
    return {file.base_name: file.size for file in filesystem.get_file_info(fs.FileSelector(inner))}


def test_the_same_files_are_generated(local: Home, remote: Home) -> None:
    sizes = _sizes(remote.deliveries)
    assert len(sizes) == DAYS
    assert sizes == _sizes(local.deliveries)


def test_every_table_is_the_same(spark: SparkSession, local: Home, remote: Home, filled: dict[str, float]) -> None:
    here, there = (Store(spark, home.settings) for home in (local, remote))
    rows, differ = {}, {}
    for name, table in TABLES.items():
        if table.layer != "ops":
            columns = [column for column in table.names if column not in OF_A_RUN]
            first, second = (fingerprint(store.read(table), columns) for store in (here, there))
            rows[name] = second["rows"]
            differ[name] = [what for what in first if first[what] != second[what]]
    print(*(f"{what}: {took:,.0f}" for what, took in filled.items()), sep="\n")
    print(*(f"{name}: {count:,} rows" for name, count in rows.items()), sep="\n")
    assert differ == {name: [] for name in differ}
    assert rows["stg_meter_readings"] > METERS * DAYS * 90
    assert min(rows[name] for name in ("int_readings_hourly", "mart_anomaly_scores", "mart_consumption_metrics")) > 0


def test_the_ledger_balances(spark: SparkSession, remote: Home, filled: dict[str, float]) -> None:
    total = Store(spark, remote.settings).read(LEDGER).agg(F.count("*").alias("batches"), F.sum("lines").alias("lines"))
    batches, lines = total.collect()[0]
    assert (batches, lines > METERS * DAYS * 90) == (2, True)


def test_nothing_lies_in_the_home_instead(remote: Home, filled: dict[str, float]) -> None:
    assert not (remote.settings.home / "lake").exists()


def test_no_key_is_in_a_log(remote: Home, server: ObjectStore, filled: dict[str, float]) -> None:
    """Neither in what a run leaves in its home (Spark's event logs, the report) nor in the lake's own logs."""
    read = [file for file in remote.settings.home.rglob("*") if file.is_file()]
    assert any(file.suffix == ".zstd" for file in read)
    assert [file for file in read if server.secret.encode() in _plain(file)] == []


def _plain(file: Path) -> bytes:
    with pa.OSFile(str(file)) as stored:
        plain = pa.CompressedInputStream(stored, "zstd") if file.suffix == ".zstd" else stored
        return bytes(plain.read())


def test_pages_read_it_without_spark(spark: SparkSession, remote: Home, filled: dict[str, float]) -> None:
    counted = Lake.of(remote.settings).rows("SELECT count(*) AS rows FROM mart_consumption_metrics")
    store = Store(spark, remote.settings)
    assert counted == [{"rows": store.read(TABLES["mart_consumption_metrics"]).count()}]


def test_maintenance_changes_no_row(
    spark: SparkSession, remote: Home, server: ObjectStore, filled: dict[str, float]
) -> None:
    store, table = Store(spark, remote.settings), TABLES["stg_meter_readings"]
    before = fingerprint(store.read(table), table.names)
    assert maintain(remote.settings, 168) > 0
    assert fingerprint(store.read(table), table.names) == before


def test_a_large_delivery_is_loaded_the_same(
    spark: SparkSession, remote: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Arrow, which reads and writes the object store itself, and by Spark."""
    bronze, found = TABLES["meter_readings"], []
    columns = [name for name in bronze.names if name not in OF_A_RUN | {"line_order"}]
    for least in (0, SMALL_BYTES):
        monkeypatch.setattr(ingest, "SMALL_BYTES", least)
        settings = settings_for(tmp_path / f"home-{least}")
        root = f"s3a://{BUCKET}/lakes/{least}"
        settings = settings.model_copy(update={"lake": settings.lake.model_copy(update={"root": root})})
        source = source_named("ami", settings)
        run_of(spark, settings, source, f"{DELIVERIES}/readings").perform("ingest", ingest.ingest)
        found.append(fingerprint(Store(spark, settings).read(bronze), columns))
    assert found[0] == found[1]
    assert found[0]["rows"] > METERS * DAYS * 90


def test_few_rows_are_exchanged(remote: Home, spark: SparkSession) -> None:
    """As in folders: deletion vectors are written through Hadoop's client, the log is read by ours."""
    elsewhere = remote.settings.lake.model_copy(update={"root": f"s3a://{BUCKET}/lakes/exchanged"})
    store = Store(spark, remote.settings.model_copy(update={"lake": elsewhere}))
    store.append(scored(store, a_month()), MART_ANOMALY_SCORES)
    since = store.version(MART_ANOMALY_SCORES)
    for score in (0.5, 0.6):
        made = scored(store, {("a", 1): score})
        store.replace(made, MART_ANOMALY_SCORES, few(store, ("a", 0)))
        assert stands(store)["a", 1] == score
    found = store.changes(MART_ANOMALY_SCORES, "village", since)
    assert found.few is not None
    assert found.few.to_pylist() == [{"meter_id": "a", "day": date(2024, 1, 1)}]
    assert store.added(MART_ANOMALY_SCORES, since, since + 1) is None, "nor were rows only added"
    operations = [commit["operation"] for commit in Lake.of(store.settings).history(MART_ANOMALY_SCORES, 2)]
    assert operations == ["MERGE", "MERGE"]


def test_of_two_drivers_the_second_one_wins(spark: SparkSession) -> None:
    """Why a lake is of one home: when this fails, Hadoop's client refuses by itself and `object_store.claim` may go."""
    jvm: Any = spark._jvm
    entry = jvm.org.apache.hadoop.fs.Path(f"s3a://{BUCKET}/log/00000000000000000001.json")
    drivers = [
        jvm.org.apache.hadoop.fs.FileSystem.newInstance(entry.toUri(), spark._jsc.hadoopConfiguration())
        for _ in range(2)
    ]
    entries = [driver.create(entry, False) for driver in drivers]  # as Delta's log store does, once none is there
    for number, written in enumerate(entries):
        written.write(bytearray(f"driver {number}", "utf-8"))
        written.close()
    filesystem, inner = filesystem_of(entry.toString())
    with filesystem.open_input_stream(inner) as stream:
        assert stream.read() == b"driver 1"


def test_no_jar_is_there_twice() -> None:
    """Two versions of one artifact on a class path: which one wins is chance."""
    shipped = (Path(pyspark.__file__).parent / "jars").glob("*.jar")
    others = {_artifact(jar.name) for jar in (*shipped, *jar_paths())}
    assert {_artifact(jar.name) for jar in s3_jar_paths()} & others == set()
