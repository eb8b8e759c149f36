"""Losses of a generated grid by the real steps: what the truth says, kept right when days come late."""

import csv
import shutil
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.conftest import settings_for
from tests.lake import deliver, rows, run_of

from meterlake.losses import step
from meterlake.serving.slices import Wanted
from meterlake.settings import Settings
from meterlake.sources.ami import AMI
from meterlake.sources.catalog import supply_sources
from meterlake.sources.generate import Rates, generate
from meterlake.sources.grid_supply import GRID_SUPPLY
from meterlake.tables.catalog import TABLES
from meterlake.tables.changes import Changes

STEPS = ("ingest", "stage", "aggregate", "marts")
HOURLY_AMI, HOURLY_SUPPLY = (source.model_copy(update={"interval_minutes": 60}) for source in (AMI, GRID_SUPPLY))
MARTS = ("mart_energy_balance", "mart_suspects", "loss_findings", "mart_region_kpis")


@pytest.fixture(scope="module")
def grid(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Settings]:
    """40 meters under two transformers, February and March. The supply of the last three days comes late."""
    folder = tmp_path_factory.mktemp("grid")
    rates = Rates(gap=0.001, anomaly=0.15)
    generate(
        spark,
        str(folder),
        meters=40,
        start=date(2023, 2, 1),
        days=59,
        interval_minutes=60,
        seed=6,
        rates=rates,
        supply_meters=True,
    )
    settings = settings_for(folder / "home")
    late = folder / "late"
    late.mkdir()
    for file in sorted((folder / "supply").iterdir())[-3:]:
        shutil.move(file, late / file.name)
    deliver(spark, settings, folder / "supply", *STEPS, source=HOURLY_SUPPLY)
    deliver(spark, settings, folder / "readings", *STEPS, source=HOURLY_AMI)
    return folder, settings


def test_losses_are_what_the_truth_says(spark: SparkSession, grid: tuple[Path, Settings]) -> None:
    folder, settings = grid
    truth = {
        (row["element"], row["day"]): row
        for file in folder.glob("truth/supply-*")
        for row in csv.DictReader(file.open())
    }
    balances = [row for row in rows(spark, settings, "mart_energy_balance") if row.level == "feeder"]
    balanced = [row for row in balances if row.status == "balanced"]
    assert len(balanced) > 80
    for row in balanced:
        true = truth[row.element, str(row.reading_date_local)]
        used, technical = float(true["used_kwh"]), float(true["technical_loss_kwh"])
        assert float(row.supplied_kwh) == pytest.approx(used + technical, rel=0.005)
        assert abs(float(row.technical_loss_kwh) - technical) < 0.03 * used
        metered = float(row.delivered_kwh + row.missing_kwh)
        assert float(row.non_technical_loss_kwh) == pytest.approx(used - metered, abs=0.035 * used)


def test_supply_that_comes_late_completes_the_balance_and_equals_a_rebuild(
    spark: SparkSession, grid: tuple[Path, Settings]
) -> None:
    folder, settings = grid
    before = {
        row.reading_date_local for row in rows(spark, settings, "mart_energy_balance") if row.status == "balanced"
    }
    assert date(2023, 3, 31) not in before
    deliver(spark, settings, folder / "late", *STEPS, source=HOURLY_SUPPLY)
    assert not run_of(spark, settings, HOURLY_AMI).changes("marts", TABLES["int_readings_daily"]).first
    deliver(spark, settings, folder / "readings", "marts", source=HOURLY_AMI)
    after = {name: rows(spark, settings, name) for name in MARTS}
    assert date(2023, 3, 31) in {
        row.reading_date_local for row in rows(spark, settings, "mart_energy_balance") if row.status == "balanced"
    }

    run = run_of(spark, settings, HOURLY_AMI)
    everything = run.store.changes(TABLES["int_readings_daily"], HOURLY_AMI.name, None)
    step.losses(run, everything, step.supply_changes(run))
    assert {name: rows(spark, settings, name) for name in MARTS} == after
    nothing = Changes(HOURLY_AMI.name, None, None, None)
    assert step.losses(run, nothing, nothing) == 0, "as when only scores are new"


def test_who_hides_energy_is_on_the_list(spark: SparkSession, grid: tuple[Path, Settings]) -> None:
    folder, settings = grid
    suspects = rows(spark, settings, "mart_suspects")
    assert {row.month_local for row in suspects} == {date(2023, 3, 1)}
    assert all(row.recoverable_kwh <= row.shortfall_kwh for row in suspects)
    worst = max(suspects, key=lambda row: row.recoverable_kwh)
    events = [row for row in csv.DictReader((folder / "truth/anomalies.csv").open()) if row["start"] >= "2023-03"]
    assert worst.meter_id in {row["meter_id"] for row in events}
    assert worst.balanced_by in worst.reason


def test_the_days_that_explain_the_loss_are_days_of_faults(spark: SparkSession, grid: tuple[Path, Settings]) -> None:
    folder, settings = grid
    events = [
        (row["meter_id"], date.fromisoformat(row["start"][:10]), date.fromisoformat(row["end"][:10]))
        for row in csv.DictReader((folder / "truth/anomalies.csv").open())
    ]
    named = rows(spark, settings, "loss_findings")
    right = [
        row
        for row in named
        if any(row.meter_id == meter and first <= row.reading_date_local <= last for meter, first, last in events)
    ]
    assert len(named) >= 10
    assert len({row.form for row in named}) >= 3
    assert right == named
    assert all(row.probability > 0.9 and row.region and row.feeder for row in named)


def test_supply_meters_do_not_stand_beside_customers_in_the_stores(
    spark: SparkSession, grid: tuple[Path, Settings]
) -> None:
    _, settings = grid
    run = run_of(spark, settings, HOURLY_AMI)
    mart = TABLES["mart_consumption_metrics"]
    frame, files = run.store.read(mart), run.store.scan(mart)
    assert files
    wanted = Wanted(mart, without=tuple(supply_sources(settings)))
    in_lake, served = (
        {row.source for row in each.select("source").distinct().collect()} for each in (frame, frame.where(wanted.sql))
    )
    of_files = {name for batch in wanted.of_files(files).here(["source"]) for name in batch["source"].to_pylist()}
    assert in_lake == {"ami", "grid_supply"}
    assert served == of_files == {"ami"}


def test_bands_add_up_to_the_month_on_every_level(spark: SparkSession, grid: tuple[Path, Settings]) -> None:
    _, settings = grid
    monthly = [row for row in rows(spark, settings, "int_readings_monthly") if row.source == "ami"]
    factors = [row for row in rows(spark, settings, "mart_load_factors") if row.source == "ami"]
    for month in (date(2023, 2, 1), date(2023, 3, 1)):
        used = sum(row.consumption_kwh for row in monthly if row.month_local == month)
        of_month = [row for row in factors if row.month_local == month]
        for level in ("source", "region", "feeder"):
            whole, bands = [], []
            for row in of_month:
                if row.level == level:
                    (whole if row.band == "all" else bands).append(float(row.energy_kwh))
            assert sum(whole) == pytest.approx(used, abs=0.01)
            assert sum(bands) == pytest.approx(used, abs=0.01)
        assert {row.band for row in of_month} == {"all", "peak", "shoulder", "off_peak"}
        assert all(0 < row.load_factor <= 1 and row.capacity_kw <= row.peak_load_kw for row in of_month)


def test_weekly_profiles_hold_the_energy_of_their_months(spark: SparkSession, grid: tuple[Path, Settings]) -> None:
    _, settings = grid
    used: dict[date, float] = {}
    for row in rows(spark, settings, "int_readings_monthly"):
        used[row.month_local] = used.get(row.month_local, 0.0) + (row.consumption_kwh if row.source == "ami" else 0.0)
    cells = [row for row in rows(spark, settings, "mart_weekly_load_profile") if row.source == "ami"]
    for month, kwh in used.items():
        assert float(sum(row.energy_kwh for row in cells if row.month_local == month)) == pytest.approx(kwh, abs=0.1)
    assert {(row.weekday, row.hour_of_day) for row in cells} == {
        (day, hour) for day in range(1, 8) for hour in range(24)
    }


@pytest.mark.parametrize(
    "mart", ["mart_energy_balance", "mart_region_kpis", "mart_load_factors", "mart_weekly_load_profile"]
)
def test_changed_days_are_found_whatever_a_row_is_about(
    spark: SparkSession, grid: tuple[Path, Settings], mart: str
) -> None:
    """Publication asks each mart; since its first version, which is empty, every row is new."""
    found = run_of(spark, grid[1]).store.changes(TABLES[mart], HOURLY_AMI.name, 0)
    assert (found.first, found.everything) == (date(2023, 2, 1), False)
