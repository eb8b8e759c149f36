"""Synthetic load with a known week."""

import numpy as np
import pandas as pd

from meterlake.forecast.model import Element
from meterlake.forecast.series import LoadSeries
from meterlake.vee.clock import clock_of

MINUTES_2024 = 28_401_120  # 2024-01-01 00:00 UTC, a Monday


def weekly(days: int, noise: float = 0.05, first_minute: int = MINUTES_2024) -> LoadSeries:
    """An evening peak, half of it at weekends, and noise that does not depend on the length."""
    hour = np.arange(days * 24)
    peak = np.exp(-(((hour % 24) - 19) ** 2) / 8) * np.where(hour // 24 % 7 >= 5, 0.5, 1.0)
    return LoadSeries(first_minute, 1.0 + peak + noise * np.random.default_rng(5).standard_normal(days * 24))


def element(series: LoadSeries, zone: str = "UTC", country: str | None = None) -> Element:
    return Element.of(series, clock_of(zone), country)


def hours(series: LoadSeries, **about: object) -> pd.DataFrame:
    """Rows as the step hands them to an element."""
    known = ~np.isnan(series.kwh)
    values = {"minute": series.minutes, "kwh": series.kwh, "completeness": 1.0, "temperature_c": np.nan}
    return pd.DataFrame({"level": "feeder", "element": "f1"} | values | about)[known]
