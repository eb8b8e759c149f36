"""Does a clock show beside its peers? Days of one form with a wrong one among them, and days of many forms."""

import numpy as np
from tests.vee.test_rules import household

from meterlake.vee.peers import mean_days, peers_of, score
from meterlake.vee.series import Series, series_of

METERS, DAYS, SLOTS = 8, 60, 48


def town() -> Series:
    kwh = np.concatenate([household(DAYS, seed) for seed in range(METERS)])
    return series_of(np.repeat(np.arange(METERS), DAYS * SLOTS), np.tile(np.arange(DAYS * SLOTS) * 30, METERS), kwh, 30)


def test_each_window_has_the_mean_day_of_each_meter() -> None:
    series = town()
    windows = mean_days(series)
    assert [days.shape for days in windows] == [(METERS, SLOTS), (METERS, SLOTS)]
    first = series.kwh[: 30 * SLOTS].reshape(30, SLOTS).mean(axis=0)
    assert np.allclose(windows[0][0], first)


def test_a_late_clock_among_peers_of_one_form_is_found_with_its_hours() -> None:
    days = np.exp(-(((np.arange(SLOTS) - 36) / 4) ** 2)) + 0.1 * np.arange(1, METERS + 1)[:, None]
    days[3] = np.roll(days[3], 6)
    gain, lag = score(days, peers_of(days))
    assert (gain.argmax(), lag[3]) == (3, 6)
    assert np.all(lag[np.arange(METERS) != 3] == 0)
