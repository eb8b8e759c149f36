"""The supply meters of the made-up grid: what feeders and transformers take in, losses and stolen energy included.

A transformer takes in what its customers really use, its own loss (no-load, and load loss with the square of the load)
and that of its low-voltage lines; a feeder takes in its transformers and the loss of its medium-voltage line. Supply
meters have neither gaps nor bad lines: what the balance finds is the customers'.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv

from meterlake.sources import generate_anomalies as anomalies
from meterlake.sources import generate_load as load
from meterlake.sources import generate_outages as outages
from meterlake.sources.generate_draws import Floats, Ints, normal, uniform
from meterlake.sources.generate_plan import Plan
from meterlake.sources.generate_shapes import decimals, feeder_names, transformer_names

# Rated kVA, load loss and no-load loss in W of oil-immersed transformers: EU 548/2014, table I.1, tier 1 (Ck, A0).
RATINGS = np.array([25, 50, 100, 160, 250, 315, 400, 500, 630, 800, 1000], dtype=np.float64)
LOAD_LOSS_KW = np.array([900, 1100, 1750, 2350, 3250, 3900, 4600, 5500, 6500, 8400, 10500]) / 1000
NO_LOAD_LOSS_KW = np.array([70, 90, 145, 210, 300, 360, 430, 510, 600, 650, 770]) / 1000
MEAN_OF_RATING = 0.4
# Shares lost in the lines at the mean load: lowest, highest.
LOW_VOLTAGE, MEDIUM_VOLTAGE = (0.01, 0.03), (0.005, 0.015)
CLASS_ERROR = 0.002  # of one interval's reading


@dataclass(frozen=True)
class Supply:
    """One day of some elements: arrays (e, k) in kWh, and names and places of the e elements."""

    level: str
    number: Ints
    region: Ints
    feeder: Ints
    used: Floats
    lost: Floats
    recorded: Floats


def supply_of(plan: Plan, district: int, day: int) -> tuple[Supply, Supply]:
    """The transformers and the feeders of a district of 4,000 meters on a day (days since 1970-01-01)."""
    first = district * load.METERS_PER_DISTRICT
    number = np.arange(first, min(first + load.METERS_PER_DISTRICT, plan.meters))
    meters = load.population(plan.seed, number)
    used = really_used(plan, meters, np.full(len(number), day))
    place, transformer = np.unique(meters.transformer, return_inverse=True)
    mean_kw = np.bincount(transformer, meters.mean_kw).astype(np.float64)
    taken = _summed(used, transformer, len(place))
    hours = plan.interval_minutes / 60
    lost = _transformer_loss(plan.seed, place, mean_kw, taken / hours) * hours
    head = np.searchsorted(meters.transformer, place)
    feeder, region = meters.feeder[head], meters.region[head]
    transformers = _supply(plan, "transformer", place, region, feeder, taken, lost, day)

    feeders, of = np.unique(feeder, return_inverse=True)
    arriving = _summed(taken + lost, of, len(feeders))
    share = _drawn(plan.seed, "medium voltage", feeders, MEDIUM_VOLTAGE)[:, None]
    line = share * arriving**2 / (np.bincount(of, mean_kw)[:, None] * hours)
    region_of = np.zeros(len(feeders), dtype=np.int64)
    region_of[of] = region
    lost_below = _summed(lost, of, len(feeders))
    used_below = _summed(taken, of, len(feeders))
    return transformers, _supply(plan, "feeder", feeders, region_of, feeders, used_below, lost_below + line, day)


def delivered(plan: Plan, supplies: tuple[Supply, ...], day: int) -> bytes:
    """The lines of a day's file: meter by meter, by time."""
    k = 1440 // plan.interval_minutes
    stamps = ((day * 1440 + np.arange(k) * plan.interval_minutes) * 60).astype("datetime64[s]")
    tables = []
    for supply in supplies:
        at_transformer = supply.level == "transformer"
        texts = {
            "meter_id": [f"S{name}" for name in names(supply)],
            "region": [load.REGIONS[region] for region in supply.region],
            "feeder": feeder_names(supply.feeder),
            "transformer": names(supply) if at_transformer else [None] * len(supply.number),
        }
        rows = pa.array(np.repeat(np.arange(len(supply.number)), k))
        columns = {name: pa.array(text, pa.string()).take(rows) for name, text in texts.items()}
        time = pa.array(np.tile(stamps, len(supply.number))).cast(pa.string())
        energy = decimals(supply.recorded, 4)
        tables.append(
            pa.table({"meter_id": columns.pop("meter_id"), "timestamp": time, "consumption_kwh": energy, **columns})
        )
    sink = pa.BufferOutputStream()
    csv.write_csv(pa.concat_tables(tables), sink, csv.WriteOptions(quoting_style="none", quoting_header="none"))
    return sink.getvalue().to_pybytes()


def truth(plan: Plan, supplies: tuple[Supply, ...], day: int) -> pa.Table:
    """level, element, day, used_kwh (by the customers, stolen or not), technical_loss_kwh, of each element."""
    date = str(np.datetime64(day, "D"))
    tables = [
        pa.table(
            {
                "level": [supply.level] * len(supply.number),
                "element": names(supply),
                "day": [date] * len(supply.number),
                "used_kwh": supply.used.sum(axis=1).round(4),
                "technical_loss_kwh": supply.lost.sum(axis=1).round(4),
            }
        )
        for supply in supplies
    ]
    return pa.concat_tables(tables)


def names(supply: Supply) -> list[str]:
    """As in the customers' lines."""
    return transformer_names(supply.number) if supply.level == "transformer" else feeder_names(supply.number)


def really_used(plan: Plan, meters: load.Meters, day: Ints) -> Floats:
    """The energy that flows, (n, k): only events that are no fault of the meter count, and outages."""
    temperature_c = load.temperature(plan.seed, meters.region, day, plan.interval_minutes)
    used = load.true_kwh(plan.seed, meters, day, plan.interval_minutes, temperature_c)
    event = anomalies.events(plan.seed, plan.rates.anomaly, meters.number, anomalies.months_of(day))
    real = np.array([kind.real for kind in anomalies.KINDS])
    flows = anomalies.Events(np.where(real[event.kind], event.kind, -1), event.start, event.end, event.parameter)
    flowing = anomalies.recorded_kwh(used, flows, day, meters.mean_kw * plan.interval_minutes / 60.0)[0]
    return flowing * (1.0 - outages.dark(plan.seed, plan.rates.outage, meters, day, plan.interval_minutes))


def _transformer_loss(seed: int, number: Ints, mean_kw: Floats, load_kw: Floats) -> Floats:
    """Loss in kW, (e, k), of transformers and their low-voltage lines; the rating is the next that fits."""
    size = np.minimum(np.searchsorted(RATINGS, mean_kw / MEAN_OF_RATING), len(RATINGS) - 1)
    # Larger than the largest: as many of those side by side as it takes.
    beside = np.ceil(mean_kw / MEAN_OF_RATING / RATINGS[size])
    square = load_kw**2
    load_loss = (LOAD_LOSS_KW[size] / RATINGS[size] ** 2 / beside)[:, None] * square
    lines = (_drawn(seed, "low voltage", number, LOW_VOLTAGE) / mean_kw)[:, None] * square
    return (NO_LOAD_LOSS_KW[size] * beside)[:, None] + load_loss + lines


def _supply(
    plan: Plan, level: str, number: Ints, region: Ints, feeder: Ints, used: Floats, lost: Floats, day: int
) -> Supply:
    noise = normal(plan.seed, f"supply of {level}", number, np.full(len(number), day), count=used.shape[1])
    return Supply(level, number, region, feeder, used, lost, (used + lost) * (1 + CLASS_ERROR * noise))


def _drawn(seed: int, purpose: str, number: Ints, bounds: tuple[float, float]) -> Floats:
    return bounds[0] + (bounds[1] - bounds[0]) * uniform(seed, purpose, number)


def _summed(values: Floats, group: Ints, groups: int) -> Floats:
    total = np.zeros((groups, values.shape[1]))
    np.add.at(total, group, values)
    return total
