"""How far back the model of whole days learns."""

import pytest

from meterlake.anomaly.train_days import FEWEST_DAYS, MOST_METERS, days_back


@pytest.mark.parametrize("meters", [MOST_METERS, 10_000_000])
def test_many_meters_are_learnt_from_for_half_a_year(meters: int) -> None:
    assert days_back(meters) == 183


def test_fewer_meters_are_learnt_from_for_as_much_longer() -> None:
    assert days_back(100) == 5 * 183


def test_one_meter_can_have_enough_days() -> None:
    assert FEWEST_DAYS < days_back(1) < 11 * 366
