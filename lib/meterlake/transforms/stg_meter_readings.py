"""Bronze lines -> readings: UTC, kWh and kW, judged by the row rules and against each other."""

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from meterlake.quality.rules import broken_rules, is_valid
from meterlake.quality.validation import CURRENT, INTERVAL, MEASURED, quality_of, resolve, resolve_lengths
from meterlake.sources.source import Source

FACTORS = {"kWh": 1.0, "Wh": 1e-3, "MWh": 1e3, "kW": 1.0, "W": 1e-3}
KMH = {"km/h": 1.0, "m/s": 3.6}
NO_DATA = "N"
GRID = 1e8  # steps per kWh: energy is kept on a grid of 1e-8, so that sums of scaled integers are exact


@dataclass(frozen=True)
class Judged:
    """Interpreted rows, told apart.

    Attributes:
        aside: the few rows that broke a row rule or have rivals; to be persisted, or each of the two below reads all
            rows.
        alone: valid rows about an interval that no other row is about: they are current.
        compared: valid and standing rows about the other intervals, with `status`, `after_kwh` and `after_quality`
            as `resolve` gives them.
        rejected: rows that broke a row rule, with their `reasons`.
    """

    aside: DataFrame
    alone: DataFrame
    compared: DataFrame
    rejected: DataFrame

    @property
    def current(self) -> DataFrame:
        """The rows that are current in the end; those with `file_id` 0 stood before."""
        return self.alone.unionByName(self.compared.where(F.col("status") == CURRENT).select(*self.alone.columns))


def interpret(lines: DataFrame, source: Source) -> DataFrame:
    """Apply the source's clock, units and labels to parsed lines of bronze.

    Returns:
        One row per line: the measurements under silver's names, `delivered_value`, `stamp_local`, `ingested_at` and
        where the line stands (`source_file`, `file_id`, `line_order`, `batch_id`).
    """
    start = _interval_start(source)
    sub_metering = FACTORS[source.units.sub_metering]
    return lines.where(F.col("parse_error").isNull()).select(
        "source",
        F.trim("meter_id").alias("meter_id"),
        start.alias("reading_timestamp"),
        interval_length(source).alias("interval_minutes"),
        *_metered(source),
        F.col("voltage").alias("voltage_v"),
        *(_on_grid(F.col(f"sub_metering_{n}") * sub_metering).alias(f"sub_metering_{n}_kwh") for n in (1, 2, 3)),
        F.col("temperature").alias("temperature_c"),
        F.col("humidity").alias("humidity_pct"),
        (F.col("wind_speed") * KMH[source.units.wind_speed]).alias("wind_speed_kmh"),
        _on_grid(F.col("avg_past_consumption") * _factor(source)).alias("avg_past_consumption_kwh"),
        _label(source).alias("anomaly_label"),
        (F.col("delivered_quality") if source.varies else F.lit(None).cast("string")).alias("delivered_quality"),
        local_time(start, source).cast("date").alias("reading_date_local"),
        F.col("value").alias("delivered_value"),
        *(["unit"] if source.varies else []),
        "stamp_local",
        *([F.lit(False).alias("unclear_hour")] if source.moves_its_clock else []),
        "ingested_at",
        "source_file",
        "file_id",
        "line_order",
        "batch_id",
    )


def judge(
    rows: DataFrame,
    source: Source,
    standing: DataFrame,
    contested: DataFrame,
    *,
    lengths_differ: bool = False,
    released: str | None = None,
) -> Judged:
    """Split interpreted rows by the row rules, and compare those about contested intervals with each other.

    Args:
        rows: result of `interpret`.
        standing: the current readings of silver that the rows may repeat or replace.
        contested: the intervals that several of `rows` and `standing` are about (see `validation.contested`).
        lengths_differ: whether a meter's day is there in intervals of several lengths (see `resolve_lengths`).
        released: a boolean column of `rows` that is true where an operator took the line as valid, whatever it breaks.
    """
    keeps = is_valid(source) | F.col(released) if released else is_valid(source)
    judged = rows.withColumn("valid", keeps)
    marked = judged.join(contested.withColumn("rivalled", F.lit(True)), on=list(INTERVAL), how="left")
    aside = marked.where(~F.col("valid") | F.col("rivalled"))
    rejected = aside.where(~F.col("valid")).drop("valid", "rivalled").withColumn("reasons", broken_rules(source))
    stood = as_delivered(standing, source).join(contested, on=list(INTERVAL), how="left_semi")
    rivals = _of_silver(aside.where("valid"), released).unionByName(stood)
    compared = resolve_lengths(rivals) if lengths_differ else resolve(rivals)
    alone = judged.where("valid").join(contested, on=list(INTERVAL), how="left_anti")
    return Judged(aside, _of_silver(alone, released), compared, rejected)


def _of_silver(valid: DataFrame, released: str | None) -> DataFrame:
    """Valid rows without what only a rejected line is told with; they stood nowhere before."""
    told = (
        "delivered_value",
        "unit",
        "stamp_local",
        "unclear_hour",
        "ingested_at",
        "valid",
        "rivalled",
        released or "",
    )
    stood_nowhere = {"stood_kwh": F.lit(None).cast("double"), "stood_quality": F.lit(None).cast("string")}
    return valid.drop(*told).withColumns(stood_nowhere)


def as_delivered(standing: DataFrame, source: Source) -> DataFrame:
    """Readings of silver as rows that a file 0, before all others, might have delivered, and how they stand."""
    return standing.select(
        "source",
        "meter_id",
        "reading_timestamp",
        "interval_minutes",
        *(_as_delivered(name, source) for name in MEASURED),
        F.col("consumption_kwh").alias("stood_kwh"),
        F.col("quality").alias("stood_quality"),
        "reading_date_local",
        F.lit(None).cast("string").alias("source_file"),
        F.lit(0).cast("bigint").alias("file_id"),
        F.lit(0).cast("bigint").alias("line_order"),
        "batch_id",
    )


def energy_from_registers(current: DataFrame, source: Source) -> DataFrame:
    """Fill `consumption_kwh` with the register's rise to the next interval of the same meter.

    It stays null (quality missing) where the next register reading is not exactly one interval later, and where the
    rise is not plausible: negative without a declared rollover, or above the source's limit.

    Args:
        current: the current rows of whole meters over the days concerned and their neighbours.
    """
    following = Window.partitionBy("meter_id").orderBy("reading_timestamp")
    step = F.unix_timestamp(F.lead("reading_timestamp").over(following)) - F.unix_timestamp("reading_timestamp")
    rise = F.lead("register_kwh").over(following) - F.col("register_kwh")
    if source.units.register_rollover is not None:
        rise = F.when(rise < 0, rise + source.units.register_rollover * _factor(source)).otherwise(rise)
    plausible = (step == source.interval_minutes * 60) & (rise >= 0) & (rise <= source.limits.consumption_kwh[1])
    return current.withColumn("consumption_kwh", F.when(plausible, _on_grid(rise)))


def build(current: DataFrame, source: Source) -> DataFrame:
    """Rows of `stg_meter_readings` from the rows that `judge` found to be current."""
    local = local_time(F.col("reading_timestamp"), source)
    hours = interval_length(source) / 60
    return current.select(
        F.concat_ws(":", "source", "meter_id", F.unix_timestamp("reading_timestamp")).alias("reading_id"),
        "source",
        "meter_id",
        "reading_timestamp",
        interval_length(source).alias("interval_minutes"),
        *(name for name in MEASURED if name != "anomaly_label"),
        F.lit(None).cast("double").alias("delivered_kwh"),
        (F.col("consumption_kwh") / hours).alias("active_power_kw"),
        "anomaly_label",
        (F.col("anomaly_label") == "anomaly").alias("is_anomaly"),
        "reading_date_local",
        F.hour(local).alias("hour_of_day"),
        (F.weekday(local) + 1).alias("day_of_week"),
        quality_of("consumption_kwh", "delivered_quality").alias("quality"),
        "batch_id",
    )


def local_time(instant: Column, source: Source) -> Column:
    """An instant on the source's clock, as a timestamp whose fields read as local time."""
    return instant if source.time_zone == "UTC" else F.from_utc_timestamp(instant, source.time_zone)


def interval_length(source: Source) -> Column:
    """Minutes of a row's interval: its own where the source varies."""
    return F.col("interval_minutes") if source.varies else F.lit(source.interval_minutes)


def _interval_start(source: Source) -> Column:
    stamp = F.col("stamp_local").cast("timestamp")  # the session's zone is UTC: the clock's face is kept
    if source.time_zone != "UTC":
        stamp = F.to_utc_timestamp(stamp, source.time_zone)
    # A register is read at an instant: its interval begins there, whatever end a stamp of energy would mark.
    ends = source.stamp == "end" and not source.units.is_register
    return stamp - F.make_dt_interval(mins=F.lit(source.interval_minutes)) if ends else stamp


def _metered(source: Source) -> tuple[Column, Column]:
    """(consumption_kwh, register_kwh): the energy of a register's interval is known only beside the next reading."""
    metered, unknown = _on_grid(_value(source) * _factor(source)), F.lit(None).cast("double")
    energy, register = (unknown, metered) if source.units.is_register else (metered, unknown)
    return energy.alias("consumption_kwh"), register.alias("register_kwh")


def _as_delivered(measure: str, source: Source) -> Column:
    """A standing reading's measure as a line delivers it: energy that a register or an estimate gave is not.

    Where lines bring their own quality an estimate is what was delivered: the step `vee` leaves them alone.
    """
    if measure != "consumption_kwh" or source.varies:
        return F.col(measure)
    delivered = F.when(F.col("quality") == "measured", F.col(measure)).otherwise(F.col("delivered_kwh"))
    return (F.lit(None).cast("double") if source.units.is_register else delivered).alias(measure)


def _value(source: Source) -> Column:
    """The delivered value; null where the source says that it stands for no data."""
    value = F.col("value")
    return F.when(~F.col("delivered_quality").startswith(NO_DATA), value) if source.varies else value


def _factor(source: Source) -> float | Column:
    """kWh per unit of the delivered value; where lines bring their own unit, of the row, null for no active energy."""
    if source.varies:
        return reduce(
            lambda factor, unit: factor.when(F.lower("unit") == unit.lower(), FACTORS[unit]),
            ("Wh", "MWh"),
            F.when(F.lower("unit") == "kwh", 1.0),
        )
    return kwh_per_unit(source)


def kwh_per_unit(source: Source) -> float:
    """kWh per unit of the value that the source declares; mean power is multiplied by the length of the interval."""
    unit = source.units.value.removeprefix("register_")
    return FACTORS[unit] * (source.interval_minutes / 60 if unit in ("kW", "W") else 1.0)


def _on_grid(energy: Column) -> Column:
    return F.rint(energy * GRID) / GRID


def _label(source: Source) -> Column:
    """normal or anomaly; an unknown label stays as it is, for the rule that rejects it; blank is no label."""
    text = F.lower(F.trim("anomaly_label"))
    label = F.when(text == "", None)
    for name, means_anomaly in source.labels.items():
        label = label.when(text == name.lower(), F.lit("anomaly" if means_anomaly else "normal"))
    return label.otherwise(text)
