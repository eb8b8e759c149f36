"""Row rules. Each is a Column that is true for a valid row; its name is the reason in quarantine; null is not valid.

Beside each stands what Arrow can tell of it: a condition that is true only of rows that keep the rule for sure. It
spares nearly all rows the way through Spark (quality/survey.py), and decides nothing: the others are asked the rule.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column
from pyspark.sql import functions as F

from meterlake.sources.source import Bounds, Source

Rule = Callable[[Source], Column]
Arrays = Mapping[str, pa.Array]
Surely = Callable[[Arrays, Source], pa.Array]

OTHER_QUANTITY = "other_quantity"
# Clocks that lost their battery say 1970, 1980 or, of software that knows no time, 0001.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
ENERGY_UNITS = ("kwh", "wh", "mwh")
ENERGY_CHANNELS = ":[EB][^:]*$"  # suffix E: taken from the grid, B: fed into it


def meter_is_known(source: Source) -> Column:
    """QC-01. The line names its meter."""
    return F.col("meter_id").isNotNull() & (F.col("meter_id") != "")


def timestamp_is_known(source: Source) -> Column:
    """QC-02. The line has a time stamp."""
    return F.col("reading_timestamp").isNotNull()


def value_is_known(source: Source) -> Column:
    """QC-03. The line has a value, or the source declares that its null marks mean a known gap."""
    return F.lit(True) if source.format.missing_is_declared else F.col("delivered_value").isNotNull()


def energy_is_not_negative(source: Source) -> Column:
    """QC-04. Energy is not below 0, unless the source's limits allow it (feed-in)."""
    return _null_or(F.col("consumption_kwh") >= min(0.0, source.limits.consumption_kwh[0]), "consumption_kwh")


def energy_is_in_range(source: Source) -> Column:
    """QC-05. Energy of the interval is not above the source's limit, and a number (not NaN or infinite)."""
    return _null_or(F.col("consumption_kwh") <= source.limits.consumption_kwh[1], "consumption_kwh")


def voltage_is_in_range(source: Source) -> Column:
    """QC-06. Voltage is within the source's limits around nominal (default 230 V, 20 % either way)."""
    return _between("voltage_v", source.limits.voltage_v)


def temperature_is_in_range(source: Source) -> Column:
    """QC-07. Air temperature is within the source's limits (default -50 to 60 C)."""
    return _between("temperature_c", source.limits.temperature_c)


def humidity_is_in_range(source: Source) -> Column:
    """QC-08. Relative humidity is within the source's limits (default 0 to 100 %)."""
    return _between("humidity_pct", source.limits.humidity_pct)


def timestamp_is_not_in_future(source: Source) -> Column:
    """QC-09. The interval begins before its file was read."""
    return _null_or(F.col("reading_timestamp") <= F.col("ingested_at"), "reading_timestamp")


def timestamp_is_on_cadence(source: Source) -> Column:
    """QC-10. The time stamp lies on the source's grid of intervals, counted from local midnight."""
    microseconds = F.unix_micros(F.col("stamp_local").cast("timestamp"))
    return _null_or(F.pmod(microseconds, F.lit(source.grid_minutes * 60_000_000)) == 0, "stamp_local")


def label_is_known(source: Source) -> Column:
    """QC-11. The anomaly label is one that the source declares, in any case, or absent."""
    return _null_or(F.col("anomaly_label").isin("normal", "anomaly"), "anomaly_label")


def quantity_is_active_energy(source: Source) -> Column:
    """QC-14. Where lines bring their own unit: it is one of active energy, and a channel of consumption or feed-in.

    NEM12 also delivers reactive energy (kVArh), voltage, and check or net channels that would count energy twice.
    """
    if not source.varies:
        return F.lit(True)
    return F.lower("unit").isin(*ENERGY_UNITS) & F.col("meter_id").rlike(ENERGY_CHANNELS)


def hour_is_clear(source: Source) -> Column:
    """QC-15. In the hour that a clock shows twice in autumn, the order of the lines tells which of the two it is."""
    return ~F.col("unclear_hour") if source.moves_its_clock else F.lit(True)


def timestamp_is_not_long_past(source: Source) -> Column:
    """QC-16. The interval begins in 1990 or later: no interval meter is older, but a clock that lost its battery."""
    return _null_or(F.col("reading_timestamp") >= F.lit(EARLIEST), "reading_timestamp")


@dataclass(frozen=True)
class RowRule:
    """A rule, and how Arrow tells rows that keep it.

    Attributes:
        keeps: the rule.
        surely: of the columns that the rule looks at, under the same names, true where a row keeps it for sure; false
            or null says nothing.
    """

    keeps: Rule
    surely: Surely


# What a rejected row is called: the fault, not the rule that found it.
RULES: dict[str, RowRule] = {
    "missing_meter": RowRule(meter_is_known, lambda rows, _: pc.not_equal(rows["meter_id"], "")),
    "missing_timestamp": RowRule(timestamp_is_known, lambda rows, _: rows["reading_timestamp"].is_valid()),
    "missing_value": RowRule(
        value_is_known,
        lambda rows, source: (
            _everywhere(rows, True) if source.format.missing_is_declared else rows["delivered_value"].is_valid()
        ),
    ),
    "negative_energy": RowRule(
        energy_is_not_negative,
        lambda rows, source: within(rows["consumption_kwh"], min(0.0, source.limits.consumption_kwh[0]), np.inf),
    ),
    "energy_out_of_range": RowRule(
        energy_is_in_range,
        lambda rows, source: within(rows["consumption_kwh"], -np.inf, source.limits.consumption_kwh[1]),
    ),
    "voltage_out_of_range": RowRule(
        voltage_is_in_range, lambda rows, source: within(rows["voltage_v"], *source.limits.voltage_v)
    ),
    "temperature_out_of_range": RowRule(
        temperature_is_in_range, lambda rows, source: within(rows["temperature_c"], *source.limits.temperature_c)
    ),
    "humidity_out_of_range": RowRule(
        humidity_is_in_range, lambda rows, source: within(rows["humidity_pct"], *source.limits.humidity_pct)
    ),
    "future_timestamp": RowRule(
        timestamp_is_not_in_future, lambda rows, _: pc.less_equal(rows["reading_timestamp"], rows["ingested_at"])
    ),
    "off_cadence_timestamp": RowRule(
        timestamp_is_on_cadence, lambda rows, source: _multiple(rows["stamp_local"], source.grid_minutes * 60_000_000)
    ),
    "unknown_label": RowRule(
        label_is_known, lambda rows, _: pc.is_in(rows["anomaly_label"], pa.array(["normal", "anomaly", None]))
    ),
    OTHER_QUANTITY: RowRule(quantity_is_active_energy, lambda rows, source: _everywhere(rows, not source.varies)),
    "unclear_hour": RowRule(
        hour_is_clear,
        lambda rows, source: pc.invert(rows["unclear_hour"]) if source.moves_its_clock else _everywhere(rows, True),
    ),
    # Two days: the time stamp may be taken for later than it is.
    "past_timestamp": RowRule(
        timestamp_is_not_long_past,
        lambda rows, _: pc.greater_equal(rows["reading_timestamp"], pa.scalar(EARLIEST + timedelta(days=2))),
    ),
}

# Found by comparing lines with each other (quality/validation.py): QC-12 and QC-13.
EXACT_DUPLICATE = "exact_duplicate"
CONFLICTING_DUPLICATE = "conflicting_duplicate"


def is_valid(source: Source) -> Column:
    """True where a row keeps every rule."""
    return F.coalesce(reduce(Column.__and__, (rule.keeps(source) for rule in RULES.values())), F.lit(False))


def surely_valid(rows: Arrays, source: Source) -> pa.BooleanArray:
    """True only where `is_valid` is true for sure, too.

    Args:
        rows: the columns that the rules look at, under the names of interpreted rows. `reading_timestamp` may be later
            than it is.
    """
    return reduce(pc.and_, (rule.surely(rows, source) for rule in RULES.values())).fill_null(False)


def broken_rules(source: Source) -> Column:
    """The names of all rules that a row breaks, as an array."""
    broken = [F.when(~F.coalesce(rule.keeps(source), F.lit(False)), F.lit(reason)) for reason, rule in RULES.items()]
    return F.array_compact(F.array(*broken))


def _null_or(condition: Column, column: str) -> Column:
    """An absent value is another rule's matter."""
    return F.col(column).isNull() | condition


def _between(column: str, bounds: Bounds) -> Column:
    return _null_or(F.col(column).between(*bounds), column)


def _everywhere(rows: Arrays, flag: bool) -> pa.BooleanArray:
    return pa.repeat(flag, len(rows["meter_id"]))


def within(values: pa.Array, least: float, most: float) -> pa.BooleanArray:
    """NaN is within nothing."""
    within = pc.and_(pc.greater_equal(values, least), pc.less_equal(values, most))
    return pc.or_kleene(values.is_null(), within)


def _multiple(stamps: pa.Array, microseconds: int) -> pa.BooleanArray:
    """Whether a stamp is a whole number of steps after 1970; null is."""
    return pa.array(stamps.cast(pa.int64()).fill_null(0).to_numpy() % microseconds == 0)
