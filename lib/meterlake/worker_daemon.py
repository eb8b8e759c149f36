"""Spark's Python daemon, of which workers are forked, with the libraries of our passes already imported.

A worker ends after a minute without work, and the next one imports them all again: 2 CPU seconds for what scores.

Spark puts archives of pyspark and py4j first on the path, although both are installed: nothing from an archive is kept
compiled, and before each task Python reads anew what is in it.
"""

import re
import sys
from contextlib import suppress
from importlib import import_module

sys.path[:] = [path for path in sys.path if not re.search(r"/py(spark|4j)[^/]*\.zip$", path)]

from pyspark.daemon import manager  # noqa: E402

PASSES = (
    "meterlake.anomaly.score",
    "meterlake.quality.reading_blocks",
    "meterlake.quality.survey_pass",
    "meterlake.sources.load_plain",
    "meterlake.transforms.int_consumption_features",
    "meterlake.transforms.plain_days",
    "meterlake.transforms.plain_hours",
    "meterlake.transforms.plain_readings",
    "meterlake.vee.judge",
)

if __name__ == "__main__":
    for name in PASSES:
        with suppress(ImportError):  # a worker that needs it meets the same error, and tells it
            import_module(name)
    manager()
