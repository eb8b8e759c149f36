"""Each rule on a series in which it must find what was put in, and on one in which it must find nothing."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from meterlake.vee import rules_level, rules_runs, rules_sums, rules_values
from meterlake.vee.findings import Findings
from meterlake.vee.series import Floats, Series, series_of

DAY = 48  # half-hours


def household(days: int, seed: int = 1) -> Floats:
    """Half-hourly kWh of an invented household: low at night, a peak in the evening, some luck."""
    hours = np.arange(days * DAY) / 2 % 24
    form = 0.2 + 0.3 * np.exp(-(((hours - 8) / 2) ** 2)) + 0.6 * np.exp(-(((hours - 19) / 2.5) ** 2))
    luck = np.random.default_rng(seed).lognormal(0, 0.15, len(form))
    return np.round(form * luck, 3)


def series(
    kwh: Floats,
    *,
    begin: str = "2024-01-01",
    zone: str = "UTC",
    interval_minutes: int = 30,
    civil: str | None = None,
    **channels: Floats,
) -> Series:
    """One meter from midnight UTC of a Monday on; NaN is an interval without a reading."""
    first = int(datetime.fromisoformat(begin).replace(tzinfo=UTC).timestamp()) // 60
    there = np.flatnonzero(~np.isnan(kwh))
    minute = first + there * interval_minutes
    return series_of(
        np.zeros(len(there), dtype=np.int64),
        minute,
        kwh[there],
        interval_minutes,
        zone,
        civil,
        **{name: values[there] for name, values in channels.items()},
    )


def changed(kwh: Floats, where: slice, value: float | Floats) -> Floats:
    kwh = kwh.copy()
    kwh[where] = value
    return kwh


def stretches(found: Findings) -> list[tuple[int, int]]:
    return list(zip(found.begin.tolist(), found.end.tolist(), strict=True))


def test_two_kettles_are_no_spike_one_lightning_stroke_is() -> None:
    quiet = household(3)
    assert len(rules_values.spike(series(quiet))) == 0
    at = DAY + 20
    found = rules_values.spike(series(changed(quiet, slice(at, at + 1), 9.0)))
    third = np.sort(quiet[DAY : 2 * DAY])[-2]  # the spike is the first
    assert stretches(found) == [(at, at + 1)]
    assert (found.value[0], found.reference[0]) == (9.0, third)


def test_a_spike_is_judged_by_the_local_day() -> None:
    kwh = changed(np.full(2 * DAY, 0.5), slice(30, 33), 5.0)  # three high half-hours: none stands alone
    assert len(rules_values.spike(series(kwh))) == 0
    assert len(rules_values.spike(series(kwh, zone="-08:00"))) == 0
    # In New Zealand the local midnight parts them: two alone on one day, one on the next.
    midnight = changed(np.full(2 * DAY, 0.5), slice(22, 25), 5.0)
    assert stretches(rules_values.spike(series(midnight, zone="+12:00"))) == [(22, 23), (23, 24), (24, 25)]


def test_a_day_far_above_or_below_the_same_kind_of_day() -> None:
    kwh = household(28)
    kwh[DAY * 5 : DAY * 7] *= 3.0  # every weekend is high: that is this meter's way
    for week in (1, 2, 3):
        kwh[DAY * (7 * week + 5) : DAY * (7 * week + 7)] *= 3.0
    assert len(rules_values.high_usage(series(kwh))) == 0
    busy, idle = changed(kwh, slice(DAY * 21, DAY * 22), 1.5), changed(kwh, slice(DAY * 22, DAY * 23), 0.05)
    assert stretches(rules_values.high_usage(series(busy))) == [(DAY * 21, DAY * 22)]
    assert stretches(rules_values.low_usage(series(idle))) == [(DAY * 22, DAY * 23)]
    found = rules_values.high_usage(series(busy))
    weekdays = [day for day in range(21) if day % 7 < 5]
    assert found.reference[0] == pytest.approx(np.mean([kwh[DAY * d : DAY * (d + 1)].sum() for d in weekdays]))
    assert found.value[0] == pytest.approx(72.0)


def test_half_a_day_is_judged_by_its_average() -> None:
    kwh = changed(np.full(20 * DAY, 0.5), slice(18 * DAY, 18 * DAY + 24), np.nan)
    assert len(rules_values.low_usage(series(kwh))) == 0


@pytest.mark.parametrize(
    ("value", "length", "expected"),
    [
        pytest.param(0.777, 6, [(100, 106)], id="six_equal_values"),
        pytest.param(0.777, 5, [], id="five_are_not_enough"),
        pytest.param(0.0, 20, [], id="zeros_are_another_rule"),
        pytest.param(0.02, 20, [], id="standby_at_a_coarse_resolution"),
        pytest.param(np.nan, 20, [], id="a_gap"),
    ],
)
def test_frozen(value: float, length: int, expected: list[tuple[int, int]]) -> None:
    assert stretches(rules_runs.frozen(series(changed(household(4), slice(100, 100 + length), value)))) == expected


def test_a_run_over_sunday_midnight_is_told_for_each_week() -> None:
    sunday = 7 * DAY
    kwh = changed(household(14), slice(sunday - 10, sunday + 10), 1.0)
    assert stretches(rules_runs.frozen(series(kwh))) == [(sunday - 10, sunday), (sunday, sunday + 10)]


def test_a_flat_line_that_is_not_frozen() -> None:
    wave = 1 + 0.001 * np.sin(np.arange(2 * DAY))
    kwh = changed(household(6), slice(3 * DAY, 5 * DAY), wave)
    assert len(rules_runs.frozen(series(kwh))) == 0
    assert stretches(rules_runs.flatline(series(kwh))) == [(3 * DAY, 5 * DAY)]
    assert len(rules_runs.flatline(series(household(6)))) == 0


def test_zeros_with_and_without_voltage() -> None:
    kwh = changed(changed(household(6), slice(100, 104), 0.0), slice(150, 150 + DAY), 0.0)
    volts = changed(np.full(len(kwh), 231.0), slice(100, 104), np.nan)
    with_volts = series(kwh, voltage_v=volts)
    assert stretches(rules_runs.outage(with_volts)) == [(100, 104)]
    assert stretches(rules_runs.zero_run(with_volts)) == [(150, 150 + DAY)]
    assert len(rules_runs.outage(series(kwh))) == 0, "without voltage nobody knows"
    assert len(rules_runs.zero_run(series(changed(household(3), slice(20, 40), 0.0)))) == 0, "a night of zeros"


def test_energy_below_zero_and_a_register_that_falls() -> None:
    kwh = changed(household(2), slice(30, 31), -0.4)
    assert stretches(rules_sums.negative(series(kwh))) == [(30, 31)]
    assert len(rules_sums.negative(series(kwh), feed_in=True)) == 0
    register = changed(100 + np.cumsum(household(2)), slice(50, 51), 90.0)
    found = rules_sums.negative(series(household(2), register_kwh=register))
    assert stretches(found) == [(49, 50)]


def test_intervals_that_do_not_sum_to_the_register() -> None:
    kwh = np.full(2 * DAY, 0.5)
    register = 100 + np.concatenate([[0], np.cumsum(kwh)])[:-1]
    read = changed(register, slice(11, 20), np.nan)
    whole = series(kwh, register_kwh=read)
    assert len(rules_sums.register_sum(whole, kwh)) == 0
    found = rules_sums.register_sum(whole, changed(kwh, slice(15, 16), 0.9))
    assert stretches(found) == [(10, 20)]
    assert (found.value[0], found.reference[0]) == (5.4, 5.0)
    assert len(rules_sums.register_sum(whole, changed(kwh, slice(15, 16), np.nan))) == 0, "a gap sums to nothing"


def test_a_register_may_be_off_by_exactly_its_resolution() -> None:
    kwh = changed(np.zeros(2 * DAY), slice(20, 21), 17.67)
    register = changed(np.full(2 * DAY, np.nan), slice(0, DAY + 1, DAY), np.array([0.0, 17.66]))
    assert len(rules_sums.register_sum(series(kwh, register_kwh=register), kwh)) == 0


def test_sub_meters_above_their_meter() -> None:
    kwh = np.full(DAY, 0.5)
    sub = changed(np.full(DAY, 0.49), slice(10, 12), 0.7)
    found = rules_sums.sub_meters(series(kwh, sub_kwh=sub))
    assert stretches(found) == [(10, 12)]
    assert (found.value[0], found.reference[0]) == (1.4, 1.0)


def test_gaps_one_by_one() -> None:
    kwh = changed(changed(household(3), slice(10, 11), np.nan), slice(60, 70), np.nan)
    assert stretches(rules_runs.gap(series(kwh))) == [(10, 11), (60, 70)]


def test_estimates_without_end() -> None:
    wanted = changed(np.zeros(20 * DAY), slice(5 * DAY, 15 * DAY), 1.0) > 0
    found = rules_runs.prolonged_estimation(series(household(20)), wanted)
    assert stretches(found) == [(day * DAY, (day + 1) * DAY) for day in (12, 13, 14)]
    assert found.value.tolist() == [8.0, 9.0, 10.0]


def test_the_skipped_and_the_repeated_hour() -> None:
    """In London the clock skips 01:00-02:00 UTC on 31 March 2024 and repeats 00:00-01:00 UTC on 27 October."""
    spring = changed(household(3), slice(DAY + 2, DAY + 4), np.nan)
    found = rules_level.clock_change(series(spring, begin="2024-03-30", civil="Europe/London"))
    assert stretches(found) == [(DAY + 2, DAY + 4)]
    assert (found.value[0], found.reference[0]) == (60.0, 60.0)
    assert len(rules_level.clock_change(series(household(3), begin="2024-03-30", civil="Europe/London"))) == 0
    longer = changed(household(3), slice(DAY + 2, DAY + 6), np.nan)
    assert len(rules_level.clock_change(series(longer, begin="2024-03-30", civil="Europe/London"))) == 0, "a common gap"
    autumn = changed(household(3), slice(DAY + 2, DAY + 4), np.nan)
    assert stretches(rules_level.clock_change(series(autumn, begin="2024-10-26", zone="Europe/London"))) == [(50, 52)]


def test_a_clock_that_is_set_back_by_an_hour() -> None:
    kwh = household(60)
    late = kwh.copy()
    late[30 * DAY :] = np.roll(kwh, 2)[30 * DAY :]
    found = rules_level.clock_shift(series(late))
    assert stretches(found) == [(30 * DAY, 31 * DAY)]
    assert found.value[0] == 60.0
    assert len(rules_level.clock_shift(series(kwh))) == 0


def test_summer_time_is_no_shift_where_people_live_by_it() -> None:
    kwh = household(60)
    kwh[30 * DAY :] = np.roll(kwh, -2)[30 * DAY :]  # on the UTC clock everybody is an hour earlier from 31 March on
    assert len(rules_level.clock_shift(series(kwh, begin="2024-03-01"))) == 1
    assert len(rules_level.clock_shift(series(kwh, begin="2024-03-01", civil="Europe/London"))) == 0


def test_a_step_is_told_once_with_its_day_and_size() -> None:
    kwh = household(60)
    kwh[33 * DAY :] *= 0.4
    found = rules_level.step_change(series(kwh))
    assert stretches(found) == [(33 * DAY, 34 * DAY)]
    assert found.value[0] / found.reference[0] == pytest.approx(0.4, abs=0.03)
    assert len(rules_level.step_change(series(household(60)))) == 0


def test_an_outlier_against_the_same_time_of_the_same_kind_of_day() -> None:
    kwh = household(28)
    night = 25 * DAY + 6  # 03:00 on a Friday
    found = rules_values.outlier(series(changed(kwh, slice(night, night + 1), 1.2)))
    assert stretches(found) == [(night, night + 1)]
    assert len(rules_values.outlier(series(kwh))) == 0


RULES: list[Callable[[Series], Findings]] = [
    rules_values.spike,
    rules_values.high_usage,
    rules_values.low_usage,
    rules_values.outlier,
    rules_runs.frozen,
    rules_runs.flatline,
    rules_runs.outage,
    rules_runs.zero_run,
    rules_runs.gap,
    rules_sums.negative,
    rules_sums.sub_meters,
    rules_level.clock_change,
    rules_level.clock_shift,
    rules_level.step_change,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_one_reading_says_nothing(rule: Callable[[Series], Findings]) -> None:
    assert len(rule(series(np.array([0.5])))) == 0


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_meters_side_by_side_are_judged_alone(rule: Callable[[Series], Findings]) -> None:
    """Three meters in one block give what each gives by itself."""
    many = [household(50, seed) * scale for seed, scale in ((1, 1.0), (2, 5.0), (3, 0.2))]
    many[1][33 * DAY :] *= 0.3
    many[2][1000:1100] = 0.0
    many[0][1500:1600] = 1.0
    many[0][100:110] = many[2][2000:2300] = np.nan
    alone = [rule(series(kwh)) for kwh in many]
    begins = np.cumsum([0, *(len(kwh) for kwh in many)])
    minute = np.concatenate([np.arange(len(kwh)) * 30 + 19723 * 1440 for kwh in many])
    kwh = np.concatenate(many)
    there = ~np.isnan(kwh)
    meter = np.repeat(np.arange(3), [len(kwh) for kwh in many])
    together = rule(series_of(meter[there], minute[there], kwh[there], 30))
    expected = [(b + begins[n], e + begins[n]) for n, found in enumerate(alone) for b, e in stretches(found)]
    assert stretches(together) == expected
