"""What the made-up world uses: who the customers are, how warm it is, how much energy each meter sees.

All functions take arrays of meters and days (days since 1970-01-01) of equal length n and return one row for each pair,
with one column for each of the k intervals of that day.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from meterlake.sources.generate_draws import Floats, Ints, normal, uniform

REGIONS = ("north", "south", "east", "west", "centre")
REGION_MEAN_C = np.array([10.0, 21.0, 15.0, 13.0, 17.0])
METERS_PER_TRANSFORMER = 20
TRANSFORMERS_PER_FEEDER = 10
FEEDERS_PER_DISTRICT = 20
METERS_PER_DISTRICT = METERS_PER_TRANSFORMER * TRANSFORMERS_PER_FEEDER * FEEDERS_PER_DISTRICT
# Below the 100 kWh that the row rules reject, so that what is rejected as out of range was injected as such.
LARGEST_KWH = 95.0


@dataclass(frozen=True)
class LoadShape:
    """A kind of customer: its share of all meters, its mean load and how that moves."""

    name: str
    share: float
    mean_kw: float
    # Standard deviation of log(size) between meters, and of log(load) between intervals.
    spread: float
    noise: float
    # Load by hour of a working day and of a weekend day; only the form counts.
    weekday: tuple[float, ...]
    weekend: tuple[float, ...]
    # Share added in the middle of winter and taken away in summer; negative for a summer load.
    winter: float = 0.0
    # Share added for each degree above 22 C and below 14 C.
    cooling_per_c: float = 0.0
    heating_per_c: float = 0.0
    # Share of days on which next to nothing runs.
    idle: float = 0.0


MORNING_AND_EVENING = (4, 3, 3, 3, 3, 4, 8, 13, 12, 8, 7, 7, 8, 7, 7, 8, 10, 14, 19, 21, 19, 15, 10, 6)
LATE_RISER = (6, 4, 3, 3, 3, 3, 4, 6, 9, 12, 13, 13, 14, 13, 12, 12, 12, 14, 18, 20, 19, 16, 12, 8)
EVENING = (7, 4, 3, 2, 2, 2, 3, 5, 5, 4, 4, 4, 4, 4, 4, 5, 7, 11, 17, 23, 25, 22, 17, 11)
OPENING_HOURS = (3, 3, 3, 3, 3, 3, 4, 7, 14, 19, 21, 21, 20, 20, 21, 21, 20, 18, 14, 9, 5, 4, 3, 3)
CLOSED = (3, 3, 3, 3, 3, 3, 3, 3, 4, 5, 6, 6, 6, 6, 5, 5, 4, 4, 4, 3, 3, 3, 3, 3)
TWO_SHIFTS = (7, 7, 7, 7, 8, 11, 16, 18, 18, 18, 18, 17, 17, 18, 18, 18, 18, 18, 17, 16, 15, 13, 9, 7)
STANDBY = (7, 7, 7, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 7, 7, 7, 7, 7, 7)
NIGHT_PUMP = (22, 24, 24, 24, 24, 22, 12, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 6, 12, 18, 21)
DUSK_TO_DAWN = (20, 20, 20, 20, 20, 18, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 10, 18, 20, 20, 20, 20, 20)

SHAPES = (
    LoadShape("residential", 0.55, 0.45, 0.45, 0.30, MORNING_AND_EVENING, LATE_RISER, 0.10, 0.05, 0.02),
    LoadShape("residential_evening", 0.22, 0.30, 0.45, 0.35, EVENING, LATE_RISER, 0.10, 0.04, 0.02),
    LoadShape("small_commercial", 0.12, 2.0, 0.55, 0.15, OPENING_HOURS, CLOSED, 0.0, 0.04, 0.01),
    LoadShape("industrial", 0.03, 11.0, 0.35, 0.08, TWO_SHIFTS, STANDBY, 0.0, 0.005, 0.005),
    LoadShape("agricultural_pump", 0.05, 2.5, 0.40, 0.15, NIGHT_PUMP, NIGHT_PUMP, -0.45, 0.0, 0.0, 0.3),
    LoadShape("street_light", 0.03, 0.8, 0.40, 0.02, DUSK_TO_DAWN, DUSK_TO_DAWN, 0.20),
)
# The first ones of SHAPES.
HOMES = 2


@dataclass(frozen=True)
class Meters:
    """Who the meters are; every field is an array of length n. A meter's place follows from its number alone."""

    number: Ints
    region: Ints
    feeder: Ints
    transformer: Ints
    shape: Ints
    mean_kw: Floats


def population(seed: int, number: Ints, homes_only: bool = False) -> Meters:
    """Who the meters with these numbers are; `homes_only` leaves residential load shapes.

    Transformers go round the 20 feeders of a district of 4,000 meters, feeders round the regions, so that a few hundred
    meters already have several of each.
    """
    transformer = number // METERS_PER_TRANSFORMER
    district = number // METERS_PER_DISTRICT
    feeder = district * FEEDERS_PER_DISTRICT + transformer % FEEDERS_PER_DISTRICT
    shares = np.cumsum([shape.share for shape in SHAPES])
    luck = uniform(seed, "shape", number) * (shares[HOMES - 1] if homes_only else 1.0)
    shape = np.minimum(np.searchsorted(shares, luck, side="right"), len(SHAPES) - 1)
    size = np.exp(_of_shape("spread", shape) * normal(seed, "size", number))
    return Meters(number, feeder % len(REGIONS), feeder, transformer, shape, _of_shape("mean_kw", shape) * size)


def true_kwh(seed: int, meters: Meters, day: Ints, interval_minutes: int, temperature_c: Floats) -> Floats:
    """Energy used in each interval, kWh, (n, k).

    mean load x form of the day x season x weather x luck of the day x noise with a memory of one interval.
    """
    shape = meters.shape
    weekend = ((day + 3) % 7 >= 5).astype(np.int64)  # 1970-01-01 was a Thursday
    warmth = _of_shape("cooling_per_c", shape)[:, None] * np.maximum(temperature_c - 22.0, 0.0)
    warmth += _of_shape("heating_per_c", shape)[:, None] * np.maximum(14.0 - temperature_c, 0.0)
    idle = uniform(seed, "idle", meters.number, day) < _of_shape("idle", shape)
    level = meters.mean_kw * (1.0 + _of_shape("winter", shape) * winter(day)) * np.where(idle, 0.03, 1.0)
    level *= np.exp(0.12 * normal(seed, "luck", meters.number, day)) * interval_minutes / 60.0
    shock = normal(seed, "noise", meters.number, day, count=1440 // interval_minutes)
    shock[:, 1:] += 0.7 * shock[:, :-1]
    kwh = np.exp(_of_shape("noise", shape)[:, None] * shock)
    kwh *= _forms(interval_minutes)[shape, weekend] * (1.0 + warmth) * level[:, None]
    return np.minimum(kwh, LARGEST_KWH)


def temperature(seed: int, region: Ints, day: Ints, interval_minutes: int) -> Floats:
    """Air temperature, C, (n, k): region + season + time of day (warmest at 15:00) + weather that changes over days."""
    place, row = np.unique(np.stack([region, day]), axis=1, return_inverse=True)
    region, day = place
    part = _hours(interval_minutes) / 24.0
    today, tomorrow = _spell(seed, region, day), _spell(seed, region, day + 1)
    spell = today[:, None] + (tomorrow - today)[:, None] * part
    daily = 5.0 * np.cos(2 * np.pi * (part - 15 / 24))
    return (REGION_MEAN_C[region][:, None] - 9.0 * winter(day)[:, None] + daily + spell)[row.reshape(-1)]


def voltage(seed: int, meters: Meters, day: Ints, kwh: Floats, interval_minutes: int) -> Floats:
    """Volts, (n, k): 230, the feeder's own offset, a drop under load and noise; within 5 % of nominal."""
    offset = 1.2 * normal(seed, "feeder", meters.feeder)
    load = kwh / (meters.mean_kw[:, None] * interval_minutes / 60.0)
    noise = normal(seed, "voltage", meters.number, day, count=kwh.shape[1])
    return 231.0 + offset[:, None] - 1.5 * np.minimum(load, 4.0) + 0.8 * noise


def winter(day: Ints) -> Floats:
    """1 in the middle of January, -1 in the middle of July."""
    return np.cos(2 * np.pi * (day - 14) / 365.25)


def _spell(seed: int, region: Ints, day: Ints) -> Floats:
    """Warm and cold spells: a five-day mean of daily draws, about 3 C."""
    return 6.0 * np.mean([normal(seed, "spell", region, day - lag) for lag in range(5)], axis=0)


def _of_shape(field: str, shape: Ints) -> Floats:
    return np.array([getattr(kind, field) for kind in SHAPES])[shape]


def _hours(interval_minutes: int) -> Floats:
    return np.arange(1440 // interval_minutes) * interval_minutes / 60.0


@lru_cache
def _forms(interval_minutes: int) -> Floats:
    """(shapes, 2, k): load of a weekday and a weekend day, hours joined by straight lines, a week's mean of 1."""
    hours = _hours(interval_minutes)
    days = [[np.interp(hours, np.arange(25), (*day, day[0])) for day in (s.weekday, s.weekend)] for s in SHAPES]
    forms = np.array(days)
    week = (5 * forms[:, 0] + 2 * forms[:, 1]).mean(axis=1) / 7
    return forms / week[:, None, None]
