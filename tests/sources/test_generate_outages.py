"""Outages that the generator makes: what meters then record and what the grid takes in, by the truth it writes."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from meterlake.errors import UsageError
from meterlake.sources import generate_outages as outages
from meterlake.sources import generate_supply as supply
from meterlake.sources.generate_load import population
from meterlake.sources.generate_plan import Plan, Rates
from meterlake.sources.generate_shapes import Block, block
from meterlake.sources.generate_truth import outage_table

PLAN = Plan("", meters=200, start=date(2024, 3, 4), days=3, seed=2, rates=Rates(anomaly=0.0, outage=0.1))
METERS = np.arange(PLAN.meters)


def made(day: int, rate: float = PLAN.rates.outage) -> Block:
    when = np.full(PLAN.meters, PLAN.first_day + day)
    return block(PLAN.seed, 0.0, METERS, when, PLAN.interval_minutes, outage_rate=rate)


@pytest.mark.parametrize("day", range(PLAN.days))
def test_what_is_dark_is_what_the_truth_says(day: int) -> None:
    """Minute by minute, for each meter by its feeder, its transformer and itself."""
    meters = population(PLAN.seed, METERS)
    rows = outage_table(PLAN).to_pylist()
    midnight = np.datetime64(PLAN.first_day + day, "D")
    minute = midnight + np.arange(outages.DAY).astype("timedelta64[m]")
    out = np.zeros((PLAN.meters, outages.DAY), dtype=bool)
    for row in rows:
        number = int(row["element"][1:])
        at = (minute >= np.datetime64(row["start"])) & (minute < np.datetime64(row["end"]))
        of = {"feeder": meters.feeder, "transformer": meters.transformer, "meter": meters.number}[row["level"]]
        out[of == number] |= at
    share = out.reshape(PLAN.meters, -1, PLAN.interval_minutes).mean(axis=2)
    lit, faulty = made(day, 0.0), made(day)
    assert 0 < (share == 1).sum() < share.size / 4
    assert np.array_equal(faulty.kwh == 0, share == 1), "a whole interval without power reads zero at 0 V"
    assert np.array_equal(faulty.volts == 0, share == 1)
    untouched = share == 0
    assert np.array_equal(faulty.kwh[untouched], lit.kwh[untouched])
    one_outage = (share > 0) & (share < 1)
    assert (faulty.kwh[one_outage] < lit.kwh[one_outage]).all()


def test_some_goes_on_past_midnight_and_is_given_whole() -> None:
    rows = outage_table(PLAN).to_pylist()
    assert any(row["start"][:10] < row["end"][:10] for row in rows)
    assert {row["level"] for row in rows} == {"feeder", "transformer", "meter"}


def test_the_grid_takes_in_nothing_for_who_is_dark() -> None:
    meters, day = population(PLAN.seed, METERS), np.full(PLAN.meters, PLAN.first_day)
    assert supply.really_used(PLAN, meters, day) == pytest.approx(made(0).kwh)


def test_some_meters_say_nothing_and_the_others_zero() -> None:
    day = np.full(PLAN.meters, PLAN.first_day)
    silent = outages.silent(PLAN.seed, PLAN.rates.outage, METERS, day, PLAN.interval_minutes)
    dark = made(0).kwh == 0
    assert not (silent & ~dark).any()
    assert 0.2 < silent.sum() / dark.sum() < 0.6


def test_none_are_made_unless_asked_for_nor_where_there_is_no_feeder() -> None:
    assert outage_table(replace(PLAN, rates=Rates())).num_rows == 0
    with pytest.raises(UsageError, match="has no outages; choose ami"):
        Plan("", shape_name="smart_meter", rates=Rates(outage=0.1))
