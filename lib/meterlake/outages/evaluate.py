"""How well interruptions are told apart: grids of the generator, where every minute without power is known.

Without Spark: readings as the files hold them, the findings of the rules, and the neighbours of each feeder.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from meterlake.outages.interruptions import DEAD, SILENT, ZERO
from meterlake.outages.line import told_of_line
from meterlake.sources import generate_defects as defects
from meterlake.sources import generate_outages as power
from meterlake.sources.generate_plan import Plan
from meterlake.sources.generate_shapes import block
from meterlake.sources.generate_truth import meter_table, outage_table
from meterlake.vee import rules_runs
from meterlake.vee.series import series_of

LEVELS = ("feeder", "transformer", "meter")
NOT = "not"


@dataclass(frozen=True)
class World:
    """A grid in a month, and what is told of it.

    Attributes:
        meters: `meter_id`, `transformer`, `feeder`.
        true: `level`, `element`, `begin`, `end` (minutes since 1970) of each outage that holds a whole interval.
        told: rows of line.FOUND.
        first, last: the month in minutes since 1970.
    """

    meters: pd.DataFrame
    true: pd.DataFrame
    told: pd.DataFrame
    first: int
    last: int


@dataclass(frozen=True)
class Indices:
    """Of all meters: SAIDI in minutes and SAIFI."""

    saidi: float
    saifi: float


def world(plan: Plan) -> World:
    """A plan's days as one month."""
    meters = meter_table(plan).select(["meter_id", "region", "feeder", "transformer"]).to_pandas()
    first, last = plan.first_day * power.DAY, (plan.first_day + plan.days) * power.DAY
    runs = _runs(plan, meters).assign(first=first, last=last)
    told = [
        told_of_line(pa.Table.from_pandas(of_feeder, preserve_index=False), zero_is_dark=False).to_pandas()
        for _, of_feeder in runs.groupby("feeder")
    ]
    true = outage_table(plan).to_pandas()
    for name, column in (("begin", "start"), ("end", "end")):
        true[name] = pd.to_datetime(true[column]).astype("datetime64[s]").astype("int64") // 60
    true["begin"], true["end"] = true["begin"].clip(lower=first), true["end"].clip(upper=last)
    step = plan.interval_minutes
    whole = true[-(-true["begin"] // step) * step + step <= true["end"]]
    return World(meters, whole.reset_index(drop=True), pd.concat(told, ignore_index=True), first, last)


def told_as(one: World) -> pd.DataFrame:
    """Outages put in by level, and as what they are told: the largest element that has an interruption at the time."""
    place = {"feeder": "feeder", "transformer": "transformer", "meter": "meter_id"}
    rows = []
    for level, element, begin, end in one.true[["level", "element", "begin", "end"]].itertuples(index=False):
        on = one.meters[one.meters[place[level]] == element]
        at = one.told[(one.told["begin"] < end) & (one.told["end"] > begin) & (one.told["evidence"] != "silence")]
        seen = [kind for kind in LEVELS if (at["element"][at["kind"] == kind].isin(on[place[kind]])).any()]
        rows.append((level, seen[0] if seen else NOT))
    return pd.DataFrame(rows, columns=["put in", "told as"])


def precision(one: World) -> pd.DataFrame:
    """Interruptions of feeders and transformers told, and the largest element that was out then."""
    rows = []
    told = one.told[(one.told["kind"] != "meter") & (one.told["evidence"] != "silence")]
    for kind, begin, end, feeder, transformer in told[["kind", "begin", "end", "feeder", "transformer"]].itertuples(
        index=False
    ):
        at = one.true[(one.true["begin"] < end) & (one.true["end"] > begin)]
        on = one.meters[one.meters["transformer"] == transformer] if kind == "transformer" else one.meters
        on = on[on["feeder"] == feeder]
        names = {"feeder": {feeder}, "transformer": set(on["transformer"]), "meter": set(on["meter_id"])}
        out = [level for level in LEVELS if at["element"][at["level"] == level].isin(names[level]).any()]
        rows.append((kind, out[0] if out else "nothing"))
    return pd.DataFrame(rows, columns=["told as", "was out"])


def indices(one: World) -> tuple[Indices, Indices]:
    """Of the outages of feeders and transformers as they were, and as told."""
    of_grid = one.true[one.true["level"] != "meter"]
    minutes = customers = 0
    for (feeder, transformer), meters in one.meters.groupby(["feeder", "transformer"]):
        at = of_grid[of_grid["element"].isin([feeder, transformer])].sort_values("begin")
        latest = at["end"].cummax().shift(fill_value=0)
        minutes += len(meters) * int((at["end"] - np.maximum(at["begin"], latest)).clip(lower=0).sum())
        customers += len(meters) * int((at["begin"] > latest).sum())
    told = one.told[(one.told["kind"] != "meter") & (one.told["evidence"] != "silence")]
    count = len(one.meters)
    found = Indices(told["customer_minutes"].sum() / count, told["customers_interrupted"].sum() / count)
    return Indices(minutes / count, customers / count), found


def _runs(plan: Plan, meters: pd.DataFrame) -> pd.DataFrame:
    """Findings of each meter with its place and its neighbours' number."""
    kwh, volts = _recorded(plan)
    count, width = kwh.shape
    minute = plan.first_day * power.DAY + np.arange(width) * plan.interval_minutes
    numbers = np.repeat(np.arange(count), width)
    series = series_of(
        numbers, np.tile(minute, count), kwh.reshape(-1), plan.interval_minutes, voltage_v=volts.reshape(-1)
    )
    parts = []
    for rule, state in ((rules_runs.outage, DEAD), (rules_runs.zero_run, ZERO), (rules_runs.gap, SILENT)):
        found = rule(series)
        begin, end = series.minute[found.begin], series.minute[found.end - 1] + plan.interval_minutes
        meter = series.meter[series.number[found.begin]]
        parts.append(pd.DataFrame({"meter": meter, "begin": begin, "end": end, "state": state}))
    sizes = {
        name: meters.groupby(column)["meter_id"].transform("size")
        for name, column in (("line_meters", "feeder"), ("transformer_meters", "transformer"))
    }
    placed = meters.assign(**sizes).rename(columns={"region": "line_region"})
    return pd.concat(parts, ignore_index=True).join(placed, on="meter").drop(columns="meter")


def _recorded(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """kWh and V as the files have them, (meters, intervals), NaN where no good line came."""
    number, parts = np.arange(plan.meters), []
    for day in plan.first_day + np.arange(plan.days):
        when = np.full(plan.meters, day)
        made = block(plan.seed, plan.rates.anomaly, number, when, plan.interval_minutes, outage_rate=plan.rates.outage)
        codes = defects.drawn(plan.seed, plan.rates.by_kind(plan.shape), number, when, plan.interval_minutes)
        kinds = np.array([kind in (defects.GAP, defects.CONFLICT, *defects.BAD) for kind in defects.KINDS])
        lost = kinds[codes] | power.silent(plan.seed, plan.rates.outage, number, when, plan.interval_minutes)
        parts.append([np.where(lost, np.nan, values) for values in (made.kwh.round(4), made.volts.round(1))])
    kwh, volts = (np.concatenate(days, axis=1) for days in zip(*parts, strict=True))
    return kwh, volts
