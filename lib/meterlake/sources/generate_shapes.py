"""The three kinds of file: header, cadence, clock, and the columns of a block of readings.

Numbers travel as integers that carry their decimals (12345 with 4 decimals is 1.2345): sums are exact, and Arrow prints
them without rounding and faster than floats.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from meterlake.sources import generate_anomalies as anomalies
from meterlake.sources import generate_load as load
from meterlake.sources import generate_outages as outages
from meterlake.sources.generate_draws import Floats, Ints, normal, uniform


@dataclass(frozen=True)
class Block:
    """The readings of n (meter, day) rows with k intervals each."""

    seed: int
    anomaly_rate: float
    meters: load.Meters
    day: Ints
    interval_minutes: int
    temperature_c: Floats
    kwh: Floats  # as recorded, before rounding
    held: NDArray[np.bool_]  # by an anomaly
    volts: Floats


def _iso(time: np.datetime64) -> list[str]:
    return [str(time).replace("T", " ")]


@dataclass(frozen=True)
class Shape:
    """How a kind of file looks. `columns(block, energy)` gives its columns; `energy` are rounded integers, (n, k)."""

    name: str
    columns: Callable[[Block, Ints], list[pa.Array]]
    header: str
    separator: str = ","
    suffix: str = ".csv"
    # None: any.
    interval_minutes: int | None = None
    # Then the meters are homes.
    one_file_per_meter: bool = True
    # First field of the time, and the first after it.
    time_at: tuple[int, int] = (0, 1)
    stamp: Callable[[np.datetime64], list[str]] = _iso
    energy_field: int = 1
    energy_decimals: int = 4
    # What one kWh in an interval is in the energy column: 1 for kWh, 60 for the mean kW of a minute.
    per_kwh: int = 1
    # Minutes by which the file's clock is ahead of UTC.
    ahead_minutes: int = 0
    # What follows the time of a missing interval; empty: the line is not there.
    missing: tuple[str, ...] = ()

    @property
    def time_fields(self) -> slice:
        return slice(*self.time_at)

    def energy(self, block: Block) -> Ints:
        """The recorded energy in the file's unit as integers that carry `energy_decimals`."""
        return rounded(block.kwh * self.per_kwh, self.energy_decimals)


def block(
    seed: int,
    anomaly_rate: float,
    number: Ints,
    day: Ints,
    interval_minutes: int,
    homes_only: bool = False,
    outage_rate: float = 0.0,
) -> Block:
    """All that is recorded for these meters on these days (arrays of equal length)."""
    meters = load.population(seed, number, homes_only)
    temperature_c = load.temperature(seed, meters.region, day, interval_minutes)
    used = load.true_kwh(seed, meters, day, interval_minutes, temperature_c)
    event = anomalies.events(seed, anomaly_rate, number, anomalies.months_of(day))
    kwh, held = anomalies.recorded_kwh(used, event, day, meters.mean_kw * interval_minutes / 60.0)
    volts = load.voltage(seed, meters, day, used, interval_minutes)
    lit = 1.0 - outages.dark(seed, outage_rate, meters, day, interval_minutes)
    kwh, volts = kwh * lit, volts * lit
    return Block(seed, anomaly_rate, meters, day, interval_minutes, temperature_c, kwh, held, volts)


def meter_ids(number: Ints) -> list[str]:
    return [f"M{n:07d}" for n in number]


def seconds(block: Block) -> NDArray[np.datetime64]:
    """Start of each interval by the file's clock, flat, n x k."""
    minute = block.day[:, None] * 1440 + np.arange(block.kwh.shape[1]) * block.interval_minutes
    return (minute.reshape(-1) * 60).astype("datetime64[s]")


def rounded(values: Floats | Ints, places: int) -> Ints:
    """To integers that carry `places` decimals."""
    return np.rint(values * 10.0**places).astype(np.int64)


def decimals(values: Floats | Ints, places: int) -> pa.Array:
    """A flat decimal column of floats, or of integers that carry `places` decimals already. No copy, no cast."""
    whole = rounded(values, places) if np.issubdtype(values.dtype, np.floating) else values
    whole = np.ascontiguousarray(whole, dtype=np.int64).reshape(-1)
    return pa.Array.from_buffers(pa.decimal64(18, places), len(whole), [None, pa.py_buffer(whole)])


def _each(texts: list[str], intervals: int) -> pa.Array:
    """One text for each row, repeated for its k intervals."""
    return pa.array(texts, pa.string()).take(pa.array(np.repeat(np.arange(len(texts)), intervals)))


def _ami(block: Block, energy: Ints) -> list[pa.Array]:
    k, meters = block.kwh.shape[1], block.meters
    return [
        _each(meter_ids(meters.number), k),
        pa.array(seconds(block)).cast(pa.string()),
        decimals(energy, 4),
        decimals(block.volts, 1),
        decimals(block.temperature_c, 1),
        *(_each(place, k) for place in places(meters)),
    ]


def places(meters: load.Meters) -> list[list[str]]:
    """Region, feeder, transformer and customer of each meter, by name."""
    return [
        [load.REGIONS[region] for region in meters.region],
        feeder_names(meters.feeder),
        transformer_names(meters.transformer),
        [f"C{number:07d}" for number in meters.number],
    ]


def feeder_names(number: Ints) -> list[str]:
    return [f"F{n:04d}" for n in number]


def transformer_names(number: Ints) -> list[str]:
    return [f"T{n:05d}" for n in number]


def _smart_meter(these: Block, energy: Ints) -> list[pa.Array]:
    """One meter, day after day. The average past consumption is the mean of the 24 hours before the interval."""
    k, number, day = these.kwh.shape[1], these.meters.number, these.day
    eve = block(these.seed, these.anomaly_rate, number[:1], day[:1] - 1, these.interval_minutes, homes_only=True)
    running = np.cumsum(np.concatenate([[0], rounded(eve.kwh, 4).reshape(-1), energy.reshape(-1)]))
    humidity = 63.0 - 1.2 * (these.temperature_c - 15.0) + 4.0 * normal(these.seed, "humidity", number, day, count=k)
    wind = np.abs(14.0 + 5.0 * normal(these.seed, "wind", number, day, count=k))
    return [
        pa.array(seconds(these)).cast(pa.string()),
        decimals(energy, 4),
        decimals(these.temperature_c, 1),
        decimals(np.clip(humidity, 5.0, 100.0), 1),
        decimals(wind, 1),
        decimals((running[k:-1] - running[: -k - 1]) // k, 4),
        pa.array(["Normal", "Abnormal"]).take(pa.array(these.held.reshape(-1).astype(np.int8))),
    ]


def _household_power(block: Block, energy: Ints) -> list[pa.Array]:
    """Minute means of kW and kVAr, volts, amperes, and the Wh of three sub-meters, whole as in the real file."""
    k, seed, number, day = block.kwh.shape[1], block.seed, block.meters.number, block.day
    watt_hours = energy / 60.0  # mean W of the minute as Wh
    share = np.stack([uniform(seed, f"sub-meter {i}", number, day, count=24) for i in (1, 2, 3)])
    share = np.repeat(share * np.array([0.2, 0.2, 0.5])[:, None, None], k // 24, axis=2)
    reactive = energy * (0.05 + 0.15 * uniform(seed, "reactive", number, day, count=k))
    time = seconds(block)
    return [
        _each([_uci(np.datetime64(d, "D"))[0] for d in day.tolist()], k),
        pa.array(time[:k]).cast(pa.time32("s")).cast(pa.string()).take(pa.array(np.tile(np.arange(k), len(day)))),
        decimals(energy, 3),
        decimals(reactive.astype(np.int64), 3),
        decimals(block.volts, 3),
        decimals(energy / block.volts, 1),
        *(decimals(np.floor(watt_hours * part), 3) for part in share),
    ]


def _uci(time: np.datetime64) -> list[str]:
    """Date and time; day and month without a leading zero, as in the published file."""
    date, _, clock = str(time).partition("T")
    year, month, day = date.split("-")
    return [f"{int(day)}/{int(month)}/{year}", clock]


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            name="ami",
            columns=_ami,
            header="meter_id,timestamp,consumption_kwh,voltage_v,temperature_c,region,feeder,transformer,customer_id",
            one_file_per_meter=False,
            time_at=(1, 2),
            energy_field=2,
        ),
        Shape(
            name="smart_meter",
            columns=_smart_meter,
            header="Timestamp,Electricity_Consumed,Temperature,Humidity,Wind_Speed,Avg_Past_Consumption,Anomaly_Label",
            interval_minutes=30,
        ),
        Shape(
            name="household_power",
            columns=_household_power,
            header="Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;"
            "Sub_metering_1;Sub_metering_2;Sub_metering_3",
            separator=";",
            suffix=".txt",
            interval_minutes=1,
            time_at=(0, 2),
            stamp=_uci,
            energy_field=2,
            energy_decimals=3,
            per_kwh=60,
            ahead_minutes=60,
            missing=("?",) * 6 + ("",),
        ),
    )
}
