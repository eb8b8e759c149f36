"""ClickHouse as a target: a whole new mart is put together beside the old one, then both change names at once.

Only changed slices (a source's month each) travel. Partitions without one join the new mart as hard links; of those
with one, the other months are copied inside of the server.
"""

import re
import secrets
from collections.abc import Collection, Iterator
from functools import partial
from itertools import groupby
from operator import attrgetter, itemgetter

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from meterlake.errors import Unreachable
from meterlake.files import filesystem_of
from meterlake.serving import clickhouse_access, ddl, totals
from meterlake.serving.endpoint import Endpoint, Login, endpoint
from meterlake.serving.outgoing import Outgoing, over_jdbc
from meterlake.serving.slices import Slice
from meterlake.settings import Settings
from meterlake.tables.arrow_writer import Batches, joined
from meterlake.tables.catalog import MARTS
from meterlake.tables.coded import as_texts
from meterlake.tables.table import Table

# What an error says, and what it means.
REFUSED = {"AUTHENTICATION_FAILED": "login refused", "CERTIFICATE_VERIFY_FAILED": "its certificate is not trusted"}

# Rows of a block: a part on the disk for each partition that they are of, as many as the server's own blocks have.
INSERTED_ROWS = 1_000_000
SENT_BYTES = 4 << 20
# A block may hold any number of months.
ANY_PARTITIONS = {"max_partitions_per_insert_block": 0}


def connect(settings: Settings, login: Login = "etl") -> Client:
    """A client of the writer, or of the reader.

    Raises:
        Unreachable: the server does not answer, or refuses the login.
    """
    return _connected(endpoint(settings, "clickhouse"), login, settings.secret(f"clickhouse_{login}"))


def _connected(known: Endpoint, login: Login, password: str) -> Client:
    try:
        return clickhouse_connect.get_client(
            host=known.host,
            port=known.port,
            username=known.login(login),
            password=password,
            autogenerate_session_id=False,
            client_name="meterlake",
            secure=known.tls,
            ca_cert=known.ca or None,
        )
    except ClickHouseError as error:
        reason = next((words for mark, words in REFUSED.items() if mark in str(error)), "no answer")
        raise Unreachable(
            f"ClickHouse at {known.host}:{known.port} cannot be used ({reason}); "
            "start it with `meterlake stores start`, or correct [clickhouse] and its password."
        ) from None


def needs_full(table: Table, settings: Settings) -> bool:
    """Whether the mart is missing or has other columns, keys or sums than declared: all of it has to be published."""
    with connect(settings) as client:
        return _shape(client, table, settings) != _declared(table)


def stage(table: Table, settings: Settings) -> str:
    """Make an empty staging table; those of killed runs are dropped. Returns its name."""
    name = f"{_mart(table)}__staging_{secrets.token_hex(4)}"
    database = settings.clickhouse.database
    with connect(settings) as client:
        client.command(f"CREATE DATABASE IF NOT EXISTS {ddl.quoted(database)}")
        found = client.query(
            "SELECT name FROM system.tables WHERE database = {database:String} AND startsWith(name, {prefix:String})",
            {"database": database, "prefix": f"{_mart(table)}__staging_"},
        )
        for (left,) in found.result_rows:
            client.command(f"DROP TABLE {_target(settings, left)} SYNC")
        client.command(ddl.clickhouse_table(table, database, name))
    return name


def write(table: Table, rows: Outgoing, staging: str, settings: Settings) -> None:
    """Append the rows to the staging table: as the files of the lake, as Arrow, or through JDBC.

    Of a file the server itself leaves out the rows that are not wanted.
    """
    known, password = endpoint(settings, "clickhouse"), settings.secret("clickhouse_etl")
    if settings.serving.loader == "jdbc":
        _write_over_jdbc(table, rows.frame, staging, settings, known, password)
    elif files := rows.whole_files:
        into = f"{_target(settings, staging)} {ddl.clickhouse_of_parquet(table, rows.wanted.sql)}"
        rows.hand_files(files, partial(_sent, known=known, password=password, into=into))
    else:
        rows.hand(partial(_inserted, known=known, password=password, into=staging))


def staged(table: Table, staging: str, settings: Settings) -> totals.Totals:
    with connect(settings) as client:
        found = client.query(f"{totals.clickhouse_select(table)} FROM {_target(settings, staging)}")
        return totals.named(table, found.result_rows[0])


def empty(table: Table, staging: str, settings: Settings) -> None:
    with connect(settings) as client:
        client.command(f"TRUNCATE TABLE {_target(settings, staging)}")


def swap(table: Table, staging: str, slices: Collection[Slice] | None, settings: Settings) -> None:
    """Add the unchanged months to the staging table, let it and the mart change names, and drop the old mart."""
    mart, new = _target(settings, _mart(table)), _target(settings, staging)
    with connect(settings) as client:
        client.command(ddl.clickhouse_table(table, settings.clickhouse.database, _mart(table)))
        if slices is not None:
            for statement in _added(client, table, slices, mart, new):
                client.command(statement)
        client.command(f"EXCHANGE TABLES {new} AND {mart}")
        clickhouse_access.protect(client, table, settings)
    discard(table, staging, settings)


def discard(table: Table, staging: str, settings: Settings) -> None:
    with connect(settings) as client:
        client.command(f"DROP TABLE IF EXISTS {_target(settings, staging)} SYNC")


def count(table: Table, settings: Settings, source: str | None = None) -> int | None:
    """Rows of the mart, of one source when named; None when it does not exist."""
    with connect(settings) as client:
        if not _shape(client, table, settings):
            return None
        only = f"WHERE source = {ddl.literal(source)}" if source is not None else ""
        return int(client.query(f"SELECT count() FROM {_target(settings, _mart(table))} {only}").result_rows[0][0])


def protect(settings: Settings) -> None:
    """The views of all marts that are there, as declared now."""
    with connect(settings) as client:
        for table in MARTS:
            if _shape(client, table, settings) == _declared(table):
                clickhouse_access.protect(client, table, settings)


def _sent(path: str, known: Endpoint, password: str, into: str) -> None:
    """A Parquet file as it is."""
    filesystem, name = filesystem_of(path)
    with _connected(known, "etl", password) as client, filesystem.open_input_stream(name) as file:
        pieces = (piece for piece in iter(partial(file.read, SENT_BYTES), b""))
        client.raw_insert(into, None, pieces, ANY_PARTITIONS, "Parquet")


def _inserted(batches: Batches, known: Endpoint, password: str, into: str) -> None:
    with _connected(known, "etl", password) as client:
        for rows in joined(batches, INSERTED_ROWS):
            client.insert_arrow(into, as_texts(rows), known.database, settings=ANY_PARTITIONS)


def _write_over_jdbc(
    table: Table, rows: DataFrame, staging: str, settings: Settings, known: Endpoint, password: str
) -> None:
    """Into a wire table through JDBC, then into the staging table inside of the server."""
    wire, names = f"{staging}_wire", ddl.columns(table.names)
    options = {"batchsize": "100000", "isolationLevel": "NONE", "beta.row_binary_for_simple_insert": "true"}
    with connect(settings) as client:
        client.command(ddl.clickhouse_wire_table(table, known.database, wire))
        over_jdbc(_on_wire(table, rows), wire, known, password, **options)
        client.command(
            f"INSERT INTO {_target(settings, staging)} ({names}) "
            f"SELECT {ddl.clickhouse_times(table)} FROM {_target(settings, wire)}",
            settings=ANY_PARTITIONS,
        )
        client.command(f"DROP TABLE {_target(settings, wire)} SYNC")


def _on_wire(table: Table, rows: DataFrame) -> DataFrame:
    """Times as seconds and dates as days since 1970: see `ddl.clickhouse_wire_table`."""
    convert = {"timestamp": F.unix_seconds, "date": F.unix_date}
    return rows.select(*(convert.get(column.type, F.col)(column.name).alias(column.name) for column in table.columns))


def _added(client: Client, table: Table, slices: Collection[Slice], mart: str, new: str) -> Iterator[str]:
    """What adds the months of the mart that hold none of the slices to the new one."""
    month, names = f"toStartOfMonth({ddl.quoted(ddl.day(table))})", ddl.columns(table.names)
    found = client.query(f"SELECT _partition_id, source, {month} FROM {mart} GROUP BY ALL ORDER BY ALL")
    for partition, rows in groupby(found.result_rows, key=itemgetter(0)):
        held = {Slice(source, first) for _, source, first in rows}
        kept = held.difference(slices)
        if kept == held:
            yield f"ALTER TABLE {new} ATTACH PARTITION ID {ddl.literal(partition)} FROM {mart}"
        elif kept:
            firsts = ", ".join(ddl.literal(str(each.month)) for each in sorted(kept, key=attrgetter("month")))
            where = f"_partition_id = {ddl.literal(partition)} AND {month} IN ({firsts})"
            yield f"INSERT INTO {new} ({names}) SELECT {names} FROM {mart} WHERE {where}"


def _shape(client: Client, table: Table, settings: Settings) -> list[tuple[str, str]]:
    """Columns with their types, the keys, and the names of kept sums. Empty when there is no such table."""
    where = {"database": settings.clickhouse.database, "table": _mart(table)}
    columns = client.query(
        "SELECT name, type FROM system.columns WHERE database = {database:String} AND table = {table:String} "
        "ORDER BY position",
        where,
    )
    keys = client.query(
        "SELECT sorting_key, partition_key, create_table_query FROM system.tables "
        "WHERE database = {database:String} AND name = {table:String}",
        where,
    )
    found = [(str(name), str(kind)) for name, kind in columns.result_rows]
    for sorting, partition, statement in keys.result_rows:
        # A writer may not read system.projections.
        found += [(sorting, partition), ("sums", ", ".join(re.findall(r"PROJECTION `?(\w+)", statement)))]
    return found


def _declared(table: Table) -> list[tuple[str, str]]:
    columns = [(column.name, ddl.clickhouse_type(table, column)) for column in table.columns]
    keys = (", ".join(ddl.published(table).order_by), ddl.clickhouse_partition(table).replace('"', ""))
    return [*columns, keys, ("sums", ", ".join(ddl.clickhouse_sums(table)))]


def _mart(table: Table) -> str:
    return ddl.published(table).clickhouse


def _target(settings: Settings, name: str) -> str:
    return f"{ddl.quoted(settings.clickhouse.database)}.{ddl.quoted(name)}"
