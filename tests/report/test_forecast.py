"""The report's part about the forecast: what is drawn, counted and left out, without Spark."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from tests.lake import VILLAGE

from meterlake.report.forecast import BEFORE_DAYS, MOST_NAMED, MOST_REGIONS, beside
from meterlake.report.forecast_shown import picture, says

ORIGIN = datetime(2024, 3, 1)
BEGIN = (ORIGIN - datetime(1970, 1, 1)) // timedelta(minutes=1)
PARIS = VILLAGE.model_copy(update={"time_zone": "Europe/Paris"})


def ranked(regions: int = 0) -> pd.DataFrame:
    """A source and so many regions, the largest first."""
    names = [("source", "village"), *(("region", f"r{place:02d}") for place in range(regions))]
    frame = pd.DataFrame(names, columns=["level", "element"])
    return frame.assign(forecast_origin=ORIGIN, model_version="m/1", kwh=np.arange(len(names), 0, -1.0))


def hours(of: pd.DataFrame) -> pd.DataFrame:
    """10 kWh in every hour of the week, 20 in the fifth and 30 in the hundredth; the band reaches 1 below, 2 above."""
    kwh = np.full(168, 10.0)
    kwh[[4, 99]] = 20.0, 30.0
    week = {"minute": BEGIN + 60 * np.arange(168), "horizon_h": np.arange(1, 169)}
    week |= {"load_p10_kwh": kwh - 1, "load_p50_kwh": kwh, "load_p90_kwh": kwh + 2}
    places = zip(of["level"], of["element"], strict=True)
    return pd.concat([pd.DataFrame(week).assign(level=level, element=element) for level, element in places])


def load(of: pd.DataFrame, known_h: int = 6) -> pd.DataFrame:
    """10 kWh of four meters in every hour of 40 days, and so many hours of the forecast: the first of them is 12.5,
    above the band. In the second only three meters reported.
    """
    minute = BEGIN + 60 * np.arange(-40 * 24, known_h)
    frame = pd.DataFrame({"minute": minute, "kwh": 10.0, "completeness": 4.0})
    frame.loc[frame["minute"] == BEGIN, "kwh"] = 12.5
    frame.loc[frame["minute"] == BEGIN + 60, ["kwh", "completeness"]] = 7.5, 3.0
    places = zip(of["level"], of["element"], strict=True)
    return pd.concat([frame.assign(level=level, element=element) for level, element in places])


def test_a_week_before_and_a_week_ahead_stand_side_by_side() -> None:
    of = ranked()
    together = beside(hours(of), load(of), VILLAGE)
    assert len(together) == (BEFORE_DAYS + 7) * 24
    assert together["start"].iloc[0] == datetime(2024, 2, 23)
    assert together["start"].is_monotonic_increasing
    ahead = together[together["horizon_h"].notna()]
    assert (ahead["start"].iloc[0], len(ahead)) == (ORIGIN, 168)
    assert ahead["kwh"].iloc[:7].tolist() == pytest.approx([12.5, np.nan, 10, 10, 10, 10, np.nan], nan_ok=True)


def test_times_are_on_the_source_s_clock() -> None:
    of = ranked()
    winter = beside(hours(of), load(of), PARIS)
    assert winter.loc[winter["horizon_h"] == 1, "start"].iloc[0] == datetime(2024, 3, 1, 1)


def test_a_forecast_beside_no_load_stands_alone() -> None:
    of = ranked()
    together = beside(hours(of), load(of).head(0), VILLAGE)
    assert together["kwh"].isna().all()
    told = says(of, together)
    assert told is not None
    assert told["rows"][0]["known"] == 0


def test_what_is_told() -> None:
    of = ranked(regions=1)
    told = says(of, beside(hours(of), load(of), VILLAGE))
    assert told is not None
    whole, region = told["rows"]
    assert (told["begins"], told["model"], told["left_out"]) == (ORIGIN, "m/1", [])
    assert (whole["name"], region["name"]) == ("all of village", "region r00")
    assert (whole["known"], whole["held"]) == (5, 3), "one above; one hour of 20 kWh forecast came as 10"
    day, week = whole["blocks"]
    assert (day["name"], day["largest_at"], day["largest"]) == ("day ahead", datetime(2024, 3, 1, 4), [20, 19, 22])
    assert (week["name"], week["largest_at"], week["largest"]) == ("week ahead", datetime(2024, 3, 5, 3), [30, 29, 32])
    assert day["width_kwh"] == pytest.approx(3)
    assert day["width_share"] == pytest.approx(3 * 24 / (23 * 10 + 20))


def test_pictures_are_bounded_and_the_regions_left_out_are_named() -> None:
    of = ranked(regions=MOST_REGIONS + MOST_NAMED + 1)
    shown = of.head(1 + MOST_REGIONS)
    together = beside(hours(shown), load(shown), VILLAGE)
    drawn, told = picture(of, together, "UTC"), says(of, together)
    assert drawn is not None
    assert told is not None
    titles = [title.text for title in drawn.layout.annotations]
    assert titles == ["all of village", "region r00", "region r01", "region r02", "region r03"]
    assert (told["left_out"][0], len(told["left_out"]), told["more"]) == ("r04", MOST_NAMED, True)


def test_regions_are_drawn_where_only_they_are_forecast() -> None:
    of = ranked(regions=2).tail(2)
    drawn = picture(of, beside(hours(of), load(of), VILLAGE), "UTC")
    assert drawn is not None
    assert [title.text for title in drawn.layout.annotations] == ["region r00", "region r01"]


def test_the_lines_are_the_numbers_and_names_stay_text() -> None:
    of = ranked().assign(element="<b>")
    together = beside(hours(of), load(of), VILLAGE)
    drawn = picture(of, together, "UTC")
    assert drawn is not None
    lines = {trace.name: trace for trace in drawn.data if trace.name}
    assert list(lines["forecast (median)"].y) == list(hours(of)["load_p50_kwh"])
    assert list(lines["10-90 % band"].y) == list(hours(of)["load_p90_kwh"])
    assert np.array_equal(lines["metered"].y, together["kwh"], equal_nan=True)
    assert drawn.layout.annotations[0].text == "all of &lt;b&gt;"


def test_without_a_forecast_nothing_is_shown() -> None:
    assert picture(pd.DataFrame(), pd.DataFrame(), "UTC") is None
    assert says(pd.DataFrame(), pd.DataFrame()) is None
