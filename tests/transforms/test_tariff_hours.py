"""Hours of a month and their bands: by the customers' clock, its holidays, and the days that are longer or shorter."""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import pytest
from tests.lake import VILLAGE

from meterlake.sources.source import Source
from meterlake.sources.tariff import Tariff
from meterlake.transforms.tariff_hours import calendar
from meterlake.vee.policy import Vee

EVENING = Tariff(weekday={"peak": ((17, 21),), "off_peak": ((0, 17), (21, 24))}, weekend={"off_peak": ((0, 24),)})
SUNDAYS = EVENING.model_copy(update={"holiday": {"quiet": ((0, 24),)}})
MARCH, OCTOBER, DECEMBER = date(2024, 3, 1), date(2024, 10, 1), date(2024, 12, 1)


def village(zone: str = "UTC", tariff: Tariff | None = EVENING, **declared: Any) -> Source:
    return VILLAGE.model_copy(update={"time_zone": zone, "tariff": tariff, **declared})


def bands_of(day: int, month: date, source: Source) -> list[str]:
    """The bands of a UTC day, hour by hour."""
    rows = [row for row in calendar([month], source).to_pylist() if row["band"] != "all"]
    return [row["band"] for row in sorted(rows, key=lambda row: row["hour_start"]) if row["hour_start"].day == day]


@pytest.mark.parametrize(
    ("source", "month", "hours"),
    [
        pytest.param(village(), MARCH, {"all": 744, "peak": 84, "off_peak": 660}, id="utc"),
        pytest.param(
            village("Europe/Berlin"), MARCH, {"all": 743, "peak": 84, "off_peak": 659}, id="a_day_of_23_hours"
        ),
        pytest.param(
            village("Europe/Berlin"), OCTOBER, {"all": 745, "peak": 92, "off_peak": 653}, id="one_of_25_hours"
        ),
        pytest.param(village("Asia/Kolkata"), MARCH, {"all": 744, "peak": 84, "off_peak": 660}, id="half_an_hour_off"),
        pytest.param(village(tariff=None), MARCH, {"all": 744}, id="without_a_tariff"),
        pytest.param(
            village(country="GB-ENG"), DECEMBER, {"all": 744, "peak": 80, "off_peak": 664}, id="holidays_as_weekends"
        ),
        pytest.param(
            village(tariff=SUNDAYS, country="GB-ENG"),
            DECEMBER,
            {"all": 744, "peak": 80, "off_peak": 616, "quiet": 48},
            id="holidays_of_their_own",
        ),
    ],
)
def test_a_band_has_so_many_hours_of_the_month(source: Source, month: date, hours: dict[str, int]) -> None:
    rows = calendar([month], source).to_pylist()
    assert Counter(row["band"] for row in rows) == hours
    assert {row["band"]: row["hours"] for row in rows} == hours
    assert {row["month_local"] for row in rows} == {month}


def test_hours_begin_where_the_clock_of_the_source_begins_them() -> None:
    rows = [row["hour_start"] for row in calendar([MARCH], village("Asia/Kolkata", None)).to_pylist()]
    assert (rows[0], rows[-1]) == (
        datetime(2024, 2, 29, 18, 30, tzinfo=UTC),
        datetime(2024, 3, 31, 17, 30, tzinfo=UTC),
    )


def test_bands_follow_the_clock_that_customers_live_by() -> None:
    """Files in UTC, customers in London: in summer their 17:00 is 16:00 of the files. 25 March is in winter."""
    london = village(vee=Vee(civil_time_zone="Europe/London"))
    assert [hour for hour, band in enumerate(bands_of(25, OCTOBER, london)) if band == "peak"] == [16, 17, 18, 19]
    assert [hour for hour, band in enumerate(bands_of(25, MARCH, london)) if band == "peak"] == [17, 18, 19, 20]


def test_months_stand_one_after_the_other() -> None:
    assert calendar([], village()).num_rows == 0
    both = calendar([OCTOBER, DECEMBER], village(tariff=None))
    assert Counter(both["month_local"].to_pylist()) == {OCTOBER: 744, DECEMBER: 744}
