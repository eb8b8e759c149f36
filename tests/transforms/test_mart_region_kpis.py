"""What a region took in, billed and lost, on two months worked out by hand."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from pyspark.sql import Row, SparkSession
from tests.lake import row_of

from meterlake.sources.source import Columns, Losses, Source
from meterlake.tables.int_readings_monthly import INT_READINGS_MONTHLY
from meterlake.tables.mart_energy_balance import MART_ENERGY_BALANCE
from meterlake.tables.stg_meters import STG_METERS
from meterlake.transforms import mart_region_kpis

JUNE, JULY = date(2024, 6, 1), date(2024, 7, 1)


def town(**losses: Any) -> Source:
    columns = Columns(meter_id="meter", timestamp="at", value="kwh")
    of = Losses(supply_source="heads", **losses)
    return Source(name="town", description="a region of three meters", interval_minutes=60, columns=columns, losses=of)


def balance(day: date, level: str = "region", **energies: int) -> tuple[Any, ...]:
    names = ("supplied_kwh", "delivered_kwh", "missing_kwh", "technical_loss_kwh", "non_technical_loss_kwh")
    told = {name: Decimal(energies[name]) for name in names if name in energies}
    status = "balanced" if "supplied_kwh" in energies else "supply_incomplete"
    return row_of(MART_ENERGY_BALANCE, level=level, element="north", reading_date_local=day, status=status, **told)


def kpis(spark: SparkSession, source: Source) -> dict[date, Row]:
    """June: 100 in, 70 + 5 out on the 1st, 120 and 100 on the 2nd, unknown on the 3rd; July unknown."""
    first = {"supplied_kwh": 100, "delivered_kwh": 70, "missing_kwh": 5}
    second = {"supplied_kwh": 120, "delivered_kwh": 100, "missing_kwh": 0}
    balances = [
        balance(date(2024, 6, 1), **first, technical_loss_kwh=10, non_technical_loss_kwh=15),
        balance(date(2024, 6, 1), "feeder", **first),
        balance(date(2024, 6, 2), **second, technical_loss_kwh=8, non_technical_loss_kwh=12),
        balance(date(2024, 6, 3), delivered_kwh=60),
        balance(date(2024, 7, 1), delivered_kwh=50),
    ]
    counts = {"a": 60, "b": 12, "c": 0}
    monthly = [
        row_of(INT_READINGS_MONTHLY, meter_id=meter, month_local=JUNE, reading_count=known, expected_count=72)
        for meter, known in counts.items()
    ]
    meters = [row_of(STG_METERS, meter_id=meter, region="north") for meter in counts]
    meters.append(row_of(STG_METERS, meter_id="nobody knows where"))
    frames = [
        spark.createDataFrame(rows, table.schema)
        for rows, table in ((balances, MART_ENERGY_BALANCE), (monthly, INT_READINGS_MONTHLY), (meters, STG_METERS))
    ]
    return {row.month_local: row for row in mart_region_kpis.build(*frames, source).collect()}


def test_a_region_in_energy_and_money(spark: SparkSession) -> None:
    found = kpis(spark, town(energy_price=0.2, currency="KES"))
    june, july = found[JUNE], found[JULY]
    assert (june.region, june.days, june.days_balanced) == ("north", 3, 2)
    assert (june.delivered_kwh, june.billed_kwh, june.missing_kwh) == (220, 170, 5)
    assert (june.technical_loss_kwh, june.non_technical_loss_kwh) == (18, 27)
    assert june.loss_share == pytest.approx(45 / 220)
    assert (june.non_technical_loss_cost, june.currency) == (pytest.approx(5.4), "KES")
    assert (june.meters, june.meters_online, june.completeness) == (3, 2, 0.5)
    assert (july.days_balanced, july.delivered_kwh, july.loss_share, july.meters_online) == (0, None, None, 0)


def test_without_a_price_nothing_is_told_in_money(spark: SparkSession) -> None:
    june = kpis(spark, town())[JUNE]
    assert (june.non_technical_loss_kwh, june.non_technical_loss_cost, june.currency) == (27, None, None)


def test_a_price_needs_a_currency() -> None:
    with pytest.raises(ValueError, match="declare both, or none"):
        town(energy_price=0.2)
