"""Whether two homes hold the same rows, whatever run made them: `python -m tests.benchmarks.rows HOME OTHER ...`.

A table is told by its number of rows and by sums of xxhash64 over them: of whole rows, of whole rows read from the last
column to the first, and of each column alone, which says where a difference lies. A sum does not depend on the order of
rows. All columns count but those that tell of a run.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

# What differs between two runs of the same data.
OF_A_RUN = {"batch_id", "ingested_at", "run_id", "scored_at", "model_version", "source_file"}
# A table keeps its history (which delivery corrected which), so it may be another after a rebuild.
OF_A_HISTORY = {"meter_readings", "corrected_readings", "quarantined_readings"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--told", type=Path, required=True)
    given = parser.parse_args()
    given.told.write_text(json.dumps(compared(given.home, given.other), indent=1))
    return 0


def compared(home: Path, other: Path) -> dict[str, dict[str, Any]]:
    """Table -> `rows`, and the columns that differ between the two homes (`rows` itself may be one)."""
    from meterlake.session import spark_session
    from meterlake.settings import load
    from meterlake.tables.catalog import TABLES
    from meterlake.tables.store import Store

    lakes = [load(home=place) for place in (home, other)]
    spark = spark_session(lakes[0], "compare rows")
    found = {}
    for name, table in TABLES.items():
        if table.layer in ("silver", "gold") and name not in OF_A_HISTORY:
            columns = [column for column in table.names if column not in OF_A_RUN]
            first, second = (fingerprint(Store(spark, lake).read(table), columns) for lake in lakes)
            found[name] = {"rows": first["rows"], "differ": [what for what in first if first[what] != second[what]]}
    spark.stop()
    return found


def fingerprint(frame: Any, columns: list[str]) -> dict[str, Any]:
    """`rows`, `whole` and `turned` (sums over whole rows), and a sum for each column by its name."""
    from pyspark.sql import functions as F

    def total(*of: Any) -> Any:
        return F.sum(F.xxhash64(*of).cast("decimal(38,0)"))

    whole = total(*columns).alias("whole")
    turned = total(F.lit(1), *reversed(columns)).alias("turned")
    each = [total(F.lit(name), name).alias(name) for name in columns]
    row = frame.agg(F.count("*").alias("rows"), whole, turned, *each).head()
    return {name: int(value or 0) for name, value in row.asDict().items()}


if __name__ == "__main__":
    sys.exit(main())
