"""The dashboards' queries on ClickHouse and on PostgreSQL: the same rows, the same answers, how many times as fast.

    make bench-stores [SIZE=full|quick|meters=N,days=M] [PAGE=docs/dashboards.md]

Every query of every Superset chart (charts.py), asked in turn of both real servers as their readers: as the dashboards
open, for one month of one region, and for one meter. A ratio is of the fastest of REPEATS answers each, as other work
on the machine only ever adds time. An answer that differs ends the run. Then so many users at once open all charts on
ClickHouse.
"""

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from decimal import Decimal
from itertools import chain
from typing import Any

from tests.benchmarks import asked, store_rows
from tests.benchmarks.agreement import Disagreement
from tests.benchmarks.charts import Question, View, questions

from meterlake import generated_block
from meterlake.serving import clickhouse, embedded, postgres
from meterlake.settings import Settings, load
from meterlake.text_tables import Lines, as_markdown, as_text

REPEATS, MOST_SECONDS = 7, 20.0
USERS = 5
TARGET_RATIO, TARGET_SECONDS = 10, 2.0
# Numbers that are sums of doubles depend on the order of the rows.
RELATIVE = 1e-9
OPENED = View("as it opens")
VIEWS = (
    OPENED,
    View("a month of a region", {"region": "region-1"}, (date(2023, 12, 1), date(2024, 1, 1))),
    View("a meter", {"meter_id": "meter-00003"}),
)
Rows = list[tuple[Any, ...]]
Ask = Callable[[str], Rows]


class AnswersDiffer(Disagreement):
    """The stores answered a chart's query otherwise."""

    def __init__(self, chart: str, row: Any, in_clickhouse: Any, in_postgres: Any) -> None:
        Exception.__init__(
            self, f"{chart}: {row} is {in_clickhouse} in ClickHouse and {in_postgres} in PostgreSQL; see charts.py."
        )


def run(given: argparse.Namespace) -> None:
    workload = store_rows.hourly(given.size)
    settings = home(given, workload)
    with embedded.stores(settings):
        store_rows.fill(workload, settings)
        sizes, load_before = store_rows.sizes(settings), os.getloadavg()[0]
        views = {view.name: compare(view, settings) for view in VIEWS}
        users = together(given.users, settings)
    found = {"sizes": sizes, "views": views, "users": users, "load": load_before}
    place = asked.keep(found, "stores", workload, given)
    told = page(found, workload)
    print("\n\n".join(part if isinstance(part, str) else as_text(part) for part in told))
    text = "\n\n".join(part if isinstance(part, str) else as_markdown(part) for part in told)
    generated_block.write(given.page, "stores", text)
    print(place)


def home(given: argparse.Namespace, workload: store_rows.Hourly) -> Settings:
    """A home of the benchmark's own; kept, as filling it takes longer than asking."""
    folder = asked.bench_folder(given) / f"stores-{workload.name}"
    folder.mkdir(parents=True, exist_ok=True)
    return load(home=folder)


def compare(view: View, settings: Settings) -> dict[str, dict[str, Any]]:
    """Of each query: seconds in either store, and in ClickHouse without the sums that it keeps; rows of the answer.

    Raises:
        AnswersDiffer: the stores do not say the same.
    """
    print(f"asking both stores: {view.name} ...", flush=True)
    client, opened = clickhouse.connect(settings, "reader"), postgres.connect(settings, "reader")
    opened.autocommit = True
    with opened.cursor() as cursor:

        def in_clickhouse(statement: str) -> Rows:
            return [tuple(row) for row in client.query(statement).result_rows]

        def of_all_rows(statement: str) -> Rows:
            return list(client.query(statement, settings={"optimize_use_projections": 0}).result_rows)

        def in_postgres(statement: str) -> Rows:
            cursor.execute(statement)
            return list(cursor.fetchall())

        asks = {"clickhouse": in_clickhouse, "all rows": of_all_rows, "postgres": in_postgres}
        found = {each.chart: _measured(each, asks) for each in questions(view)}
    opened.close()
    client.close()
    return found


def _measured(each: Question, asks: dict[str, Ask]) -> dict[str, Any]:
    """The first answers are compared and not timed. Of two answers in a row the second counts: the first one finds the
    processor's caches full of what another store has just read, which nobody's dashboard does.
    """
    statements = {store: each.postgres if store == "postgres" else each.clickhouse for store in asks}
    rows = asks["clickhouse"](each.clickhouse)
    same(each, rows, asks["postgres"](each.postgres))
    taken: dict[str, list[float]] = {store: [] for store in asks}
    began = time.monotonic()
    while len(taken["postgres"]) < REPEATS and time.monotonic() - began < MOST_SECONDS:
        for store, ask in asks.items():
            ask(statements[store])
            taken[store].append(_seconds(ask, statements[store]))
    return {"dataset": each.dataset, "rows": len(rows)} | taken


def _seconds(ask: Ask, statement: str) -> float:
    started = time.monotonic()
    ask(statement)
    return time.monotonic() - started


def same(each: Question, left: Rows, right: Rows) -> None:
    """
    Raises:
        AnswersDiffer: another row, or another number in one.
    """
    if len(left) != len(right):
        raise AnswersDiffer(each.chart, "the number of rows", len(left), len(right))
    answers = [
        {tuple(map(_plain, row[: each.dimensions])): row[each.dimensions :] for row in rows} for rows in (left, right)
    ]
    for key, numbers in answers[0].items():
        other = answers[1].get(key)
        if other is None or not all(map(_close, numbers, other)):
            raise AnswersDiffer(each.chart, key, numbers, other)


def _plain(value: Any) -> str:
    """What tells rows apart, as text: a day that one store calls a time, a time with its zone and one without."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day).isoformat()
    return f"{float(value):.12g}" if isinstance(value, (int, float, Decimal)) else str(value)


def _close(left: Any, right: Any) -> bool:
    if left is None or right is None:
        return left is right
    return math.isclose(float(left), float(right), rel_tol=RELATIVE, abs_tol=1e-12)


def together(users: int, settings: Settings) -> dict[str, Any]:
    """Seconds of each query when so many users open all charts at once on ClickHouse; each begins at another chart."""
    charts = list(questions(OPENED))

    def user(number: int) -> list[tuple[str, float]]:
        client = clickhouse.connect(settings, "reader")
        first = number * len(charts) // users
        own = [*charts[first:], *charts[:first]]

        def ask(statement: str) -> Rows:
            return list(client.query(statement).result_rows)

        taken = [(each.chart, _seconds(ask, each.clickhouse)) for each in own]
        client.close()
        return taken

    with ThreadPoolExecutor(users) as pool:
        answers = list(chain.from_iterable(pool.map(user, range(users))))
    seconds = sorted(taken for _, taken in answers)
    p50, p95 = (statistics.quantiles(seconds, n=20)[place] for place in (9, 18))
    slowest, longest = max(answers, key=lambda answer: answer[1])
    return {"users": users, "answers": len(seconds), "p50": p50, "p95": p95, "max": longest, "slowest": slowest}


def ratio(measured: dict[str, Any]) -> float:
    return float(min(measured["postgres"]) / min(measured["clickhouse"]))


def page(found: dict[str, Any], workload: store_rows.Hourly) -> list[str | Lines]:
    """What the run found, in sentences and tables."""
    views, users = found["views"], found["users"]
    medians = {name: statistics.median(map(ratio, charts.values())) for name, charts in views.items()}
    head = (
        "chart",
        "dataset",
        "ClickHouse ms",
        "without kept sums",
        "PostgreSQL ms",
        "ratio",
        *(f"ratio, {name}" for name in list(views)[1:]),
    )
    charts = [
        (
            chart,
            one["dataset"],
            *(f"{1000 * min(one[store]):,.1f}" for store in ("clickhouse", "all rows", "postgres")),
            *(f"{ratio(charts[chart]):,.1f}" if chart in charts else "" for charts in views.values()),
        )
        for chart, one in sorted(views[OPENED.name].items(), key=lambda item: -ratio(item[1]))
    ]
    total = ("median", "", "", "", "", *(f"{median:,.1f}" for median in medians.values()))
    stores: Lines = [("mart", "rows", "MiB in ClickHouse", "MiB in PostgreSQL")]
    stores += [
        (name, f"{one['rows']:,}", *(f"{one[store] / 2**20:,.1f}" for store in ("clickhouse", "postgres")))
        for name, one in found["sizes"].items()
    ]
    slow = {name: max(min(one["clickhouse"]) for one in charts.values()) for name, charts in views.items()}
    all_rows = statistics.median(min(one["postgres"]) / min(one["all rows"]) for one in views[OPENED.name].values())
    reached = medians[OPENED.name] >= TARGET_RATIO
    quick = users["max"] < TARGET_SECONDS
    return [
        f"`make bench-stores SIZE=meters={workload.meters},days={workload.days}`, {date.today()}: "
        f"{workload.readings:,} hours, load {found['load']:.0f} on {os.cpu_count()} cores. In the median of the "
        f"{len(charts)} queries ClickHouse answers {medians[OPENED.name]:.1f} times as fast as PostgreSQL; the target "
        f"of {TARGET_RATIO} is {'met' if reached else 'missed'}. Without the sums that ClickHouse keeps it is "
        f"{all_rows:.1f} times. All answers are equal.",
        f"{users['users']} users at once on ClickHouse, {users['answers']} answers: p50 {users['p50']:.2f} s, "
        f"p95 {users['p95']:.2f} s, slowest {users['max']:.2f} s ({users['slowest']}); the target of "
        f"{TARGET_SECONDS:.0f} s is {'met' if quick else 'missed'}.",
        "The slowest chart takes ClickHouse "
        f"{', '.join(f'{1000 * taken:,.0f} ms ({name})' for name, taken in slow.items())}.",
        [head, *charts, total],
        stores,
    ]


def main() -> int:
    parser = asked.parser(__doc__, "full")
    parser.add_argument("--users", type=int, default=USERS, help="at once on ClickHouse (default %(default)s)")
    generated_block.add_argument(parser)
    parser.set_defaults(kind="stores")
    return asked.ending(run, parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
