"""An S3 server for the whole session, and a Spark session that knows it."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession
from tests.conftest import settings_for
from tests.s3_server import ObjectStore, object_store

from meterlake.bootstrap import s3_jar_paths
from meterlake.errors import Unreachable
from meterlake.session import spark_session


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """The server, to which the environment of this process leads; its keys come by a file."""
    try:
        s3_jar_paths()
    except Unreachable as missing:
        pytest.skip(str(missing))
    with object_store(tmp_path_factory.mktemp("s3")) as store, pytest.MonkeyPatch.context() as patch:
        store.enter(patch)
        yield store


@pytest.fixture(scope="session")
def spark(server: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    session = spark_session(settings_for(tmp_path_factory.mktemp("spark-home")), "tests on S3")
    yield session
    session.stop()
