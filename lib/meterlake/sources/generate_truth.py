"""The truth that holds for all files of a generation: its meters, its anomalies, its totals."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from meterlake.sources import generate_anomalies as anomalies
from meterlake.sources import generate_load as load
from meterlake.sources import generate_outages as outages
from meterlake.sources.generate_plan import Plan
from meterlake.sources.generate_shapes import feeder_names, meter_ids, places, transformer_names


@dataclass(frozen=True)
class Summary:
    """What was written. Lines do not count headers.

    lines = intervals - gaps (unless a gap is a line of null marks) + exact duplicates + conflicting duplicates.
    `clean_kwh` has one reading for each interval with one good line. An interval with two conflicting lines is not in
    it: the first and the second of them are summed apart, so that any rule about them can be checked.
    """

    shape: str
    seed: int
    meters: int
    start: str
    days: int
    interval_minutes: int
    rates: dict[str, float]
    intervals: int
    lines: int
    clean_readings: int
    clean_kwh: float
    conflicting_first_kwh: float
    conflicting_second_kwh: float
    defects: dict[str, int]
    anomalies: dict[str, int]
    files: dict[str, int] = field(repr=False)
    # Of the supply meters: lines by file, the energy their customers used, stolen or not, and the technical loss.
    supply_files: dict[str, int] = field(repr=False, default_factory=dict)
    used_kwh: float = 0.0
    technical_loss_kwh: float = 0.0


def summary(plan: Plan, made: list[dict[str, Any]], supplied: list[dict[str, Any]], events: pa.Table) -> Summary:
    """Totals over the files; `made` has one entry for each (generate._write_unit). Energies are summed as integers."""

    def total(name: str) -> int:
        return sum(unit[name] for unit in made)

    kwh = 10**plan.shape.energy_decimals * plan.shape.per_kwh
    found = sum((Counter(unit["defects"]) for unit in made), Counter())
    held = Counter(events["kind"].to_pylist())
    return Summary(
        shape=plan.shape_name,
        seed=plan.seed,
        meters=plan.meters,
        start=plan.start.isoformat(),
        days=plan.days,
        interval_minutes=plan.interval_minutes,
        rates=asdict(plan.rates),
        intervals=total("intervals"),
        lines=total("lines"),
        clean_readings=total("clean_readings"),
        clean_kwh=total("clean_energy") / kwh,
        conflicting_first_kwh=total("conflicting_first_energy") / kwh,
        conflicting_second_kwh=total("conflicting_second_energy") / kwh,
        defects={kind: found[kind] for kind in plan.rates.by_kind(plan.shape)},
        anomalies={kind: held[kind] for kind in anomalies.NAMES},
        files={unit["file"]: unit["lines"] for unit in made},
        supply_files={unit["file"]: unit["lines"] for unit in supplied},
        used_kwh=round(sum(unit["used_kwh"] for unit in supplied), 4),
        technical_loss_kwh=round(sum(unit["technical_loss_kwh"] for unit in supplied), 4),
    )


def anomaly_table(plan: Plan) -> pa.Table:
    """meter_id, kind, start, end (UTC, exclusive), parameter, of each event that touches the days generated.

    An event is given whole, also where it begins before the first day or ends after the last.
    """
    days = plan.first_day + np.arange(plan.days)
    months = np.unique(anomalies.months_of(days))
    meter, month = (grid.reshape(-1) for grid in np.meshgrid(np.arange(plan.meters), months, indexing="ij"))
    event = anomalies.events(plan.seed, plan.rates.anomaly, meter, month)
    touches = (event.start < (days[-1] + 1) * anomalies.DAY) & (event.end > days[0] * anomalies.DAY)
    rows = np.flatnonzero((event.kind >= 0) & touches)
    event = event[rows]
    return pa.table(
        {
            "meter_id": pa.array(meter_ids(meter[rows]), pa.string()),
            "kind": pa.array(anomalies.NAMES).take(pa.array(event.kind)),
            "start": _utc(event.start - plan.shape.ahead_minutes),
            "end": _utc(event.end - plan.shape.ahead_minutes),
            "parameter": event.parameter,
        }
    )


def meter_table(plan: Plan) -> pa.Table:
    """meter_id, region, feeder, transformer, customer_id, load_shape, mean_kw of each meter."""
    meters = load.population(plan.seed, np.arange(plan.meters), plan.shape.one_file_per_meter)
    names = ("region", "feeder", "transformer", "customer_id")
    shape = [load.SHAPES[number].name for number in meters.shape]
    columns = dict(zip(names, places(meters), strict=True))
    return pa.table(
        {"meter_id": meter_ids(meters.number), **columns, "load_shape": shape, "mean_kw": meters.mean_kw.round(4)}
    )


def outage_table(plan: Plan) -> pa.Table:
    """level, element, start, end (UTC, exclusive) of each outage that touches the days generated, given whole."""
    meters = load.population(plan.seed, np.arange(plan.meters))
    elements = (
        ("feeder", np.unique(meters.feeder), feeder_names),
        ("transformer", np.unique(meters.transformer), transformer_names),
        ("meter", meters.number, meter_ids),
    )
    first, last = plan.first_day * outages.DAY, (plan.first_day + plan.days) * outages.DAY
    days = plan.first_day + np.arange(-1, plan.days)
    tables = []
    for level, numbers, names in elements:
        day, element = (grid.reshape(-1) for grid in np.meshgrid(days, numbers, indexing="ij"))
        start, end = outages.begun(plan.seed, plan.rates.outage, level, element, day)
        rows = np.flatnonzero((end > start) & (end > first) & (start < last))
        columns = {"level": pa.array([level] * len(rows), pa.string()), "element": names(element[rows])}
        tables.append(pa.table({**columns, "start": _utc(start[rows]), "end": _utc(end[rows])}))
    return pa.concat_tables(tables, promote_options="permissive")


def _utc(minutes: np.ndarray) -> pa.Array:
    return pa.array((minutes * 60).astype("datetime64[s]")).cast(pa.string())
