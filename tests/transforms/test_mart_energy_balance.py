"""Energy in against energy out, on days worked out by hand."""

from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import Row, SparkSession
from tests.lake import row_of

from meterlake.sources.source import Columns, Losses, Source, TechnicalLoss
from meterlake.tables.int_readings_daily import INT_READINGS_DAILY
from meterlake.tables.int_readings_hourly import INT_READINGS_HOURLY
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import mart_energy_balance

# Fixed loss 1 % and load loss 2 % of the mean supply at transformers, 1 % and 3 % at feeders.
TOWN = Source(
    name="town",
    description="two transformers on a feeder, one on another",
    interval_minutes=60,
    columns=Columns(meter_id="meter", timestamp="at", value="kwh"),
    losses=Losses(
        supply_source="heads",
        transformer=TechnicalLoss(fixed_share=0.01, i2r_share=0.02),
        feeder=TechnicalLoss(fixed_share=0.01, i2r_share=0.03),
    ),
)
MONDAY, TUESDAY = date(2024, 6, 3), date(2024, 6, 4)
PLACES = {
    "a": ("north", "f1", "t1"),
    "b": ("north", "f1", "t1"),
    "c": ("north", "f1", "t2"),
    "d": ("north", "f2", "t3"),
}
HEADS = {"head of t1": ("north", "f1", "t1"), "head of t2": ("north", "f1", "t2"), "head of f2": ("north", "f2", None)}


@pytest.fixture(scope="module")
def balances(spark: SparkSession) -> dict[tuple[str, date], Row]:
    """Monday: t1 takes in 24 kWh by an even load, t2 48 by an uneven one, f2 60; a, b, c, d read 10, 12, 40, 50.

    Tuesday: the same, but half of b and all of the head of t2 is unknown.
    """
    days = {(meter, day): kwh for day in (MONDAY, TUESDAY) for meter, kwh in zip("abcd", (10, 12, 40, 50), strict=True)}
    days |= {(head, day): kwh for day in (MONDAY, TUESDAY) for head, kwh in zip(HEADS, (24, 48, 60), strict=True)}
    del days["head of t2", TUESDAY]
    days["b", TUESDAY] = 6
    daily = [
        row_of(
            INT_READINGS_DAILY,
            **of(meter),
            reading_date_local=day,
            consumption_kwh=float(kwh),
            completeness=0.5 if (meter, day) == ("b", TUESDAY) else 1.0,
        )
        for (meter, day), kwh in days.items()
    ]
    # t2 has its 48 kWh in twelve of the hours: its squared form factor is 2.
    hourly = [
        row_of(
            INT_READINGS_HOURLY,
            **of(head),
            reading_date_local=day,
            hour_start=datetime(day.year, day.month, day.day) + timedelta(hours=hour),
            consumption_kwh=kwh / 24 if head != "head of t2" else (kwh / 12 if hour < 12 else 0.0),
        )
        for (head, day), kwh in days.items()
        if head in HEADS
        for hour in range(24)
    ]
    monthly = [row_of(INT_READINGS_MONTHLY, **of(meter), month_local=date(2024, 6, 1)) for meter in (*PLACES, *HEADS)]
    meters = [
        row_of(STG_METERS, **of(meter), **dict(zip(("region", "feeder", "transformer"), place, strict=True)))
        for meter, place in (PLACES | HEADS).items()
    ]
    frames = [
        spark.createDataFrame(rows, table.schema)
        for rows, table in (
            (hourly, INT_READINGS_HOURLY),
            (daily, INT_READINGS_DAILY),
            (monthly, INT_READINGS_MONTHLY),
            (meters, STG_METERS),
        )
    ]
    own = mart_energy_balance.build(*frames, TOWN)
    return {(row.element, row.reading_date_local): row for row in mart_energy_balance.rolled_up(own, TOWN).collect()}


def of(meter: str) -> dict[str, str]:
    return {"source": "heads" if meter in HEADS else "town", "meter_id": meter}


def test_an_even_load(balances: dict[tuple[str, date], Row]) -> None:
    t1 = balances["t1", MONDAY]
    assert (t1.status, t1.customers, t1.coverage) == ("balanced", 2, 1.0)
    assert (t1.supplied_kwh, t1.delivered_kwh, t1.missing_kwh) == (24, 22, 0)
    assert t1.technical_loss_kwh == pytest.approx(0.03 * 24)
    assert t1.non_technical_loss_kwh == pytest.approx(24 - 22 - 0.72)
    assert t1.loss_share == pytest.approx(2 / 24)


def test_an_uneven_load_loses_more_in_the_lines(balances: dict[tuple[str, date], Row]) -> None:
    assert balances["t2", MONDAY].technical_loss_kwh == pytest.approx(0.01 * 48 + 0.02 * 48 * 2)


def test_a_feeder_without_a_supply_meter_is_the_sum_of_its_transformers(balances: dict[tuple[str, date], Row]) -> None:
    f1 = balances["f1", MONDAY]
    assert (f1.status, f1.supplied_kwh, f1.delivered_kwh, f1.customers) == ("balanced", 72, 62, 3)
    assert f1.technical_loss_kwh == pytest.approx(0.72 + 2.4)


def test_a_feeder_with_one_is_balanced_by_it_and_its_transformer_is_not(balances: dict[tuple[str, date], Row]) -> None:
    assert balances["f2", MONDAY].technical_loss_kwh == pytest.approx(0.04 * 60)
    t3 = balances["t3", MONDAY]
    assert (t3.status, t3.delivered_kwh, t3.supplied_kwh) == ("no_supply_meter", 50, None)
    assert t3.non_technical_loss_kwh is None


def test_a_region_is_the_sum_of_its_feeders(balances: dict[tuple[str, date], Row]) -> None:
    north = balances["north", MONDAY]
    assert (north.status, north.supplied_kwh, north.delivered_kwh, north.feeder) == ("balanced", 132, 112, None)
    parts = [balances[name, MONDAY] for name in ("f1", "f2")]
    assert north.non_technical_loss_kwh == pytest.approx(sum(part.non_technical_loss_kwh for part in parts))


def test_a_day_of_which_too_little_is_known_has_no_losses(balances: dict[tuple[str, date], Row]) -> None:
    t1, t2 = balances["t1", TUESDAY], balances["t2", TUESDAY]
    assert (t1.status, t1.coverage, t1.loss_share) == ("coverage_below_floor", 0.75, None)
    assert (t1.non_technical_loss_kwh, t1.technical_loss_kwh, t1.missing_kwh) == (None, None, None)
    assert (t1.supplied_kwh, t1.delivered_kwh) == (24, 16)
    assert (t2.status, t2.delivered_kwh) == ("no_supply_meter", 40)


def test_above_them_too_little_is_known_then_too(balances: dict[tuple[str, date], Row]) -> None:
    assert balances["f1", TUESDAY].status == "no_supply_meter"
    north = balances["north", TUESDAY]
    assert (north.status, north.coverage) == ("coverage_below_floor", 0.25)
