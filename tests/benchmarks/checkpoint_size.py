"""What a file costs in a checkpoint of Delta's log: `python -m tests.benchmarks.checkpoint_size HOME --told FILE`.

A table with the columns and statistics of `stg_meter_readings` gets one file, then many; the difference of the two
checkpoints is what the many cost.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks.layout_model import Checkpoint

MANY = 256


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("--told", type=Path, required=True)
    given = parser.parse_args()
    given.told.write_text(json.dumps(asdict(measured(given.home))))
    return 0


def measured(home: Path) -> Checkpoint:
    from meterlake.session import spark_session
    from meterlake.settings import load
    from meterlake.tables.stg_meter_readings import STG_METER_READINGS
    from meterlake.tables.store import Store

    settings = load(home=home)
    store = Store(spark_session(settings, "size of a checkpoint"), settings)
    one = _size(store, STG_METER_READINGS, 1)
    many = _size(store, STG_METER_READINGS, MANY)
    store.spark.stop()
    line = (many - one) / MANY
    return Checkpoint(fixed_bytes=one - line, line_bytes=line)


def _size(store: Any, table: Any, files: int) -> int:
    """Bytes of the checkpoint after so many files more were appended."""
    from pyspark.sql import functions as F

    from meterlake.tables import upkeep
    from meterlake.tuning.commits import LOG

    given = {
        "source": F.lit("ami"),
        "meter_id": F.concat(F.lit("M"), F.col("id")),
        "reading_timestamp": F.current_timestamp(),
        "reading_date_local": F.current_date(),
        "quality": F.lit("measured"),
    }
    columns = [
        given.get(column.name, F.lit("0" if column.required else None).cast(column.type)).alias(column.name)
        for column in table.columns
    ]
    store.append(store.spark.range(0, files, 1, files).select(columns), table)
    upkeep.checkpoint(store, table)
    log = Path(store.path(table)) / LOG
    return max(log.glob("*.checkpoint*.parquet")).stat().st_size


if __name__ == "__main__":
    sys.exit(main())
