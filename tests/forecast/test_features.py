"""Nothing after the origin enters a forecast; lags and calendar are on the clock that people live by."""

from datetime import UTC, datetime

import numpy as np
import pytest
from tests.forecast.builders import MINUTES_2024, element, weekly

from meterlake.forecast.blocks import BLOCKS, Block
from meterlake.forecast.features import DEFINITION, Rows, features, names, newest_same_weekday
from meterlake.forecast.model import hours_after
from meterlake.forecast.series import LoadSeries

LONDON = "Europe/London"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_values_after_the_origin_change_no_feature(block: Block) -> None:
    series, origin = weekly(90), np.array([60])
    warmth = np.sin(np.arange(90 * 24))
    later = np.arange(90 * 24) >= 61 * 24
    before = element(LoadSeries(series.first_minute, series.kwh, warmth), country="GB")
    after = element(
        LoadSeries(series.first_minute, np.where(later, 1000.0, series.kwh), np.where(later, 40.0, warmth)),
        country="GB",
    )
    rows, _ = hours_after(before, origin, block)
    np.testing.assert_array_equal(features(before.known, rows), features(after.known, rows))
    assert features(before.known, rows).shape == (block.last_h - block.first_h + 1, len(names(weather=True)))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_every_lag_is_as_long_as_the_horizon(block: Block) -> None:
    rows, _ = hours_after(element(weekly(60)), np.array([30, 31, 40]), block)
    assert (newest_same_weekday(rows) <= rows.origin).all()
    assert ((rows.day - newest_same_weekday(rows)) % 7 == 0).all()
    assert (rows.origin - newest_same_weekday(rows) < 7).all()


@pytest.mark.parametrize(
    ("origin", "hours"),
    [
        pytest.param(datetime(2024, 3, 30), 23, id="spring"),
        pytest.param(datetime(2024, 10, 26), 25, id="autumn"),
        pytest.param(datetime(2024, 6, 1), 24, id="ordinary"),
    ],
)
def test_a_forecast_begins_with_a_local_day_of_23_24_or_25_hours(origin: datetime, hours: int) -> None:
    one = element(weekly(366), LONDON)
    day = np.array([int(origin.replace(tzinfo=UTC).timestamp()) // 86400 - MINUTES_2024 // 1440])
    rows, place = hours_after(one, day, Block("days", 1, 48))
    assert int((rows.day == day[0] + 1).sum()) == hours
    assert (rows.hour[0], rows.hour[hours], rows.hour[hours - 1]) == (0, 0, 23)
    np.testing.assert_array_equal(np.diff(place), 1)


def test_a_habit_by_the_wall_clock_stays_at_its_hour_when_the_clock_changes() -> None:
    """Its lags are of the same wall hour: 23 h earlier in spring, not 24."""
    one = element(weekly(200), LONDON)
    minute = one.series.minutes + one.clock.offset(one.series.minutes)
    kwh = np.where(minute // 60 % 24 == 7, 5.0, 1.0)
    habit = element(LoadSeries(one.series.first_minute, kwh), LONDON)
    sunday = 90  # 2024-03-31, the day without an hour from 1 to 2
    rows, place = hours_after(habit, np.array([sunday - 1]), Block("day", 1, 23))
    column = list(DEFINITION).index("last_day")
    lag = features(habit.known, rows)[:, column] * habit.known.level[sunday - 1]
    np.testing.assert_allclose(lag, kwh[place])


def test_a_holiday_is_like_other_days_without_work() -> None:
    one = element(weekly(200), country="GB-ENG")
    new_year, may_day = 0, 126  # Mondays
    kind = list(DEFINITION).index("day_kind")
    rows = Rows(np.array([125, 125]), np.array([may_day, may_day + 1]), np.array([19, 19]))
    found = features(one.known, rows)
    assert (one.known.day_kind[new_year], found[0, kind], found[1, kind]) == (2, 2, 0)
    like = found[:, list(DEFINITION).index("mean_like_days")] * one.known.level[125]
    np.testing.assert_allclose(like, [1.5, 2.0], atol=0.1)


def test_unknown_hours_stay_unknown() -> None:
    series = weekly(60)
    kwh = series.kwh.copy()
    kwh[30 * 24 : 31 * 24] = np.nan
    one = element(LoadSeries(series.first_minute, kwh))
    found = features(one.known, Rows(np.array([30]), np.array([31]), np.array([12])))[0]
    shown = dict(zip(DEFINITION, found, strict=True))
    assert np.isnan([shown["last_day"], shown["day_level"], shown["evening"]]).all()
    assert np.isfinite([shown["last_week"], shown["week_level"], shown["mean_seven_days"]]).all()
