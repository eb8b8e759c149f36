"""Row rules. Each is a Column that is true for a valid row; its name is the reason in quarantine; null is not valid."""

from collections.abc import Callable
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from meterlake.sources.source import Bounds, Source

Rule = Callable[[Source], Column]

OTHER_QUANTITY = "other_quantity"
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


# What a rejected row is called: the fault, not the rule that found it.
RULES: dict[str, Rule] = {
    "missing_meter": meter_is_known,
    "missing_timestamp": timestamp_is_known,
    "missing_value": value_is_known,
    "negative_energy": energy_is_not_negative,
    "energy_out_of_range": energy_is_in_range,
    "voltage_out_of_range": voltage_is_in_range,
    "temperature_out_of_range": temperature_is_in_range,
    "humidity_out_of_range": humidity_is_in_range,
    "future_timestamp": timestamp_is_not_in_future,
    "off_cadence_timestamp": timestamp_is_on_cadence,
    "unknown_label": label_is_known,
    OTHER_QUANTITY: quantity_is_active_energy,
    "unclear_hour": hour_is_clear,
}

# Found by comparing lines with each other (quality/validation.py): QC-12 and QC-13.
EXACT_DUPLICATE = "exact_duplicate"
CONFLICTING_DUPLICATE = "conflicting_duplicate"


def is_valid(source: Source) -> Column:
    """True where a row keeps every rule."""
    return F.coalesce(reduce(Column.__and__, (rule(source) for rule in RULES.values())), F.lit(False))


def broken_rules(source: Source) -> Column:
    """The names of all rules that a row breaks, as an array."""
    broken = [F.when(~F.coalesce(rule(source), F.lit(False)), F.lit(reason)) for reason, rule in RULES.items()]
    return F.array_compact(F.array(*broken))


def _null_or(condition: Column, column: str) -> Column:
    """An absent value is another rule's matter."""
    return F.col(column).isNull() | condition


def _between(column: str, bounds: Bounds) -> Column:
    return _null_or(F.col(column).between(*bounds), column)
