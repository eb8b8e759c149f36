"""Arrow and delta-rs on an S3 server, without Spark: end point, region and keys reach both. With Spark: tests/s3."""

import gzip
from argparse import Namespace
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pyspark
import pytest

from meterlake import bootstrap
from meterlake import object_store as s3
from meterlake.errors import InputError, LakeTaken, Unreachable, UsageError
from meterlake.files import filesystem_of
from meterlake.pipeline import one_step
from meterlake.run import holding
from meterlake.settings import PROJECT, S3, Settings, load
from meterlake.sources import generate_files, plain_lines
from meterlake.sources.delivery import files_of
from meterlake.tables.ops import RUNS
from meterlake.tables.reader import Lake
from tests.lake import row_of, write
from tests.s3_server import BUCKET, REGION, ObjectStore, object_store

CONF = PROJECT / "conf" / "test.toml"
ROOT = f"s3a://{BUCKET}/north"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture
def settings(server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Those of a lake in the bucket."""
    server.enter(monkeypatch)
    monkeypatch.setenv("METERLAKE_LAKE_ROOT", ROOT)
    s3._bucket.cache_clear()  # clients of other keys or another server
    yield load(CONF, tmp_path / "home")
    s3._bucket.cache_clear()


@pytest.mark.parametrize("name", ["readings-2024-01-31.csv", "two words + ü %20.csv", "packed.csv.gz"])
def test_a_delivery_is_found_and_read(settings: Settings, name: str) -> None:
    generate_files.write(f"s3a://{BUCKET}/in", name, b"meter,at,kwh\na,2024-01-31 00:00,1\n")
    path = f"s3a://{BUCKET}/in/{name}"
    assert files_of(path) == [path]
    assert path in files_of(f"s3a://{BUCKET}/in/", first=date(2024, 1, 1))
    (block,) = plain_lines.blocks(path, 0, plain_lines.BLOCK)
    assert block == (0, b"meter,at,kwh\na,2024-01-31 00:00,1\n")


def test_a_part_of_a_file_is_read_from_where_it_begins(settings: Settings) -> None:
    generate_files.write(f"s3a://{BUCKET}/parts", "lines.csv", b"one\ntwo\nthree\n")
    assert list(plain_lines.blocks(f"s3a://{BUCKET}/parts/lines.csv", 2, 9)) == [(4, b"two\nthree\n")]


def test_what_is_compressed_is_compressed_once(settings: Settings, server: ObjectStore) -> None:
    generate_files.write(f"s3a://{BUCKET}/packed", "a.csv.gz", b"text")
    stored = server.client.get_object(Bucket=BUCKET, Key="packed/a.csv.gz")["Body"].read()
    assert gzip.decompress(stored) == b"text"
    listed = server.client.list_objects_v2(Bucket=BUCKET, Prefix="packed/")["Contents"]
    files = [found["Key"] for found in listed if not found["Key"].endswith("/")]
    assert files == ["packed/a.csv.gz"], "nothing unfinished is left"


def test_nothing_delivered_is_told(settings: Settings) -> None:
    with pytest.raises(InputError, match="no file is there"):
        files_of(f"s3a://{BUCKET}/nothing/")


def test_pages_read_the_lake(settings: Settings, server: ObjectStore) -> None:
    row = dict(zip(RUNS.names, row_of(RUNS, run_id="r1", started_at=datetime(2024, 1, 1, tzinfo=UTC)), strict=True))
    write(settings, RUNS, [row])
    lake = Lake.of(settings)
    assert lake.rows("SELECT run_id FROM runs") == [{"run_id": "r1"}]
    assert [stored.table for stored in lake.stored()] == [RUNS]


def test_the_bucket_is_asked_for_first(settings: Settings) -> None:
    s3.check(ROOT)
    with pytest.raises(Unreachable, match="no bucket nowhere"):
        s3.check("s3a://nowhere/lake")


def test_a_lake_is_of_one_home(settings: Settings, tmp_path: Path) -> None:
    for _ in range(2):
        with holding(settings):
            pass
    other = load(CONF, tmp_path / "other")
    with pytest.raises(LakeTaken, match=rf"of another home \(.*{settings.home}.*delete {ROOT}/_home"), holding(other):
        pass
    filesystem, inner = filesystem_of(f"{ROOT}/_home")
    filesystem.delete_file(inner)
    with holding(other):
        pass


def test_wrong_keys_are_one_sentence(settings: Settings, server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    s3._bucket.cache_clear()
    for ask in (s3.check, files_of):
        with pytest.raises(Unreachable, match=r"ACCESS_DENIED.*check \[s3\]") as told:
            ask(ROOT)
        assert server.endpoint in str(told.value)
        assert "\n" not in str(told.value)


def test_a_store_that_is_down_is_one_sentence(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    s3._bucket.cache_clear()
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1 says NETWORK_CONNECTION"):
        s3.check(ROOT)


def test_a_delivery_there_needs_a_region(server: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.enter(monkeypatch)
    for name in ("ENDPOINT", "REGION"):
        monkeypatch.delenv(f"METERLAKE_S3_{name}")
    generate_files.write(f"s3a://{BUCKET}/near", "a.csv", b"text")
    parsed = Namespace(source="ami", input=f"s3a://{BUCKET}/near/a.csv", name="ingest")
    with pytest.raises(UsageError, match=r"name its region in \[s3\]"):
        one_step(parsed, load(CONF, tmp_path / "home"))


def test_every_client_is_told_the_same(settings: Settings, server: ObjectStore) -> None:
    spark, delta_rs = s3.spark_options(settings), s3.delta_rs_options(settings)
    assert {spark["spark.hadoop.fs.s3a.endpoint"], delta_rs["AWS_ENDPOINT_URL"]} == {server.endpoint}
    assert spark["spark.executorEnv.AWS_ENDPOINT_URL_S3"] == server.endpoint
    assert {spark["spark.hadoop.fs.s3a.endpoint.region"], delta_rs["AWS_REGION"]} == {REGION}
    assert filesystem_of(ROOT)[0].region == REGION
    assert not [value for value in [*spark.values(), *delta_rs.values()] if server.secret in value]


def test_without_s3_nothing_is_told(tmp_path: Path) -> None:
    settings = load(CONF, tmp_path)
    assert not settings.uses_s3
    assert settings.s3.variables == {}


@pytest.mark.parametrize(
    ("endpoint", "region", "variables"),
    [
        pytest.param("", "eu-west-1", {"AWS_REGION": "eu-west-1"}, id="aws"),
        pytest.param("http://x:1", "", {"AWS_ENDPOINT_URL_S3": "http://x:1", "AWS_REGION": "us-east-1"}, id="another"),
    ],
)
def test_what_the_environment_is_told(endpoint: str, region: str, variables: dict[str, str], tmp_path: Path) -> None:
    settings = load(CONF, tmp_path)
    there = settings.model_copy(update={"s3": S3(endpoint=endpoint, region=region)})
    assert there.s3.variables == variables
    assert there.uses_s3


def test_missing_jars_say_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "SHARE", tmp_path)
    with pytest.raises(Unreachable, match="make s3-jars"):
        bootstrap.s3_jar_paths()


def test_the_client_is_that_of_the_hadoop_that_spark_ships() -> None:
    jars = Path(pyspark.__file__).parent / "jars"
    (hadoop,) = jars.glob("hadoop-client-api-*.jar")
    assert "org.apache.hadoop:hadoop-aws:" + hadoop.stem.removeprefix("hadoop-client-api-") == bootstrap.S3_CLIENT
