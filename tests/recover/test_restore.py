"""Tables that a bug spoilt are made what they were; what came in since, and what depends on them, is computed again."""

import shutil
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.lake import deliver, rows
from tests.recover.stories import WATT_HOURS, contents, ledger_is_true, unlike, village_day

from meterlake.errors import UsageError
from meterlake.recover.restore import restore
from meterlake.settings import Settings
from meterlake.tables.catalog import TABLES
from meterlake.tables.store import Store

WHY = ("a bug in staging", "Ann")


def test_given_spoilt_readings_when_restored_then_later_batches_come_again(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    first, second = village_day(tmp_path / "in", 1), village_day(tmp_path / "in", 2, "a,2024-01-01 00:00:00,99")
    steps = ("ingest", "stage", "vee", "aggregate")
    deliver(spark, settings, first, *steps, source=WATT_HOURS, run_id="one")
    store = Store(spark, settings)
    good = store.version(TABLES["stg_meter_readings"])
    deliver(spark, settings, second, *steps, run_id="two")  # as kWh: this is the bug

    undid = restore(store, "stg_meter_readings", WHY, good, None)
    assert [row.userMetadata for row in undid.undone] == ["staged two"]
    assert undid.rows == {"village": (192, 96)}
    assert undid.batches == [("village", "two")]
    deliver(spark, settings, second, *steps, source=WATT_HOURS)

    other = settings.model_copy(update={"home": tmp_path / "undisturbed"})
    deliver(spark, other, tmp_path / "in", *steps, source=WATT_HOURS)
    assert unlike(contents(spark, settings), contents(spark, other)) == {}
    assert ledger_is_true(spark, settings)

    daily = TABLES["int_readings_daily"]
    before, wanted = store.version(daily), rows(spark, settings, daily.name)
    spark.sql(f"DELETE FROM delta.`{store.path(daily)}` WHERE meter_id = 'a'")
    spoilt = restore(store, daily.name, WHY, before, None)
    assert spoilt.rows == {"village": (2, 4)}
    assert spoilt.steps == [("aggregate", "village")]
    assert rows(spark, settings, daily.name) == wanted
    again = deliver(spark, settings, second, "aggregate", source=WATT_HOURS)["aggregate"]
    assert rows(spark, settings, daily.name) == wanted
    assert again.nothing_new, "nothing came in since that version"
    assert [row.kind for row in rows(spark, settings, "recoveries")] == ["restore", "restore"]


def test_a_copy_of_a_home_goes_on_where_the_home_was(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    """A backup: the folder, copied while no run holds it, and the home lost afterwards."""
    first, second = village_day(tmp_path / "in", 1), village_day(tmp_path / "in", 2)
    steps = ("ingest", "stage", "vee", "aggregate")
    deliver(spark, settings, first, *steps, source=WATT_HOURS)
    before = contents(spark, settings)
    copy = settings.model_copy(update={"home": tmp_path / "copy"})
    shutil.copytree(settings.home, copy.home)
    shutil.rmtree(settings.home)

    assert unlike(contents(spark, copy), before) == {}
    again = deliver(spark, copy, first, *steps, source=WATT_HOURS)
    assert [name for name, outcome in again.items() if not outcome.nothing_new] == []
    deliver(spark, copy, second, *steps, source=WATT_HOURS)

    other = settings.model_copy(update={"home": tmp_path / "undisturbed"})
    deliver(spark, other, tmp_path / "in", *steps, source=WATT_HOURS)
    assert unlike(contents(spark, copy), contents(spark, other)) == {}
    assert ledger_is_true(spark, copy)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        pytest.param("meterings", "No table is called 'meterings'", id="unknown"),
        pytest.param("quarantined_readings", "is not restored by itself", id="counted_by_the_ledger"),
        pytest.param("mart_load_profile", "does not exist yet", id="not_there"),
    ],
)
def test_what_cannot_be_restored_is_told(spark: SparkSession, settings: Settings, table: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        restore(Store(spark, settings), table, WHY, 0, None)
