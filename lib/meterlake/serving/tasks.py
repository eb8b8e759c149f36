"""Rows of a frame to a store: by what each task hands to the store's own bulk loader, or over JDBC."""

from collections.abc import Callable

from pyspark.sql import DataFrame

from meterlake.serving.endpoint import Endpoint
from meterlake.session import is_small
from meterlake.tables.arrow_writer import Batches

DRIVERS = {"postgres": "org.postgresql.Driver", "clickhouse": "com.clickhouse.jdbc.Driver"}


def each_task(rows: DataFrame, insert: Callable[[Batches], None]) -> None:
    """Call `insert` with the batches of each partition, in its task; in this process where the work is small, as that
    then takes less than a Python worker. What `insert` holds is sent to the tasks, so it must hold what it logs in by.
    """
    if is_small(rows.sparkSession):
        insert(iter(rows.toArrow().to_batches()))
        return

    def task(batches: Batches) -> Batches:
        insert(batches)
        yield from ()

    rows.mapInArrow(task, "nothing int").collect()


def over_jdbc(rows: DataFrame, table: str, known: Endpoint, password: str, **options: str) -> None:
    """Append the rows to the table, a connection per task."""
    rows.write.format("jdbc").mode("append").options(
        driver=DRIVERS[known.name],
        url=known.jdbc_url,
        dbtable=table,
        user=known.user,
        password=password,
        **options,
        **known.jdbc_tls,
    ).save()
