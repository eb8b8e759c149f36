"""With `tls` nothing is said to a server that cannot prove who it is: by both Python drivers and both JDBC drivers.

Real handshakes: TLS ends in front of the embedded stores, which have none (tls_front.py).
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import py4j.java_gateway
import pyspark
import pytest
from py4j.java_gateway import JavaGateway
from py4j.protocol import Py4JJavaError, get_return_value
from tests.serving.tls_front import certificate, tls_front

from meterlake.bootstrap import jar_paths
from meterlake.errors import Unreachable, UsageError
from meterlake.serving import clickhouse, postgres
from meterlake.serving.endpoint import STORES, StoreName, endpoint, section
from meterlake.settings import Settings, load

Known = Callable[[StoreName, Path, Path | None], Settings]
CONNECT: dict[StoreName, Callable[[Settings], Any]] = {"postgres": postgres.connect, "clickhouse": clickhouse.connect}
# Why: another certificate than the one we know, one for another host, and one of our own where the system is asked.
WRONG = {"another": ("another", "ours"), "of_another_host": ("elsewhere", "elsewhere"), "unknown": ("ours", None)}


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Certificates by what is meant with them."""
    names = {"ours": "127.0.0.1", "another": "127.0.0.1", "elsewhere": "elsewhere.example"}
    return {what: certificate(tmp_path_factory.mktemp(what), name) for what, name in names.items()}


@pytest.fixture
def behind(serving: Settings) -> Iterator[Known]:
    """Settings of a store behind TLS: `behind("postgres", its certificate, the one that we know)`."""
    with contextlib.ExitStack() as fronts:

        def known(store: StoreName, shown: Path, ca: Path | None) -> Settings:
            port = endpoint(serving, store).port
            front = fronts.enter_context(tls_front(port, shown, asked_first=store == "postgres"))
            changes = {"embedded": False, "port": front, "tls": True, "ca": str(ca or "")}
            return serving.model_copy(update={store: section(serving, store).model_copy(update=changes)})

        yield known


@pytest.mark.parametrize("store", STORES)
def test_a_certificate_that_is_known_is_taken(behind: Known, pems: dict[str, Path], store: StoreName) -> None:
    settings = behind(store, pems["ours"], pems["ours"])
    CONNECT[store](settings).close()
    assert endpoint(settings, store).running


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("why", WRONG)
def test_any_other_is_refused_in_one_sentence(behind: Known, pems: dict[str, Path], store: StoreName, why: str) -> None:
    shown, ca = WRONG[why]
    settings = behind(store, pems[shown], pems[ca] if ca else None)
    with pytest.raises(Unreachable, match=r"cannot be used \(.*(certificate|host name)") as caught:
        CONNECT[store](settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("store", STORES)
def test_a_server_without_tls_is_told_no_password(serving: Settings, pems: dict[str, Path], store: StoreName) -> None:
    changes = {"embedded": False, "tls": True, "ca": str(pems["ours"]), "port": endpoint(serving, store).port}
    plain = serving.model_copy(update={store: section(serving, store).model_copy(update=changes)})
    with pytest.raises(Unreachable):
        CONNECT[store](plain)


@pytest.fixture(scope="module")
def jvm() -> Iterator[Any]:
    """Java with the drivers on its path, and no Spark."""
    spark = Path(pyspark.__file__).parent / "jars"
    (jar,) = spark.glob("py4j-*.jar")
    path = os.pathsep.join([*map(str, jar_paths()), str(spark / "*")])
    gateway = JavaGateway.launch_gateway(jarpath=str(jar), classpath=path, die_on_exit=True, enable_auth=True)
    with pytest.MonkeyPatch.context() as patch:
        # A Spark session before it in this process asks Spark's own Java about every error, which knows none of ours.
        patch.setattr(py4j.java_gateway, "get_return_value", get_return_value)
        yield gateway.jvm
        gateway.shutdown()


def through_jdbc(jvm: Any, store: StoreName, settings: Settings) -> str:
    """Who we are in the store, by its JDBC driver, or why it does not connect."""
    known = endpoint(settings, store)
    properties = jvm.java.util.Properties()
    login = {"user": known.user, "password": settings.secret(f"{store}_etl")} | known.jdbc_tls
    for name, value in login.items():
        properties.setProperty(name, value)
    driver = jvm.org.postgresql.Driver() if store == "postgres" else jvm.com.clickhouse.jdbc.Driver()
    try:
        connection = driver.connect(known.jdbc_url, properties)
        rows = connection.createStatement().executeQuery("SELECT current_user")
    except Py4JJavaError as error:  # ClickHouse's driver opens nothing before the first query
        return str(error)
    rows.next()
    user = str(rows.getString(1))
    connection.close()
    return user


@pytest.mark.parametrize("store", STORES)
def test_jdbc_takes_the_known_certificate_and_no_other(
    behind: Known, pems: dict[str, Path], jvm: Any, store: StoreName
) -> None:
    assert through_jdbc(jvm, store, behind(store, pems["ours"], pems["ours"])) == "meterlake_etl"
    for shown, ca in WRONG.values():
        said = through_jdbc(jvm, store, behind(store, pems[shown], pems[ca] if ca else None))
        assert re.search("PKIX|[Hh]ostname|[Cc]ertificate", said), said


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        pytest.param("tls = true", "postgres: an embedded server has no TLS", id="embedded"),
        pytest.param('tls = true\nembedded = false\nca = "gone.pem"', "gone.pem .* is not there", id="no_such_file"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(lines: str, sentence: str, tmp_path: Path) -> None:
    conf = tmp_path / "conf.toml"
    conf.write_text(f"[postgres]\n{lines}\n")
    with pytest.raises(UsageError, match=sentence):
        load(conf=conf, home=tmp_path)
