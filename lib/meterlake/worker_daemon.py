"""Spark's Python daemon, of which workers are forked, with the libraries of our passes already imported.

A worker ends after a minute without work, and the next one imports them all again: 2 CPU seconds for what scores.
"""

from contextlib import suppress
from importlib import import_module

from pyspark.daemon import manager

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
