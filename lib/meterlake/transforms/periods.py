"""What the periods of a meter come to, of rows of shorter ones, with Arrow: a period is a run of neighbours."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from meterlake.sources.source import Source
from meterlake.transforms.int_readings_hourly import MICRO, QUALITIES, SHARES
from meterlake.transforms.stg_meter_readings import GRID
from meterlake.vee.clock import DAY_MINUTES, clock_of

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def begins(meter: Ints, start: Ints) -> Ints:
    """The rows at which a period begins, of rows in order of their meters' numbers and of their periods' first days."""
    return np.flatnonzero((np.diff(start, prepend=start[0] - 1) != 0) | (np.diff(meter, prepend=-1) != 0))


def energy(rows: pa.RecordBatch, begin: Ints) -> dict[str, pa.Array]:
    """`consumption_kwh`, `reading_count`, the shares of SHARES and `quality` of each period.

    Args:
        rows: hours or days with the same columns.
        begin: of `begins`.
    """
    count = rows["reading_count"].to_numpy()
    known = np.add.reduceat(count, begin)
    of_known = partial(pa.array, mask=known == 0)
    shares = {name: pc.fill_null(rows[f"{name}_share"], 0.0).to_numpy() for name in SHARES}
    quality = pc.index_in(rows["quality"], pa.array(QUALITIES)).to_numpy(zero_copy_only=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "consumption_kwh": of_known(run_sum(rows["consumption_kwh"], GRID, begin) / GRID),
            "reading_count": pa.array(known),
            **{
                f"{name}_share": of_known(np.add.reduceat(np.rint(share * count), begin) / known)
                for name, share in shares.items()
            },
            "quality": pa.DictionaryArray.from_arrays(np.maximum.reduceat(quality, begin), pa.array(QUALITIES)),
        }


def power(rows: pa.RecordBatch, begin: Ints, source: Source) -> dict[str, pa.Array]:
    """The mean, largest and smallest power and the mean voltage of each period, of rows as for `energy`."""
    count, known = rows["reading_count"].to_numpy(), hours(rows, begin, source)
    kwh = run_sum(rows["consumption_kwh"], GRID, begin) / GRID
    # A row's voltage is that of each of its readings.
    voltage = pc.multiply(rows["avg_voltage_v"], rows["reading_count"].cast(pa.float64()))
    volts = np.add.reduceat(np.where(voltage.is_valid().to_numpy(zero_copy_only=False), count, 0), begin)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "avg_power_kw": pa.array(kwh / known, mask=known == 0),
            "max_power_kw": extreme(rows["max_power_kw"], np.fmax, begin),
            "min_power_kw": extreme(rows["min_power_kw"], np.fmin, begin),
            "avg_voltage_v": pa.array(run_sum(voltage, MICRO, begin) / MICRO / volts, mask=volts == 0),
        }


def hours(rows: pa.RecordBatch, begin: Ints, source: Source, count: str = "reading_count") -> Floats:
    """(periods,) hours that the counted intervals last together, as `int_readings_hourly.hours_of` has it."""
    if source.varies:
        return np.asarray(minutes(rows, begin, count) / 60)
    return np.asarray(np.add.reduceat(rows[count].to_numpy(), begin) * (source.interval_minutes / 60))


def minutes(rows: pa.RecordBatch, begin: Ints, count: str) -> Ints:
    """(periods,) the same in minutes, of rows that tell the length of their intervals."""
    return np.asarray(np.add.reduceat(rows[count].to_numpy() * rows["interval_minutes"].to_numpy(), begin))


def peak(energy: pa.Array, begin: Ints) -> pa.Array:
    """The row of each period's largest energy, the first of equals; null where none is known."""
    known = pc.fill_null(energy, -np.inf).to_numpy()
    largest = np.maximum.reduceat(known, begin)
    rows = np.flatnonzero(known == np.repeat(largest, np.diff(begin, append=len(known))))
    return pa.array(rows[np.searchsorted(rows, begin)], mask=np.isneginf(largest))


def run_sum(values: pa.Array, steps: float, begin: Ints) -> Ints:
    """Sum of the known values of each run, on a grid of `steps` per unit: exact, whatever the order."""
    return np.add.reduceat(np.rint(pc.fill_null(values, 0.0).to_numpy() * steps).astype(np.int64), begin)


def extreme(values: pa.Array, better: Callable[..., Floats], begin: Ints) -> pa.Array:
    """The largest or smallest known value of each run; null where none is known."""
    return pa.array(better.reduceat(values.to_numpy(zero_copy_only=False), begin), from_pandas=True)  # type: ignore[attr-defined]


def expected_intervals(day: Ints, zone: str, interval_minutes: int) -> Ints:
    """(n,) intervals that begin on each local day (days since 1970), as `completeness.expected_intervals` has it."""
    days, of_row = np.unique(day, return_inverse=True)
    clock = clock_of(zone)
    shift = clock.first_minute(days + 1) - clock.first_minute(days) - DAY_MINUTES
    shifted = np.sign(shift) * (np.abs(shift) // interval_minutes)
    return np.asarray((DAY_MINUTES // interval_minutes + shifted)[of_row])
