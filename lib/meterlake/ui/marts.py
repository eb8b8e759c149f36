"""The marts in the two stores, asked as the reader, who may only read: lists of PostgreSQL, sums of ClickHouse."""

from contextlib import closing
from typing import Any

import pandas as pd
import psycopg2.errors
from clickhouse_connect.driver.exceptions import ClickHouseError
from psycopg2.extras import RealDictCursor

from meterlake.errors import NothingYet, Unreachable
from meterlake.serving import clickhouse, postgres
from meterlake.serving.embedded import never_started
from meterlake.settings import Settings

PATIENCE_S = 20
NOT_PUBLISHED = (
    "The marts are not published yet; `meterlake publish --source NAME`, or a whole `meterlake run`, does it."
)
NEVER_STARTED = (
    "PostgreSQL and ClickHouse of this home were never started, so there is no mart to show; "
    "`meterlake run --source NAME --input PATH` starts and fills them."
)


def listed(settings: Settings, statement: str, **values: Any) -> list[dict[str, Any]]:
    """Rows of PostgreSQL. Values stand as `%(name)s` in the statement, marts as `marts.mart_suspects`.

    Raises:
        NothingYet: the mart was never published.
        Unreachable: the store does not answer.
    """
    _started(settings)
    with closing(postgres.connect(settings, "reader")) as opened:
        opened.set_session(readonly=True)
        with opened.cursor(cursor_factory=RealDictCursor) as run:
            try:
                run.execute("SET statement_timeout = %s", (PATIENCE_S * 1000,))
                run.execute(statement, values)
                return [dict(row) for row in run.fetchall()]
            except (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn):
                raise NothingYet(NOT_PUBLISHED) from None
            except psycopg2.OperationalError as error:
                raise Unreachable(f"PostgreSQL did not answer ({str(error).splitlines()[0]}); try again.") from None


def summed(settings: Settings, statement: str, **values: Any) -> pd.DataFrame:
    """A frame of ClickHouse. Values stand as `{name:String}` in the statement, marts by their name in its database.

    Raises:
        NothingYet: the mart was never published.
        Unreachable: the store does not answer.
    """
    _started(settings)
    with closing(clickhouse.connect(settings, "reader")) as client:
        client.database = settings.clickhouse.database
        try:
            found = client.query(statement, values, settings={"max_execution_time": PATIENCE_S})
            return pd.DataFrame(
                found.result_rows, columns=list(found.column_names)
            )  # `query_df` forgets an empty one's
        except ClickHouseError as error:
            if any(code in str(error) for code in ("UNKNOWN_TABLE", "UNKNOWN_IDENTIFIER")):
                raise NothingYet(NOT_PUBLISHED) from None
            raise Unreachable(f"ClickHouse did not answer ({str(error).splitlines()[0][:200]}); try again.") from None


def _started(settings: Settings) -> None:
    if never_started(settings):
        raise NothingYet(NEVER_STARTED)
