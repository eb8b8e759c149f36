"""Fixtures for all tests: one Spark session, and a home folder of its own for each test."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from meterlake.session import SMALL_BYTES, size_to, spark_session
from meterlake.settings import PROJECT, Settings, load


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first, the longest of all first: two workers then end at about the same time."""
    slow = {item.path for item in items if "slow" in item.keywords}
    items.sort(key=lambda item: (item.path.name != "test_pipeline.py", item.path not in slow))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The session of all tests, on two cores."""
    session = spark_session(settings_for(tmp_path_factory.mktemp("spark-home")), "tests")
    yield session
    session.stop()


@pytest.fixture
def spark_for_much(spark: SparkSession, settings: Settings) -> SparkSession:
    """The session as steps find it for work that is not small, whatever ran in it before: for tests of plans."""
    size_to(spark, 2 * SMALL_BYTES, settings)
    return spark


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """conf/test.toml with an empty home, and ports that nobody uses."""
    yield settings_for(tmp_path / "home")
    if session := SparkSession.getActiveSession():
        session.catalog.clearCache()  # each query is compared with all that is cached, also with what steps left there


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets beside the project; a test that needs them is skipped where they are absent."""
    folder = PROJECT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    return folder


def settings_for(home: Path) -> Settings:
    """conf/test.toml with this home and free ports."""
    settings = load(conf=PROJECT / "conf" / "test.toml", home=home)
    first, second, third = _free_ports(3)
    return settings.model_copy(
        update={
            "postgres": settings.postgres.model_copy(update={"port": first}),
            "clickhouse": settings.clickhouse.model_copy(update={"port": second, "native_port": third}),
        }
    )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
