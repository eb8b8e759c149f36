"""Which local times come twice, by zone. What becomes of their lines is in the scenarios."""

from datetime import date, datetime

import pytest

from meterlake.quality.repeated_hour import Repeated, repeated_hours


@pytest.mark.parametrize(
    ("zone", "start", "end"),
    [
        pytest.param("Europe/Berlin", "2024-10-27 02:00", "2024-10-27 03:00", id="berlin"),
        pytest.param("Australia/Sydney", "2024-04-07 02:00", "2024-04-07 03:00", id="southern_autumn"),
        pytest.param("Australia/Lord_Howe", "2024-04-07 01:30", "2024-04-07 02:00", id="half_an_hour"),
        pytest.param("America/Havana", "2024-11-03 00:00", "2024-11-03 01:00", id="the_hour_after_midnight"),
        pytest.param("Africa/Casablanca", "2024-03-10 02:00", "2024-03-10 03:00", id="summer_time_pauses_for_ramadan"),
    ],
)
def test_the_hour_that_a_clock_shows_twice(zone: str, start: str, end: str) -> None:
    hour = Repeated(datetime.fromisoformat(start), datetime.fromisoformat(end))
    assert repeated_hours(zone, [(date(2024, 1, 1), date(2024, 12, 31))]) == [hour]
    on_the_day = hour.start.date()
    assert repeated_hours(zone, [(on_the_day, on_the_day)]) == [hour]


@pytest.mark.parametrize("zone", ["UTC", "+10:00", "Asia/Kolkata", "Africa/Lagos", "Australia/Brisbane"])
def test_clocks_that_never_go_back(zone: str) -> None:
    assert repeated_hours(zone, [(date(2000, 1, 1), date(2024, 12, 31))]) == []


def test_no_other_day_is_concerned() -> None:
    assert repeated_hours("Europe/Berlin", [(date(2024, 10, 28), date(2025, 10, 25))]) == []
    assert len(repeated_hours("Europe/Berlin", [(date(2020, 1, 1), date(2024, 12, 31))])) == 5
