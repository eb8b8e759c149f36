"""Quantiles in order, models that learn a week, and elements that get no forecast."""

import numpy as np
import pytest
from tests.forecast.builders import element, hours, weekly
from tests.lake import VILLAGE

from meterlake.forecast.blocks import BLOCKS
from meterlake.forecast.model import Policy, TooLittleHistory, check_history, fit, forecast
from meterlake.forecast.series import LoadSeries
from meterlake.forecast.step import MADE_NAMES, QUANTILE_COLUMNS, last_complete_day, of_element

QUICK = Policy(trees=40, learning_rate=0.15)
DAY_2024 = 19_723  # 2024-01-01


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_week_is_learnt_and_beats_a_flat_mean(block) -> None:  # type: ignore[no-untyped-def]
    one = element(weekly(120, noise=0.1))
    origins = np.arange(100, 112)
    _, place, band = forecast(one, origins, fit(one, 100, block, QUICK))
    truth = one.series.kwh[place]
    error, flat = np.abs(band[:, 1] - truth).mean(), np.abs(one.series.kwh[: 101 * 24].mean() - truth).mean()
    assert error < 0.5 * flat
    assert 0.6 < ((truth >= band[:, 0]) & (truth <= band[:, 2])).mean() < 0.95
    assert (np.diff(band, axis=1) >= 0).all(), "quantiles do not cross"


def test_values_after_the_origin_change_no_forecast() -> None:
    series = weekly(90)
    later = np.arange(len(series.kwh)) >= 61 * 24
    changed = LoadSeries(series.first_minute, np.where(later, 50.0, series.kwh))
    made = [
        forecast(one, np.array([60]), fit(one, 60, BLOCKS[0], QUICK))[2] for one in (element(series), element(changed))
    ]
    np.testing.assert_array_equal(*made)


def _holed(days: int, hole: slice, value: float = np.nan) -> LoadSeries:
    series = weekly(days)
    series.kwh[hole] = value
    return series


@pytest.mark.parametrize(
    ("series", "problem"),
    [
        pytest.param(weekly(27), "27.0 days of hours are known and 28 are needed", id="short"),
        pytest.param(_holed(60, slice(-24 * 5, None)), "of the last 7 days 29% of the hours are known", id="stopped"),
        pytest.param(_holed(60, slice(-24 * 30, None), 0.0), "nothing was used", id="not_used"),
    ],
)
def test_too_little_history_is_told_not_made_up(series: LoadSeries, problem: str) -> None:
    one = element(series)
    with pytest.raises(TooLittleHistory, match=problem):
        check_history(one, len(one.known.wall.kwh) - 1)
    day = DAY_2024 + len(series.kwh) // 24 - 1
    (row,) = of_element(day, VILLAGE, QUICK, hours(series)).to_dict("records")
    assert row["problem"].startswith(problem)
    assert np.isnan([row[name] for name in QUANTILE_COLUMNS]).all()


def test_an_element_is_forecast_hour_by_hour_for_a_week() -> None:
    series = weekly(40)
    made = of_element(DAY_2024 + 34, VILLAGE, QUICK, hours(series).sample(frac=1, random_state=1))
    assert list(made) == MADE_NAMES
    assert made["problem"].isna().all()
    assert made["horizon_h"].tolist() == list(range(1, 169))
    assert made["minute"].tolist() == [series.first_minute + 60 * (35 * 24 + hour) for hour in range(168)]
    assert made["day"].tolist() == [DAY_2024 + 35 + hour // 24 for hour in range(168)]
    cut = of_element(DAY_2024 + 34, VILLAGE, QUICK, hours(LoadSeries(series.first_minute, series.kwh[: 35 * 24])))
    assert made.equals(cut), "hours after the origin are not looked at"


@pytest.mark.parametrize(
    ("zone", "hour", "day"),
    [
        pytest.param("UTC", 23, 0, id="the_day_just_ended"),
        pytest.param("UTC", 22, -1, id="an_hour_is_missing"),
        pytest.param("+01:00", 22, 0, id="it_ends_an_hour_earlier_in_UTC"),
    ],
)
def test_the_origin_is_the_end_of_the_last_whole_local_day(zone: str, hour: int, day: int) -> None:
    source = VILLAGE.model_copy(update={"time_zone": zone})
    assert last_complete_day((DAY_2024 * 24 + hour) * 60, source) == DAY_2024 + day
