"""Late, repeated and corrected data, in any batches, killed anywhere: the same tables as one load of everything.

METERLAKE_ORDERS=20 tries that many random deliveries instead of one, which is killed after the commit of silver;
METERLAKE_SEED begins with another.
"""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.lake import VILLAGE, deliver, rows, written
from tests.recover.stories import contents, ledger_is_true, unlike

from meterlake.settings import Settings
from meterlake.tables.store import Store

SEED, ORDERS = int(os.environ.get("METERLAKE_SEED", "7")), int(os.environ.get("METERLAKE_ORDERS", "1"))
HOURLY = VILLAGE.model_copy(update={"interval_minutes": 60})
STEPS = ("ingest", "stage", "vee", "aggregate", "marts")
DAYS, FILES = 3, 4


class Killed(BaseException):
    """No handler of a step may swallow it."""


@contextmanager
def killed_at(write: int, after: bool) -> Iterator[None]:
    """In this block, the so-manieth write to the lake fails: before it, or when its commit is done already."""
    counted = iter(range(1, 1_000_000))

    def wrapped(original: Any) -> Any:
        def writes(*arguments: Any, **options: Any) -> Any:
            here = next(counted) == write
            if here and not after:
                raise Killed
            done = original(*arguments, **options)
            if here:
                raise Killed
            return done

        return writes

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_write", "append_files", "exchange", "upsert", "amend"):
            patch.setattr(Store, name, wrapped(getattr(Store, name)))
        with suppress(Killed):
            yield


def deliveries(rng: random.Random) -> list[list[str]]:
    """The lines of each file in the order of delivery: late days, repetitions, corrections, conflicts, errors."""
    first = datetime(2024, 1, 30)  # over the end of a month
    parts = [(meter, day) for meter in "abc" for day in range(DAYS)]
    rng.shuffle(parts)
    files: list[list[str]] = [[] for _ in range(FILES)]
    for number, (meter, day) in enumerate(parts):
        for hour in range(24):
            files[number % FILES].append(f"{meter},{first + timedelta(days=day, hours=hour)},{rng.randint(1, 40) / 10}")
    known: list[str] = []
    for file in files:
        for line in rng.sample(known, min(8, len(known))):
            corrected = f"{line.rsplit(',', 1)[0]},{rng.randint(41, 80) / 10}"
            file += rng.choice([[line], [corrected], [corrected, corrected], [line, corrected]])
        file += rng.choice([["a,x,1"], ["b,2024-01-30 00:10:00,1"], ["c,2024-01-31 00:00:00,-1"], []])
        known += file[:24]
    return files


def together(folder: Path, files: list[Path]) -> Path:
    folder.mkdir(parents=True)
    for file in files:
        shutil.copy(file, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEED, SEED + ORDERS))
def test_any_order_ends_as_one_load(spark: SparkSession, settings: Settings, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    files = [written(tmp_path / "all" / f"{n}.csv", *lines) for n, lines in enumerate(deliveries(rng))]
    deliver(spark, settings, tmp_path / "all", *STEPS, source=HOURLY)

    other = settings.model_copy(update={"home": tmp_path / "bit by bit"})
    cuts = sorted(rng.sample(range(1, FILES), 1 if ORDERS == 1 else rng.randint(1, 2)))
    for number, (begin, end) in enumerate(zip([0, *cuts], [*cuts, FILES], strict=True)):
        folder = together(tmp_path / f"batch-{number}", files[begin:end])
        if number == 1:
            with killed_at(rng.randint(1, 16), rng.random() < 0.5):
                deliver(spark, other, folder, *STEPS, source=HOURLY, run_id="batch-1.0")
        deliver(spark, other, folder, *STEPS, source=HOURLY, run_id=f"batch-{number}.1")

    assert unlike(contents(spark, other), contents(spark, settings)) == {}
    assert ledger_is_true(spark, other)
    current = {row.reading_id: row.consumption_kwh for row in rows(spark, other, "stg_meter_readings")}
    trail = sorted(
        rows(spark, other, "corrected_readings"), key=lambda row: (row.run_id, row.batch_id.startswith("vee:"))
    )
    last = {row.reading_id: row.after_kwh for row in trail}
    assert {reading: current.get(reading) for reading in last} == last, "the trail ends in what stands"
