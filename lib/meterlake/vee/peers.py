"""Could a clock that was always wrong be told by the peers? Measured on real meters, whose clocks are taken as right.

A meter's mean day of 30 days is turned (as a clock that is late from the first day on would) and compared with the mean
day of all others: by how much does the circular cross-correlation gain at its best hour?
"""

from pathlib import Path

import numpy as np

from meterlake.sources.delivery import files_of
from meterlake.sources.source import Source
from meterlake.text_tables import Lines
from meterlake.vee.files import readings_of
from meterlake.vee.judge import series_from
from meterlake.vee.series import Floats, Ints, Series

WINDOW_DAYS, KNOWN_SHARE = 30, 0.7
LATE_HOURS = (1, 2, 3, 4, 6, 9, 12)
ALARM_SHARES = (0.001, 0.01, 0.05)  # of the meters whose clock is right
NEAR_HOURS = 1  # a lag this near to the true one is right
WRONG_CLOCKS = 0.001  # of all meters: for the precision


def evaluate(path: str, source: Source) -> tuple[str, Lines]:
    """What was measured on in a sentence, and a table by hours that the clock is late."""
    readings = readings_of([Path(file) for file in files_of(path)], source)
    series, _ = series_from(readings, source)
    windows = mean_days(series)
    peers = [peers_of(days) for days in windows]
    right = [score(days, others) for days, others in zip(windows, peers, strict=True)]
    gains = np.concatenate([gain for gain, _ in right])
    bounds = [float(np.quantile(gains, 1 - share, method="higher")) for share in ALARM_SHARES]
    head = ("clock late by", *(f"found, {share:.1%} false alarms" for share in ALARM_SHARES))
    rows: Lines = [(*head, "with the right hour", f"precision at {ALARM_SHARES[0]:.1%}")]
    for hours in LATE_HOURS:
        turned = [
            score(np.roll(days, series.intervals(hours), axis=1), others)
            for days, others in zip(windows, peers, strict=True)
        ]
        gain, lag = (np.concatenate(part) for part in zip(*turned, strict=True))
        found = [float((gain > bound).mean()) for bound in bounds]
        off = np.abs(lag - series.intervals(hours))
        near = np.minimum(off, series.slots - off) <= series.intervals(NEAR_HOURS)
        true, false = found[0] * WRONG_CLOCKS, ALARM_SHARES[0] * (1 - WRONG_CLOCKS)
        rows.append(
            (
                f"{hours} h",
                *(f"{share:.0%}" for share in found),
                f"{((gain > bounds[-1]) & near).mean():.0%}",
                f"{true / (true + false):.1%}",
            )
        )
    lags = np.concatenate([lag for _, lag in right])
    unlike = float((np.abs(lags) >= series.intervals(2)).mean())
    said = (
        f"{len(np.unique(series.meter))} meters, {len(gains):,} mean days of {WINDOW_DAYS} days; of meters whose clock "
        f"is right {unlike:.0%} resemble their peers best when moved by 2 h or more."
    )
    return said, rows


def mean_days(series: Series) -> list[Floats]:
    """The mean day of each meter in each window, (meters, slots): of those of which enough is known."""
    window = (series.day - series.day.min()) // WINDOW_DAYS
    meters, slots = int(series.meter.max()) + 1, series.slots
    cell = (window * meters + series.meter[series.number]) * slots + series.slot
    size = (int(window.max()) + 1) * meters * slots
    total, count = (
        np.bincount(cell[series.known], weights, size).reshape(-1, meters, slots)
        for weights in (series.kwh[series.known], None)
    )
    enough = (count >= KNOWN_SHARE * WINDOW_DAYS).all(axis=2) & (total.max(axis=2) > total.min(axis=2))
    return [total[n][rows] / count[n][rows] for n, rows in enumerate(enough) if rows.sum() > 2]


def score(days: Floats, peers: Floats) -> tuple[Floats, Ints]:
    """By how much the correlation with the peers' day gains when a day is moved, and by how many intervals."""
    own, others = (
        (part - part.mean(axis=1, keepdims=True)) / part.std(axis=1, keepdims=True) for part in (days, peers)
    )
    half = days.shape[1] // 2
    lags = np.arange(1 - half, half + 1)
    alike = np.stack([(np.roll(own, -lag, axis=1) * others).mean(axis=1) for lag in lags], axis=1)
    best = alike.argmax(axis=1)
    return alike[np.arange(len(best)), best] - alike[:, half - 1], lags[best]


def peers_of(days: Floats) -> Floats:
    """The mean of the others' days, each at its own level, for each of them."""
    level = days / days.mean(axis=1, keepdims=True)
    return np.asarray((level.sum(axis=0) - level) / (len(level) - 1))
