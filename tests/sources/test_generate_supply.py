"""What the supply meters read is what the customers used, stolen or not, and what the grid lost."""

import csv
import io
from datetime import date

import numpy as np
import pytest

from meterlake.errors import UsageError
from meterlake.sources import generate_supply as supply
from meterlake.sources.generate_anomalies import KINDS
from meterlake.sources.generate_plan import Plan, Rates
from meterlake.sources.generate_shapes import block

PLAN = Plan("", meters=450, start=date(2024, 3, 4), days=3, supply_meters=True, rates=Rates(anomaly=0.5))
DAY = PLAN.first_day + 1


def test_a_transformer_takes_in_what_its_customers_use_and_its_own_loss() -> None:
    transformers, _ = supply.supply_of(PLAN, 0, DAY)
    meters = block(PLAN.seed, PLAN.rates.anomaly, np.arange(450), np.full(450, DAY), 15).meters
    used = supply.really_used(PLAN, meters, np.full(450, DAY))
    first = meters.transformer == transformers.number[0]
    assert transformers.used[0] == pytest.approx(used[first].sum(axis=0))
    share = transformers.lost.sum(axis=1) / transformers.used.sum(axis=1)
    assert ((share > 0.01) & (share < 0.12)).all()
    assert transformers.recorded == pytest.approx(transformers.used + transformers.lost, rel=0.01)


def test_a_feeder_takes_in_its_transformers_and_its_line() -> None:
    transformers, feeders = supply.supply_of(PLAN, 0, DAY)
    for row, number in enumerate(feeders.number):
        below = transformers.feeder == number
        arriving = (transformers.used + transformers.lost)[below].sum(axis=0)
        line = feeders.used[row] + feeders.lost[row] - arriving
        assert (line > 0).all()
        assert line.sum() / arriving.sum() < 0.03
    assert feeders.used.sum() == pytest.approx(transformers.used.sum())


def test_only_what_is_no_fault_of_the_meter_flows() -> None:
    assert [kind.name for kind in KINDS if kind.real] == ["cold_load_surge"]
    honest = Plan("", meters=450, start=PLAN.start, days=3, supply_meters=True, rates=Rates(anomaly=0.0))
    days = np.full(450, DAY)
    made = block(PLAN.seed, 0.0, np.arange(450), days, 15)
    assert supply.really_used(honest, made.meters, days) == pytest.approx(made.kwh)
    faulty = block(PLAN.seed, 0.5, np.arange(450), days, 15)
    assert supply.really_used(PLAN, made.meters, days).sum() > faulty.kwh.sum()


def test_the_file_of_a_day_names_the_elements_as_the_customers_lines_do() -> None:
    supplies = supply.supply_of(PLAN, 0, DAY)
    lines = list(csv.DictReader(io.StringIO(supply.delivered(PLAN, supplies, DAY).decode())))
    assert len(lines) == sum(each.recorded.size for each in supplies)
    assert lines[0]["timestamp"] == "2024-03-05 00:00:00"
    of_feeders = [line for line in lines if not line["transformer"]]
    assert {line["meter_id"] for line in of_feeders} == {f"SF{n:04d}" for n in range(20)}
    told = sum(float(line["consumption_kwh"]) for line in of_feeders)
    truth = supply.truth(PLAN, supplies, DAY).to_pylist()
    true = sum(row["used_kwh"] + row["technical_loss_kwh"] for row in truth if row["level"] == "feeder")
    assert told == pytest.approx(true, rel=1e-3)


def test_a_house_has_no_feeder() -> None:
    with pytest.raises(UsageError, match="knows no feeders"):
        Plan("", "smart_meter", supply_meters=True)
