"""Estimation as arrays of one meter. Every expected value is worked out by hand."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meterlake.errors import UsageError
from meterlake.vee.daytypes import EPOCH, HOLIDAY, WEEKDAY, WEEKEND, kinds
from meterlake.vee.estimate import DEFAULT, METHODS, Estimated, estimate
from meterlake.vee.estimation_policy import PRESCRIBED, EstimationPolicy
from meterlake.vee.register import GRID, portions, units

LINE, MEAN, BRIDGE = "linear_interpolation", "like_day_mean", "like_day_bridge"
REGISTER, TOO_LONG, TOO_LITTLE = "register_spread", "left_missing_too_long", "left_missing_too_little_history"
HOUR = timedelta(hours=1)


@dataclass
class Meter:
    """A meter whose kWh follow from day and slot; by default six weeks of hours from Monday, 1 January 2024."""

    days: int = 42
    interval_minutes: int = 60
    zone: str = "UTC"
    start: str = "2024-01-01"
    country: str | None = None
    kwh: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        first = pd.Timestamp(self.start, tz=self.zone)
        last = pd.Timestamp(self.start) + pd.Timedelta(days=self.days)
        local = pd.date_range(first, last.tz_localize(self.zone), freq=f"{self.interval_minutes}min", inclusive="left")
        minute = local.tz_localize(None).to_numpy().astype("datetime64[m]").astype(np.int64)
        self.day = (minute // 1440).astype(np.int32)
        self.slot = (minute % 1440 // self.interval_minutes).astype(np.int16)
        self.nth_day = self.day - self.day[0]
        self.kwh = 1.0 + 0.1 * self.slot
        self.usable = np.ones(len(self.kwh), dtype=bool)
        self.register: np.ndarray | None = None

    def at(self, nth_day: int, slot: int = 0) -> int:
        """Index of the first interval of that day and slot."""
        return int(np.flatnonzero((self.nth_day == nth_day) & (self.slot == slot))[0])

    def without(self, *holes: slice, policy: EstimationPolicy = DEFAULT) -> Estimated:
        """Estimate these stretches after they were lost."""
        wanted = np.zeros(len(self.kwh), dtype=bool)
        for hole in holes:
            wanted[hole] = True
        return estimate(
            np.where(wanted, np.nan, self.kwh),
            self.usable,
            wanted,
            self.day,
            self.slot,
            kinds(self.day, self.country),
            self.interval_minutes,
            self.register,
            policy,
        )


def methods(made: Estimated, where: Any = slice(None)) -> set[str]:
    return {METHODS[code] for code in made.method[where]}


def hours(first: int, count: int) -> slice:
    return slice(first, first + count)


@pytest.mark.parametrize(
    ("hole", "by_default", "as_prescribed"),
    [
        pytest.param(hours(500, 1), LINE, LINE, id="one_interval"),
        pytest.param(hours(500, 2), BRIDGE, LINE, id="two_hours"),
        pytest.param(hours(500, 3), BRIDGE, MEAN, id="more_than_two_hours"),
        pytest.param(hours(500, 24), BRIDGE, MEAN, id="a_day"),
        pytest.param(hours(500, 7 * 24), BRIDGE, MEAN, id="the_cap_itself"),
        pytest.param(hours(500, 7 * 24 + 1), TOO_LONG, TOO_LONG, id="longer_than_the_cap"),
        pytest.param(hours(0, 1), BRIDGE, MEAN, id="at_the_start_without_a_neighbour_before"),
        pytest.param(hours(42 * 24 - 1, 1), BRIDGE, MEAN, id="at_the_end_without_a_neighbour_after"),
    ],
)
def test_a_gap_is_filled_by_its_length(hole: slice, by_default: str, as_prescribed: str) -> None:
    for policy, expected in ((DEFAULT, by_default), (PRESCRIBED, as_prescribed)):
        made = Meter().without(hole, policy=policy)
        assert methods(made, hole) == {expected}
        assert np.isnan(made.values[hole]).all() == expected.startswith("left_missing")
        outside = np.delete(np.arange(42 * 24), hole)
        assert np.isnan(made.values[outside]).all()
        assert methods(made, outside) == {"not_estimated"}


@pytest.mark.parametrize(
    ("unusable", "expected"),
    [
        pytest.param(slice(499, 500), BRIDGE, id="neighbour_before_is_an_outage"),
        pytest.param(slice(501, 502), BRIDGE, id="neighbour_after_was_estimated"),
        pytest.param(slice(0, 42 * 24), TOO_LITTLE, id="all_history_was_estimated"),
        pytest.param(slice(0, 499), LINE, id="history_before_was_estimated"),
    ],
)
def test_only_good_readings_are_learnt_from(unusable: slice, expected: str) -> None:
    meter = Meter()
    meter.usable[unusable] = False
    assert methods(meter.without(hours(500, 1)), slice(500, 501)) == {expected}


@pytest.mark.parametrize(
    ("days", "hole", "expected"),
    [
        pytest.param(1, hours(8, 2), LINE, id="two_hours_of_the_first_day_fall_back_on_the_line"),
        pytest.param(1, hours(8, 3), TOO_LITTLE, id="three_hours_of_the_first_day"),
        pytest.param(3, hours(8, 3), TOO_LITTLE, id="two_like_days"),
        pytest.param(4, hours(8, 3), BRIDGE, id="three_like_days"),
        pytest.param(1, hours(0, 24), TOO_LITTLE, id="no_reading_at_all"),
        pytest.param(1, hours(0, 1), TOO_LITTLE, id="first_reading_of_the_first_day"),
    ],
)
def test_little_history(days: int, hole: slice, expected: str) -> None:
    made = Meter(days=days).without(hole)
    assert methods(made, hole) == {expected}
    assert np.isnan(made.values[hole]).any() == (expected == TOO_LITTLE)


def test_an_unknown_neighbour_that_nobody_wants_belongs_to_the_gap() -> None:
    meter = Meter()
    meter.kwh[502:600] = np.nan
    made = meter.without(hours(500, 2))
    assert methods(made, slice(500, 502)) == {BRIDGE}
    assert methods(made, slice(502, 600)) == {"not_estimated"}
    meter.kwh[502:800] = np.nan
    assert methods(meter.without(hours(500, 2)), slice(500, 502)) == {TOO_LONG}


def test_a_line_between_the_neighbours() -> None:
    meter = Meter()
    meter.kwh[499:503] = 0.4, 9.9, 9.9, 1.0
    assert meter.without(hours(500, 2), policy=PRESCRIBED).values[500:502] == pytest.approx([0.6, 0.8])


def test_two_gaps_close_together_use_the_reading_between_them() -> None:
    meter = Meter()
    meter.kwh[500:505] = 0.0, 9.9, 2.0, 9.9, 1.0
    made = meter.without(hours(501, 1), hours(503, 1))
    assert made.values[501:504:2] == pytest.approx([1.0, 1.5])


# January 2024: the 1st is a Monday. Every reading of day n is n kWh.
@pytest.mark.parametrize(
    ("day", "lost", "expected"),
    [
        pytest.param(16, [], (15 + 17 + 14) / 3, id="wednesday_of_two_equally_near_days_the_earlier_one"),
        pytest.param(17, [], (16 + 18 + 15) / 3, id="thursday_passes_over_saturday"),
        pytest.param(14, [], (15 + 16 + 11) / 3, id="monday_passes_over_the_weekend"),
        pytest.param(19, [], (20 + 13 + 12) / 3, id="saturday"),
        pytest.param(17, [16, 18], (15 + 14 + 21) / 3, id="estimated_days_are_passed_over"),
    ],
)
def test_mean_of_the_three_nearest_days_of_the_same_kind(day: int, lost: list[int], expected: float) -> None:
    meter = Meter()
    meter.kwh = meter.nth_day.astype(float)
    meter.usable[np.isin(meter.nth_day, lost)] = False
    made = meter.without(hours(meter.at(day, 6), 5), policy=PRESCRIBED)
    assert made.values[meter.at(day, 6) : meter.at(day, 11)] == pytest.approx([expected] * 5)


@pytest.mark.parametrize(
    ("start", "day", "country", "expected"),
    [
        # From Friday, 1 December, Christmas Day is day 24, Boxing Day day 25, New Year's Day day 31.
        pytest.param("2023-12-01", 24, "GB-ENG", (25 + 31 + 23) / 3, id="two_other_holidays_and_the_sunday_before"),
        pytest.param("2023-12-01", 24, None, (25 + 26 + 21) / 3, id="no_country_no_holidays"),
        pytest.param("2023-12-01", 27, "GB-ENG", (26 + 28 + 32) / 3, id="a_weekday_does_not_learn_from_holidays"),
    ],
)
def test_holidays(start: str, day: int, country: str | None, expected: float) -> None:
    meter = Meter(start=start, country=country)
    meter.kwh = meter.nth_day.astype(float)
    made = meter.without(hours(meter.at(day), 24), policy=PRESCRIBED)
    assert made.values[meter.at(day)] == pytest.approx(expected)
    strict = PRESCRIBED.model_copy(update={"holidays_like_weekends": False})
    alone = meter.without(hours(meter.at(day), 24), policy=strict)
    assert np.isnan(alone.values[meter.at(day)]) == (expected == (25 + 31 + 23) / 3)


@pytest.mark.parametrize("policy", [pytest.param(DEFAULT, id="bridge"), pytest.param(PRESCRIBED, id="mean")])
@pytest.mark.parametrize(
    ("zone", "start", "nth_day", "intervals", "minutes"),
    [
        pytest.param("Europe/Berlin", "2024-03-10", 21, 23, 60, id="day_of_23_hours"),
        pytest.param("Europe/Berlin", "2024-10-06", 21, 25, 60, id="day_of_25_hours"),
        pytest.param("Europe/Berlin", "2024-10-06", 21, 100, 15, id="day_of_25_hours_in_quarters"),
        pytest.param("Australia/Sydney", "2024-09-15", 21, 23, 60, id="southern_day_of_23_hours"),
        pytest.param("Asia/Kolkata", "2024-03-10", 21, 48, 30, id="half_hour_zone"),
    ],
)
def test_local_days(
    zone: str, start: str, nth_day: int, intervals: int, minutes: int, policy: EstimationPolicy
) -> None:
    """The meter does the same by the local clock every day: so does the estimate, in the double hour twice."""
    meter = Meter(zone=zone, start=start, interval_minutes=minutes)
    hole = slice(meter.at(nth_day), meter.at(nth_day + 1))
    made = meter.without(hole, policy=policy)
    assert hole.stop - hole.start == intervals
    assert made.values[hole] == pytest.approx(meter.kwh[hole])


@pytest.mark.parametrize(
    ("share", "lowest", "highest"),
    [
        pytest.param(0.0, 1.0, 1.4, id="not_at_all"),
        pytest.param(0.5, 2.0, 2.7, id="by_the_square_root"),
        pytest.param(1.0, 3.8, 4.7, id="wholly"),
    ],
)
def test_the_bridge_follows_the_level_beside_the_gap(share: float, lowest: float, highest: float) -> None:
    """The days before and after use four times as much as all others; the edges are joined whatever the level."""
    meter = Meter()
    meter.kwh = np.where(np.isin(meter.nth_day, [16, 17, 18]), 4.0, 1.0)
    policy = DEFAULT.model_copy(update={"level_share": share, "nearness": timedelta(days=1000)})
    made = meter.without(hours(meter.at(17), 24), policy=policy).values[meter.at(17) : meter.at(18)]
    assert lowest < made[12] < highest
    assert abs(made[0] - 4.0) < abs(made[12] - 4.0) + 1e-8


@pytest.mark.parametrize(
    ("usable_after", "weights"),
    [
        # r = exp(-1 h / 1 h) and four steps from edge to edge: (r^i - r^(8 - i)) / (1 - r^8)
        pytest.param(True, [0.367090, 0.132901, 0.043064], id="both_edges_are_known"),
        pytest.param(False, [0.367879, 0.135335, 0.049787], id="only_the_edge_before_r_to_the_i"),
    ],
)
def test_the_bridge_starts_at_the_edge(usable_after: bool, weights: list[float]) -> None:
    """All days use 1 kWh in every hour; the reading before the gap is 3."""
    meter = Meter()
    meter.kwh[:] = 1.0
    meter.kwh[499] = 3.0
    meter.usable[503] = usable_after
    made = meter.without(hours(500, 3), policy=DEFAULT.model_copy(update={"level_share": 0.0}))
    assert made.values[500:503] == pytest.approx(1 + 2 * np.array(weights), abs=1e-5)


@pytest.mark.parametrize(
    "lowest",
    [
        pytest.param(0.0, id="without_feed_in_never_below_0"),
        pytest.param(-3.0, id="with_feed_in_not_below_what_is_seen"),
    ],
)
def test_lowest_estimate(lowest: float) -> None:
    """Right before the gap the meter uses much less than usual, and in the gap it usually uses the least."""
    meter = Meter()
    meter.kwh = np.where(meter.slot < 12, 5.0, lowest)
    meter.kwh[meter.at(17, 11)] = lowest
    assert meter.without(hours(meter.at(17, 12), 6)).values[meter.at(17, 12)] == lowest


def test_a_part_of_a_series_gives_the_same_as_the_whole() -> None:
    random = np.random.default_rng(5)
    whole, part = Meter(days=140), Meter(days=100, start="2024-01-21")
    whole.kwh = random.random(len(whole.kwh))
    part.kwh = whole.kwh[20 * 24 : 120 * 24]
    holes = [hours(70 * 24 + 5, 30), hours(75 * 24, 4), hours(76 * 24, 1)]
    moved = [slice(hole.start - 20 * 24, hole.stop - 20 * 24) for hole in holes]
    entire, partial = whole.without(*holes), part.without(*moved)
    np.testing.assert_array_equal(entire.values[20 * 24 : 120 * 24], partial.values)
    np.testing.assert_array_equal(entire.method[20 * 24 : 120 * 24], partial.method)


def test_nothing_wanted_nothing_done() -> None:
    made = Meter().without()
    assert np.isnan(made.values).all()
    assert methods(made) == {"not_estimated"}


def test_no_interval_at_all() -> None:
    empty = np.zeros(0)
    made = estimate(empty, empty > 0, empty > 0, empty.astype("i4"), empty.astype("i2"), empty.astype("i1"), 30)
    assert len(made.values) == len(made.method) == 0


def register_of(meter: Meter) -> np.ndarray:
    """The register at the start of each interval, exact on the grid."""
    return 12345.0 + np.concatenate([[0], np.cumsum(units(meter.kwh))[:-1]]) / GRID


@pytest.mark.parametrize(
    ("hole", "history"),
    [
        pytest.param(hours(500, 1), True, id="one_interval"),
        pytest.param(hours(500, 2), True, id="interpolated"),
        pytest.param(hours(500, 49), True, id="like_days"),
        pytest.param(hours(500, 49), False, id="too_little_history_evenly"),
    ],
)
def test_intervals_sum_to_the_register(hole: slice, history: bool) -> None:
    meter = Meter()
    meter.kwh = np.random.default_rng(1).random(len(meter.kwh))
    meter.register = register_of(meter)
    meter.register[hole.start + 1 : hole.stop] = np.nan
    meter.usable[:] = history
    made = meter.without(hole)
    assert methods(made, hole) == {REGISTER}
    rise = units(meter.register)[hole.stop] - units(meter.register)[hole.start]
    assert units(made.values[hole]).sum() == rise
    assert (made.values[hole] >= 0).all()
    assert history or np.ptp(units(made.values[hole])) <= 1


def test_two_gaps_between_two_register_readings_share_what_the_rest_leaves() -> None:
    meter = Meter()
    meter.register = np.full(len(meter.kwh), np.nan)
    meter.register[[480, 504]] = 100.0, 140.0
    first, second = hours(485, 3), hours(490, 6)
    made = meter.without(first, second)
    known = np.delete(meter.kwh[480:504], np.r_[5:8, 10:16])
    shared = units(np.concatenate([made.values[first], made.values[second]])).sum()
    assert shared == units(np.array(40.0)) - units(known).sum()
    assert methods(made, np.r_[first, second]) == {REGISTER}


def test_a_register_reading_within_the_gap_divides_it() -> None:
    meter = Meter()
    meter.register = np.full(len(meter.kwh), np.nan)
    meter.register[[480, 490, 504]] = 100.0, 110.0, 111.0
    made = meter.without(hours(480, 24))
    assert units(made.values[480:490]).sum() == 10 * GRID
    assert units(made.values[490:504]).sum() == 1 * GRID


@pytest.mark.parametrize(
    ("readings", "hole", "expected"),
    [
        pytest.param((100.0, 90.0), hours(480, 24), BRIDGE, id="it_went_down"),
        pytest.param((100.0, 140.0), hours(470, 7 * 24 + 1), TOO_LONG, id="longer_than_the_cap"),
        pytest.param((100.0, np.nan), hours(480, 24), BRIDGE, id="it_was_not_read_again"),
    ],
)
def test_a_register_that_does_not_tell(readings: tuple[float, float], hole: slice, expected: str) -> None:
    meter = Meter()
    meter.register = np.full(len(meter.kwh), np.nan)
    meter.register[[480, 504]] = readings
    assert methods(meter.without(hole), hole) == {expected}


def test_estimates_between_registers_are_left_where_something_stays_unknown() -> None:
    meter = Meter(days=80)
    meter.register = np.full(len(meter.kwh), np.nan)
    meter.register[[480, 960]] = 100.0, 900.0
    made = meter.without(hours(490, 5), hours(600, 200))
    assert methods(made, slice(490, 495)) == {BRIDGE}
    assert methods(made, slice(600, 800)) == {TOO_LONG}


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 10**15),
    st.lists(st.one_of(st.just(float("nan")), st.floats(0, 1e6)), min_size=1, max_size=50),
)
def test_portions_sum_to_the_whole(total: int, weight: list[float]) -> None:
    shares = portions(total, np.array(weight))
    assert int(shares.sum()) == total
    assert (shares >= 0).all()


@pytest.mark.parametrize(
    ("total", "weight", "expected"),
    [
        pytest.param(10, [1.0, 1.0, 1.0], [4, 3, 3], id="equal_remainders_the_first_gets_more"),
        pytest.param(10, [1.0, 2.0, 3.0], [2, 3, 5], id="largest_remainder"),
        pytest.param(9, [np.nan, np.nan], [5, 4], id="nothing_known_evenly"),
        pytest.param(9, [0.0, 0.0, 0.0], [3, 3, 3], id="nothing_positive_evenly"),
        pytest.param(8, [1.0, np.nan, 3.0], [1, 3, 4], id="unknown_counts_as_the_mean"),
        pytest.param(0, [1.0, 2.0], [0, 0], id="nothing_to_share"),
    ],
)
def test_portions(total: int, weight: list[float], expected: list[int]) -> None:
    assert portions(total, np.array(weight)).tolist() == expected


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal() - EPOCH


@pytest.mark.parametrize(
    ("country", "of", "expected"),
    [
        pytest.param(None, "2024-12-25", WEEKDAY, id="no_country_knows_no_christmas"),
        pytest.param(None, "2024-12-28", WEEKEND, id="saturday"),
        pytest.param("GB-ENG", "2024-12-25", HOLIDAY, id="christmas"),
        pytest.param("GB-ENG", "2013-08-26", HOLIDAY, id="summer_bank_holiday_of_england"),
        pytest.param("GB-SCT", "2013-08-26", WEEKDAY, id="but_not_of_scotland"),
        pytest.param("DE", "2021-10-03", HOLIDAY, id="holiday_on_a_sunday"),
        pytest.param("IL", "2024-06-07", WEEKEND, id="friday_where_it_is_weekend"),
    ],
)
def test_kind_of_a_day(country: str | None, of: str, expected: int) -> None:
    assert kinds(np.array([day(of)]), country).tolist() == [expected]


def test_kinds_of_days_over_two_years_in_any_order() -> None:
    days = np.array([[day("2025-01-01"), day("2024-12-31")], [day("2024-12-25"), day("2025-01-01")]])
    assert kinds(days, "GB-ENG").tolist() == [[HOLIDAY, WEEKDAY], [HOLIDAY, HOLIDAY]]
    assert kinds(np.zeros(0, dtype=np.int32), "GB-ENG").tolist() == []


def test_a_country_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="country 'XX' has no calendar"):
        kinds(np.array([day("2024-01-01")]), "XX")


def test_a_policy_in_toml_words() -> None:
    policy = EstimationPolicy.model_validate({"interpolate_up_to": "PT1H", "longest_gap": "P3D", "within": 86400})
    assert (policy.interpolate_up_to, policy.longest_gap, policy.within) == (HOUR, 72 * HOUR, 24 * HOUR)


def test_every_setting_is_described() -> None:
    assert [name for name, setting in EstimationPolicy.model_fields.items() if not setting.description] == []
