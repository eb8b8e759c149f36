"""One contender in a process of its own: `python -m tests.benchmarks.contender NAME run|prepare|result ...`."""

import argparse
import importlib
import json
import logging
import os
import sys
from pathlib import Path

from tests.benchmarks.agreement import TABLES, Ask, digest
from tests.benchmarks.job import Job

# Name -> module in contenders/.
CONTENDERS = {
    "meterlake": "ours",
    "textbook": "textbook_spark",
    "duckdb": "with_duckdb",
    "polars": "with_polars",
    "pandas": "with_pandas",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("action", choices=("run", "prepare", "result"))
    for name in ("input", "out", "model", "told"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--master", default="", help="Spark's master for meterlake (default: local threads)")
    parser.add_argument("--vee", action="store_true", help="meterlake also validates and estimates")
    parser.add_argument("--where", action="append", default=[], help="rows that a result is of; one result for each")
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("benchmark").setLevel(logging.INFO)
    logging.getLogger("meterlake").setLevel(logging.INFO)

    if hasattr(os, "sched_setaffinity"):  # what it starts, JVM and workers, stays on these cores, too
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    job = Job(given.input, given.out, given.model, given.threads, given.master, given.vee)
    given.out.mkdir(parents=True, exist_ok=True)
    module = importlib.import_module(f"tests.benchmarks.contenders.{CONTENDERS[given.name]}")
    if given.action == "result":
        ask = module.asking(job) if hasattr(module, "asking") else of_parquet(job.out)
        given.told.write_text(json.dumps([digest(ask, where) for where in given.where or ["true"]]))
    elif given.action == "run":
        module.run(job)
        job.tell(given.told)
    elif hasattr(module, "prepare"):
        module.prepare(job)
    return 0


def of_parquet(out: Path) -> Ask:
    """A way to ask about tables that lie as Parquet in folders of their names."""
    import duckdb

    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    for table in TABLES:
        con.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{out / table}/*.parquet')")
    return lambda query: con.execute(query).fetchone() or ()


if __name__ == "__main__":
    sys.exit(main())
