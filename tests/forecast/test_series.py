"""An hour that too few meters reported is unknown; a local day may have 23, 24 or 25 hours."""

from datetime import UTC, date, datetime

import numpy as np
import pytest

from meterlake.forecast.series import LoadSeries, local, on_the_wall, summed, usual
from meterlake.vee.clock import clock_of


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) // 60  # type: ignore[misc]


def test_an_hour_that_few_meters_reported_is_unknown_not_small() -> None:
    minute = 60 * np.arange(120)
    reporting = np.full(120, 20.0)
    reporting[[106, 110]] = [18.9, 19.0]
    kwh = reporting * 0.5
    series = summed(minute, kwh, reporting)
    assert np.flatnonzero(np.isnan(series.kwh)).tolist() == [106], "94.5 % of the usual readings are too few, 95 % not"
    assert series.kwh[110] == 9.5, "and no energy is made up"


def test_absent_hours_are_unknown_up_to_the_end() -> None:
    series = summed(np.array([180, 0]), np.array([2.0, 1.0]), np.array([1.0, 1.0]), until=300)
    np.testing.assert_array_equal(series.kwh, [1.0, np.nan, np.nan, 2.0, np.nan])


def test_what_is_usual_follows_meters_that_leave_but_looks_at_no_later_hour() -> None:
    reporting = np.where(np.arange(60 * 24) < 30 * 24, 10.0, 5.0)
    found = usual(reporting)
    assert (found[: 30 * 24] == 10).all()
    assert found[30 * 24 + 12 * 24] == 10, "after half of the 28 days the fewer ones are usual"
    assert (found[30 * 24 + 15 * 24 :] == 5).all()
    np.testing.assert_array_equal(usual(reporting[: 40 * 24]), found[: 40 * 24])


@pytest.mark.parametrize(
    ("month", "day", "length", "hour", "value"),
    [
        pytest.param(3, 31, 23, 1, np.nan, id="the_hour_that_does_not_come"),
        pytest.param(10, 27, 25, 1, 1.5, id="the_hour_that_comes_twice_is_their_mean"),
        pytest.param(6, 2, 24, 1, 1.0, id="an_ordinary_day"),
    ],
)
def test_hours_lie_on_the_local_clock(month: int, day: int, length: int, hour: int, value: float) -> None:
    clock = clock_of("Europe/London")
    wanted = date(2024, month, day).toordinal() - date(1970, 1, 1).toordinal()
    minute = at(2024, month, day - 1) + 60 * np.arange(72)
    days, _ = local(minute, clock)
    inside = days == wanted
    assert inside.sum() == length
    kwh = np.full(72, np.nan)
    kwh[inside] = np.arange(length)
    wall = on_the_wall(LoadSeries(int(minute[0]), kwh), clock)
    row = wall.kwh[wanted - wall.first_day]
    np.testing.assert_equal(row[hour], value)
    assert row[23] == length - 1
